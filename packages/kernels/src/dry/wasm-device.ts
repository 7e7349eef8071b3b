/** The wasm device without its memory: allocates addresses, checks shapes and takes scratch as that one does, and computes nothing. */
import { elementCount } from "../bind";
import type { EntryPoint } from "../contract";
import {
  type Device,
  type DeviceBuffer,
  type DeviceCounters,
  type DeviceInfo,
  type DeviceMemory,
  type DispatchArgs,
  type MemoryKind,
  newCounters,
  type TensorData,
  type TensorRef,
} from "../device";
import { DeviceError } from "../errors";
import { MemoryLedger } from "../memory-ledger";
import { Arena, OVERREAD_BYTES } from "../wasm/arena";
import { type CallMemory, runCall } from "../wasm/call";
import { arenaBase } from "../wasm/layout";
import { PAGE_BYTES } from "../wasm/webassembly";

interface Place {
  readonly address: number;
  readonly kind: MemoryKind;
}

export class DryWasmDevice implements Device {
  readonly info: DeviceInfo;
  readonly counters: DeviceCounters = newCounters();
  readonly #ledger = new MemoryLedger(this.counters);
  readonly #arena: Arena;
  readonly #call: CallMemory;
  readonly #places = new Map<DeviceBuffer, Place>();
  /** Whole numbers that the host has written, by address: attention is cut into pieces by the rows' offsets. */
  readonly #words = new Map<number, Uint32Array>();
  #nextId = 1;

  constructor(info: DeviceInfo) {
    this.info = { ...info, isDry: true };
    const base = arenaBase(info.threads);
    let byteLength = Math.ceil((base + OVERREAD_BYTES) / PAGE_BYTES) * PAGE_BYTES;
    const grow = (pages: number) => {
      byteLength += pages * PAGE_BYTES;
      return true;
    };
    this.#arena = new Arena({ byteLength: () => byteLength, grow }, base, info.memoryBytes ?? Number.POSITIVE_INFINITY);
    this.#ledger.take("scratch", base);
    this.#call = {
      arena: this.#arena,
      ledger: this.#ledger,
      address: (what, tensor) => this.#place(what, tensor.buffer).address + tensor.byteOffset,
      words: (pointer, length) => this.#words.get(pointer) ?? new Uint32Array(length),
    };
  }

  alloc(byteLength: number, kind: MemoryKind = "other"): DeviceBuffer {
    const buffer: DeviceBuffer = Object.freeze({ id: this.#nextId++, byteLength });
    this.#places.set(buffer, { address: this.#arena.take(byteLength), kind });
    this.#ledger.take(kind, byteLength);
    return buffer;
  }

  free(buffer: DeviceBuffer): void {
    const { address, kind } = this.#place("free", buffer);
    this.#places.delete(buffer);
    this.#words.delete(address);
    this.#arena.free(address);
    this.#ledger.give(kind, buffer.byteLength);
  }

  write(tensor: TensorRef, data: TensorData): void {
    const address = this.#place("write", tensor.buffer).address + tensor.byteOffset;
    if (data instanceof Uint32Array) this.#words.set(address, data);
    this.counters.uploadBytes += data.byteLength;
  }

  copy(): void {}

  dispatch(entry: EntryPoint, args: DispatchArgs): void {
    runCall(entry, args, this.#call, () => {});
    this.counters.dispatches += 1;
  }

  async read(tensor: TensorRef): Promise<TensorData> {
    this.#place("read", tensor.buffer);
    const count = elementCount(tensor.shape);
    return tensor.dtype === "u32" ? new Uint32Array(count) : new Float32Array(count);
  }

  async sync(): Promise<void> {}

  memory(): DeviceMemory {
    return this.#ledger.report(this.#arena.peakBytes);
  }

  async destroy(): Promise<void> {
    this.#places.clear();
    this.#words.clear();
    this.#ledger.clear();
  }

  #place(what: string, buffer: DeviceBuffer): Place {
    const place = this.#places.get(buffer);
    if (!place) throw new DeviceError(`${what}: buffer ${buffer.id} must be live and of this device, got one that is freed or foreign.`);
    return place;
  }
}
