/**
 * A reader of safetensors written from the format's published rules (huggingface/safetensors, README "Format") and nothing of Trimtab's: eight
 * bytes of little-endian length, that much JSON which begins with "{", entries of dtype, shape and data_offsets into the rest, no holes.
 */

export interface PlainTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const SIZES: Readonly<Record<string, number>> = { F32: 4, BF16: 2, F16: 2, U32: 4, I64: 8 };

/** Every tensor of a file, and its metadata. Throws where the file breaks a rule. */
export function parseSafetensors(file: Uint8Array): { tensors: Map<string, PlainTensor>; metadata: Record<string, string> } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > 100_000_000 || 8 + length > file.length) throw new Error("header length");
  if (file[8] !== 0x7b) throw new Error("the header must begin with {");
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const { __metadata__: metadata = {}, ...entries } = header as unknown as Record<string, never>;
  for (const value of Object.values(metadata)) if (typeof value !== "string") throw new Error("metadata is text to text");
  const data = file.subarray(8 + length);
  const tensors = new Map<string, PlainTensor>();
  const ranges: [number, number][] = [];
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries) as [string, (typeof header)[string]][]) {
    const [begin, end] = data_offsets;
    const count = shape.reduce((product, size) => product * size, 1);
    const size = SIZES[dtype];
    if (size === undefined || end - begin !== count * size) throw new Error(`${name}: size`);
    if (begin % size !== 0) throw new Error(`${name}: alignment`);
    ranges.push([begin, end]);
    tensors.set(name, { dtype, shape, bytes: data.subarray(begin, end) });
  }
  let at = 0;
  for (const [begin, end] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== at) throw new Error("hole or overlap");
    at = end;
  }
  if (at !== data.length) throw new Error("length of the data");
  return { tensors, metadata };
}

/** Bytes of BF16 or F32 as the bits of f32, widened by shifting. */
export function f32Bits({ dtype, bytes }: PlainTensor): Uint32Array {
  const copy = Uint8Array.from(bytes).buffer;
  if (dtype === "F32") return new Uint32Array(copy);
  if (dtype !== "BF16") throw new Error(dtype);
  return Uint32Array.from(new Uint16Array(copy), (half) => half * 65536);
}

/** The tensors of a model directory, by its index where it has one. Throws where index and files disagree. */
export function parseDirectory(files: ReadonlyMap<string, Uint8Array>): Map<string, PlainTensor> {
  const single = files.get("model.safetensors");
  if (single) return parseSafetensors(single).tensors;
  const index = JSON.parse(new TextDecoder().decode(files.get("model.safetensors.index.json"))) as {
    metadata: { total_size: number };
    weight_map: Record<string, string>;
  };
  const tensors = new Map<string, PlainTensor>();
  for (const file of new Set(Object.values(index.weight_map))) {
    for (const [name, tensor] of parseSafetensors(files.get(file) as Uint8Array).tensors) {
      if (index.weight_map[name] !== file || tensors.has(name)) throw new Error(`${name} is elsewhere`);
      tensors.set(name, tensor);
    }
  }
  if (tensors.size !== Object.keys(index.weight_map).length) throw new Error("the index names more");
  if (index.metadata.total_size !== [...tensors.values()].reduce((sum, { bytes }) => sum + bytes.length, 0)) throw new Error("total_size");
  return tensors;
}
