/** Writes safetensors as a stream: the header first, then one tensor at a time. */
import { elementCount } from "@trimtab/kernels";
import { CheckpointError } from "../errors";
import { narrowBf16, narrowF16 } from "./half";
import { textBytes } from "./json-file";
import { DTYPE_BYTES } from "./safetensors-header";

/** The types we write; f32 values are rounded to nearest for F16 and BF16. */
export type WrittenDtype = "F32" | "F16" | "BF16" | "U32";

export interface WrittenTensor {
  readonly name: string;
  readonly dtype: WrittenDtype;
  readonly shape: readonly number[];
  /** Called when the tensor's turn comes: F32, F16 and BF16 take f32 values. */
  readonly data: () => Promise<Float32Array | Uint32Array> | Float32Array | Uint32Array;
}

/**
 * The bytes of a file with these tensors, in their order, but wider types first as the format wants. `format: "pt"` in the
 * metadata is what transformers asks for. `file` is used in messages.
 */
export async function* writeSafetensors(tensors: readonly WrittenTensor[], file: string): AsyncGenerator<Uint8Array> {
  const ordered = [...tensors].sort((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
  const entries = ['"__metadata__":{"format":"pt"}'];
  let end = 0;
  for (const { name, dtype, shape } of ordered) {
    const begin = end;
    end += elementCount(shape) * DTYPE_BYTES[dtype];
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  // Padded with spaces so that the tensors begin on eight bytes.
  const json = textBytes(`{${entries.join(",")}}`);
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  yield header;
  for (const { name, dtype, shape, data } of ordered) {
    const values = await data();
    if (values.length !== elementCount(shape)) {
      throw new CheckpointError(
        `${file}: tensor "${name}" must hold ${elementCount(shape)} values for (${shape.join(", ")}), got ${values.length}.`,
        { file, tensor: name },
      );
    }
    const stored = store(values, dtype);
    if (!stored) {
      throw new CheckpointError(`${file}: values of tensor "${name}" must fit ${dtype}, got ${values.constructor.name}.`, {
        file,
        tensor: name,
      });
    }
    yield new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  }
}

function store(values: Float32Array | Uint32Array, dtype: WrittenDtype): Float32Array | Uint32Array | Uint16Array | undefined {
  if (dtype === "U32") return values instanceof Uint32Array ? values : undefined;
  if (!(values instanceof Float32Array)) return undefined;
  if (dtype === "F32") return values;
  return dtype === "F16" ? narrowF16(values) : narrowBf16(values);
}
