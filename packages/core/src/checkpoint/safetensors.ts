/** Reads safetensors files by range: the header at once, each tensor when it is asked for. */
import { CheckpointError } from "../errors";
import type { ByteSource } from "./files";
import { widenBf16, widenF16 } from "./half";
import {
  DTYPE_BYTES,
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type SafetensorsDtype,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensors-header";

/** An open safetensors file whose header has been checked. Close it when done. */
export class SafetensorsFile {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: SafetensorsHeader["metadata"];
  readonly #source: ByteSource;

  private constructor(source: ByteSource, header: SafetensorsHeader) {
    this.name = source.name;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#source = source;
  }

  /** Reads and checks the header; closes the source when it is malformed. */
  static async open(source: ByteSource): Promise<SafetensorsFile> {
    const { name, size } = source;
    try {
      if (size < LENGTH_BYTES + 2) {
        throw new CheckpointError(`${name}: a safetensors file must have at least ${LENGTH_BYTES + 2} bytes, got ${size}. Get it again.`, {
          file: name,
        });
      }
      const length = headerLength(await source.read(0, LENGTH_BYTES), name, size);
      return new SafetensorsFile(source, parseHeader(await source.read(LENGTH_BYTES, length), name, size));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** A tensor's bytes as they are stored. */
  readBytes(tensor: string): Promise<Uint8Array<ArrayBuffer>> {
    const { offset, byteLength } = this.#entry(tensor);
    return this.#source.read(offset, byteLength);
  }

  /** An F32, F16 or BF16 tensor, widened to f32: all of it, or `count` elements from `begin`, which are read alone. */
  async readFloats(tensor: string, begin = 0, count?: number): Promise<Float32Array<ArrayBuffer>> {
    const { dtype, offset, byteLength } = this.#require(tensor, ["F32", "F16", "BF16"]);
    const size = DTYPE_BYTES[dtype];
    const bytes = aligned(await this.#source.read(offset + begin * size, (count ?? byteLength / size - begin) * size));
    if (dtype === "F32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
    return dtype === "BF16" ? widenBf16(halves) : widenF16(halves);
  }

  /** A U32 tensor. */
  async readWords(tensor: string): Promise<Uint32Array<ArrayBuffer>> {
    this.#require(tensor, ["U32"]);
    const bytes = aligned(await this.readBytes(tensor));
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #entry(tensor: string): TensorEntry {
    const entry = this.tensors.get(tensor);
    if (entry) return entry;
    throw new CheckpointError(`${this.name}: tensor "${tensor}" must be in the file, got none of that name.`, { file: this.name, tensor });
  }

  #require(tensor: string, dtypes: readonly SafetensorsDtype[]): TensorEntry {
    const entry = this.#entry(tensor);
    if (dtypes.includes(entry.dtype)) return entry;
    throw new CheckpointError(
      `${this.name}: tensor "${tensor}" must be ${dtypes.join(", ")}, got ${entry.dtype}. Convert the checkpoint to a supported type.`,
      { file: this.name, tensor },
    );
  }
}

/** The same bytes where a typed array may view them. */
function aligned(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
}
