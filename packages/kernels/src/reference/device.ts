/** The reference device: f64 storage and plain loops; the oracle of the other two. */
import { bind, elementCount } from "../bind";
import type { Dtype, EntryPoint } from "../contract";
import {
  type BufferLimit,
  type Device,
  type DeviceBuffer,
  type DeviceCounters,
  type DeviceInfo,
  type DeviceMemory,
  type DispatchArgs,
  type MemoryKind,
  newCounters,
  requireBufferSize,
  type TensorData,
  type TensorRef,
} from "../device";
import { DeviceError, ShapeError } from "../errors";
import { MemoryLedger } from "../memory-ledger";
import { implementations } from "./implementations";

/** A {@link Device} whose cells hold f64, so that what it computes can be read and written without rounding. */
export interface ReferenceDevice extends Device {
  /** The tensor's values as they are stored. */
  readF64(tensor: TensorRef): Float64Array;
  /** Stores values without rounding them to f32. */
  writeF64(tensor: TensorRef, data: Float64Array): void;
}

/** Makes a reference device. One f64 cell stands for four bytes; new memory holds NaN, so that forgotten writes show. */
export function createReferenceDevice({ maxBufferBytes = INFO.maxBufferBytes }: BufferLimit = {}): ReferenceDevice {
  return new F64Device({ ...INFO, maxBufferBytes: Math.min(maxBufferBytes, INFO.maxBufferBytes) });
}

const INFO: DeviceInfo = {
  kind: "reference",
  name: "reference (f64 loops)",
  threads: 1,
  relaxed: false,
  software: false,
  maxBufferBytes: 2 ** 32,
  memoryBytes: undefined,
};

class F64Device implements ReferenceDevice {
  readonly info: DeviceInfo;
  readonly counters: DeviceCounters = newCounters();
  readonly #ledger = new MemoryLedger(this.counters);
  readonly #cells = new Map<DeviceBuffer, Float64Array>();
  readonly #kinds = new Map<DeviceBuffer, MemoryKind>();
  readonly #used = new Set<string>();
  #nextId = 1;

  constructor(info: DeviceInfo) {
    this.info = Object.freeze(info);
  }

  alloc(byteLength: number, kind: MemoryKind = "other"): DeviceBuffer {
    if (!(Number.isInteger(byteLength) && byteLength >= 0)) {
      throw new DeviceError(`alloc: a size must be a whole number of bytes, got ${byteLength}.`);
    }
    requireBufferSize(this.info, byteLength);
    const buffer: DeviceBuffer = Object.freeze({ id: this.#nextId++, byteLength });
    this.#cells.set(buffer, new Float64Array(Math.ceil(byteLength / 4)).fill(Number.NaN));
    this.#kinds.set(buffer, kind);
    this.#ledger.take(kind, byteLength);
    return buffer;
  }

  free(buffer: DeviceBuffer): void {
    this.#cellsOf("free", buffer);
    this.#cells.delete(buffer);
    this.#ledger.give(this.#kinds.get(buffer) as MemoryKind, buffer.byteLength);
    this.#kinds.delete(buffer);
  }

  write(tensor: TensorRef, data: TensorData): void {
    const dtype: Dtype = data instanceof Uint32Array ? "u32" : "f32";
    if (dtype !== tensor.dtype) throw new ShapeError(`write: data must be ${tensor.dtype}, got ${dtype}.`);
    this.#store(tensor, data);
  }

  writeF64(tensor: TensorRef, data: Float64Array): void {
    if (tensor.dtype !== "f32") throw new ShapeError(`writeF64: the tensor must be f32, got ${tensor.dtype}.`);
    this.#store(tensor, data);
  }

  copy(from: TensorRef, to: TensorRef): void {
    const source = this.#view("copy", from);
    const target = this.#view("copy", to);
    if (source.length !== target.length) {
      throw new ShapeError(`copy: both tensors must hold equally many elements, got ${source.length} and ${target.length}.`);
    }
    target.set(source);
  }

  dispatch(entry: EntryPoint, args: DispatchArgs): void {
    const implementation = implementations.get(entry.name);
    if (!implementation) throw new DeviceError(`${entry.name}: the reference device must implement it, got no implementation.`);
    const call = bind(entry, args);
    const tensors: Record<string, Float64Array> = {};
    entry.tensors.forEach((spec, i) => {
      const tensor = call.tensors[i];
      if (tensor) tensors[spec.name] = this.#view(entry.name, tensor);
    });
    refuseOverlap(entry, tensors);
    implementation.run(tensors, call.values);
    this.#used.add(entry.name);
    this.counters.dispatches += 1;
    this.counters.submits += 1;
    this.counters.pipelines = this.#used.size;
  }

  async read(tensor: TensorRef): Promise<TensorData> {
    const cells = this.#view("read", tensor);
    this.counters.readbacks += 1;
    this.counters.readbackBytes += cells.length * 4;
    return tensor.dtype === "u32" ? Uint32Array.from(cells) : Float32Array.from(cells);
  }

  readF64(tensor: TensorRef): Float64Array {
    return this.#view("readF64", tensor).slice();
  }

  async sync(): Promise<void> {}

  memory(): DeviceMemory {
    return this.#ledger.report();
  }

  async destroy(): Promise<void> {
    this.#cells.clear();
    this.#ledger.clear();
  }

  #store(tensor: TensorRef, data: TensorData | Float64Array): void {
    const cells = this.#view("write", tensor);
    if (cells.length !== data.length) throw new ShapeError(`write: the tensor holds ${cells.length} elements, got ${data.length}.`);
    cells.set(data);
    this.counters.uploadBytes += data.length * 4;
  }

  #cellsOf(what: string, buffer: DeviceBuffer): Float64Array {
    const cells = this.#cells.get(buffer);
    if (!cells) throw new DeviceError(`${what}: buffer ${buffer.id} must be live and of this device, got one that is freed or foreign.`);
    return cells;
  }

  /** The cells of a tensor: a live view, not a copy. */
  #view(what: string, tensor: TensorRef): Float64Array {
    const cells = this.#cellsOf(what, tensor.buffer);
    const begin = tensor.byteOffset / 4;
    const end = begin + elementCount(tensor.shape);
    if (!Number.isInteger(begin) || end > cells.length) {
      throw new ShapeError(
        `${what}: (${tensor.shape.join(", ")}) at byte ${tensor.byteOffset} must lie inside its buffer of ${tensor.buffer.byteLength} bytes.`,
      );
    }
    return cells.subarray(begin, end);
  }
}

/** A written tensor may not share memory with another tensor of the same call: a GPU gives no meaning to that. */
function refuseOverlap(entry: EntryPoint, tensors: Readonly<Record<string, Float64Array>>): void {
  const names = Object.keys(tensors);
  for (const written of entry.tensors) {
    const a = tensors[written.name];
    if (written.role === "in" || a === undefined) continue;
    for (const name of names) {
      const b = tensors[name] as Float64Array;
      if (name === written.name || a.buffer !== b.buffer) continue;
      if (a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength) {
        throw new DeviceError(`${entry.name}: \`${written.name}\` is written and must not overlap \`${name}\`, got overlapping views.`);
      }
    }
  }
}
