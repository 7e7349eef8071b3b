/** The wasm device: kernels over one linear memory, run by the calling thread and its pool. */
import { elementCount } from "../bind";
import type { EntryPoint } from "../contract";
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
import { DeviceError, OutOfMemoryError, ShapeError } from "../errors";
import { MemoryLedger } from "../memory-ledger";
import { Arena, OVERREAD_BYTES } from "./arena";
import { type CallMemory, runCall } from "./call";
import { arenaBase, SCRATCH_BASE } from "./layout";
import { engineBytes } from "./module-bytes";
import { FEW_ROWS } from "./plans/matmul";
import { type Phase, type PoolWorkerInit, Team } from "./pool";
import { instantiate, PAGE_BYTES, type WasmFunction, type WasmMemory, wasmApi } from "./webassembly";

/** A started worker, as the adapter sees it. */
export interface WorkerPort {
  /** Resolves when the worker is about to enter its loop; rejects when it cannot start. */
  readonly ready: Promise<void>;
  terminate(): void | Promise<void>;
}

export interface WasmDeviceOptions extends BufferLimit {
  /** Threads including the calling one; 1 by default. More than one needs `spawn` and shared memory. */
  readonly threads?: number;
  /** Fused multiply-add: where the engine supports it ("auto", the default), always, or never (the same bits everywhere). */
  readonly relaxed?: "auto" | boolean;
  /** Starts a worker that calls `runPoolWorker` with this value after reporting ready. */
  readonly spawn?: (init: PoolWorkerInit) => WorkerPort;
  /** Linear memory may grow up to this many bytes; 4 GiB by default. */
  readonly maxMemoryBytes?: number;
  /** Shared memory; by default exactly when there is more than one thread. */
  readonly shared?: boolean;
  /** Whether the calling thread may block in Atomics.wait: true by default, false on a page's main thread. */
  readonly mayWait?: boolean;
  /** How many times an idle worker looks for work before it sleeps. */
  readonly spins?: number;
}

const MAX_PAGES = 65536;
const DEFAULT_SPINS = 100_000;

/** Makes a wasm device; with `threads` > 1 it resolves when every worker has reported ready. */
export async function createWasmDevice(options: WasmDeviceOptions = {}): Promise<Device> {
  const { threads = 1, relaxed = "auto", spawn, mayWait = true, spins = DEFAULT_SPINS } = options;
  if (!(Number.isInteger(threads) && threads >= 1)) {
    throw new DeviceError(`createWasmDevice: \`threads\` must be a positive integer, got ${threads}.`);
  }
  const shared = options.shared ?? threads > 1;
  if (threads > 1 && !shared) {
    throw new DeviceError("createWasmDevice: more than one thread needs shared memory, got `shared: false`. Use one thread.");
  }
  if (threads > 1 && !spawn) {
    throw new DeviceError("createWasmDevice: more than one thread needs `spawn`, got none. Pass one, or use one thread.");
  }
  if (shared && typeof SharedArrayBuffer === "undefined") {
    throw new DeviceError(
      "createWasmDevice: shared memory must be available, got none (is the page cross-origin isolated?). Use one thread.",
    );
  }
  const engine = engineBytes(relaxed, shared);
  const maximum = Math.min(MAX_PAGES, Math.floor((options.maxMemoryBytes ?? MAX_PAGES * PAGE_BYTES) / PAGE_BYTES));
  const initial = Math.ceil((arenaBase(threads) + OVERREAD_BYTES) / PAGE_BYTES);
  if (maximum < initial) {
    throw new OutOfMemoryError(
      `createWasmDevice: maxMemoryBytes must be at least ${initial * PAGE_BYTES} for ${threads} threads, got ${maximum * PAGE_BYTES}.`,
      initial * PAGE_BYTES,
      maximum * PAGE_BYTES,
    );
  }
  const module = await wasmApi.compile(engine.bytes);
  const memory = new wasmApi.Memory({ initial, maximum, ...(shared ? { shared } : {}) });
  const kernels = instantiate(module, memory);
  const ports: WorkerPort[] = [];
  if (spawn) for (let index = 1; index < threads; index++) ports.push(spawn({ module, memory, index, spins }));
  try {
    await Promise.all(ports.map((port) => port.ready));
  } catch (cause) {
    await Promise.all(ports.map((port) => port.terminate()));
    throw new DeviceError("createWasmDevice: every pool worker must report ready, got a failure. Use one thread, or see the cause.", {
      cause,
    });
  }
  const info: DeviceInfo = {
    kind: "wasm",
    name: `wasm (${engine.relaxed ? "relaxed" : "strict"} SIMD, ${threads} thread${threads === 1 ? "" : "s"})`,
    threads,
    relaxed: engine.relaxed,
    software: false,
    maxBufferBytes: Math.min(
      options.maxBufferBytes ?? Number.POSITIVE_INFINITY,
      maximum * PAGE_BYTES - arenaBase(threads) - OVERREAD_BYTES,
    ),
    memoryBytes: maximum * PAGE_BYTES,
    fewRows: FEW_ROWS,
  };
  return new WasmDevice(info, memory, kernels, ports, threads > 1 ? new Team(memory, threads, spins, mayWait) : undefined);
}

/** A class, not a frozen object in a map: there is one for every intermediate tensor of every step. */
class WasmBuffer implements DeviceBuffer {
  readonly id: number;
  readonly byteLength: number;
  readonly address: number;
  readonly kind: MemoryKind;
  /** Undefined once freed. */
  owner: WasmDevice | undefined;

  constructor(owner: WasmDevice, id: number, byteLength: number, address: number, kind: MemoryKind) {
    this.owner = owner;
    this.id = id;
    this.byteLength = byteLength;
    this.address = address;
    this.kind = kind;
  }
}

class WasmDevice implements Device {
  readonly info: DeviceInfo;
  readonly counters: DeviceCounters = newCounters();
  readonly #memory: WasmMemory;
  readonly #kernels = new Map<string, { readonly fn: WasmFunction; readonly index: number }>();
  readonly #ports: readonly WorkerPort[];
  readonly #team: Team | undefined;
  readonly #ledger = new MemoryLedger(this.counters);
  readonly #arena: Arena;
  readonly #call: CallMemory;
  #isDestroyed = false;
  readonly #used = new Set<string>();
  readonly #runPhase = (entry: EntryPoint, phase: Phase) => this.#run(entry, phase);
  #f32: Float32Array;
  #u32: Uint32Array;
  #nextId = 1;
  #failure: DeviceError | undefined;

  constructor(
    info: DeviceInfo,
    memory: WasmMemory,
    kernels: ReadonlyMap<string, WasmFunction>,
    ports: readonly WorkerPort[],
    team: Team | undefined,
  ) {
    this.info = info;
    this.#memory = memory;
    this.#ports = ports;
    this.#team = team;
    [...kernels].forEach(([name, fn], index) => {
      this.#kernels.set(name, { fn, index });
    });
    kernels.get("set_thread_scratch")?.(SCRATCH_BASE);
    this.#f32 = new Float32Array(memory.buffer);
    this.#u32 = new Uint32Array(memory.buffer);
    this.#arena = new Arena(
      { byteLength: () => memory.buffer.byteLength, grow: (pages) => this.#grow(pages) },
      arenaBase(info.threads),
      info.memoryBytes as number,
    );
    this.#ledger.take("scratch", arenaBase(info.threads));
    this.#call = {
      arena: this.#arena,
      ledger: this.#ledger,
      address: (what, tensor) => this.#address(what, tensor),
      words: (pointer, length) => this.#u32.subarray(pointer >>> 2, (pointer >>> 2) + length),
    };
  }

  alloc(byteLength: number, kind: MemoryKind = "other"): DeviceBuffer {
    if (!(Number.isInteger(byteLength) && byteLength >= 0)) {
      throw new DeviceError(`alloc: a size must be a whole number of bytes, got ${byteLength}.`);
    }
    this.#assertUsable("alloc");
    requireBufferSize(this.info, byteLength);
    const address = this.#arena.take(byteLength);
    this.#ledger.take(kind, byteLength);
    return new WasmBuffer(this, this.#nextId++, byteLength, address, kind);
  }

  free(buffer: DeviceBuffer): void {
    const own = this.#own("free", buffer);
    own.owner = undefined;
    this.#arena.free(own.address);
    this.#ledger.give(own.kind, own.byteLength);
  }

  write(tensor: TensorRef, data: TensorData): void {
    const dtype = data instanceof Uint32Array ? "u32" : "f32";
    if (dtype !== tensor.dtype) throw new ShapeError(`write: data must be ${tensor.dtype}, got ${dtype}.`);
    const count = this.#check("write", tensor);
    if (count !== data.length) throw new ShapeError(`write: the tensor holds ${count} elements, got ${data.length}.`);
    const at = this.#address("write", tensor) >>> 2;
    if (data instanceof Uint32Array) this.#u32.set(data, at);
    else this.#f32.set(data, at);
    this.counters.uploadBytes += count * 4;
  }

  copy(from: TensorRef, to: TensorRef): void {
    const count = this.#check("copy", from);
    const other = this.#check("copy", to);
    if (count !== other) throw new ShapeError(`copy: both tensors must hold equally many elements, got ${count} and ${other}.`);
    const source = this.#address("copy", from) >>> 2;
    this.#u32.copyWithin(this.#address("copy", to) >>> 2, source, source + count);
  }

  dispatch(entry: EntryPoint, args: DispatchArgs): void {
    this.#assertUsable(entry.name);
    runCall(entry, args, this.#call, this.#runPhase);
    this.#used.add(entry.name);
    this.counters.dispatches += 1;
    this.counters.pipelines = this.#used.size;
  }

  async read(tensor: TensorRef): Promise<TensorData> {
    this.#assertUsable("read");
    const count = this.#check("read", tensor);
    const at = this.#address("read", tensor) >>> 2;
    this.counters.readbacks += 1;
    this.counters.readbackBytes += count * 4;
    return tensor.dtype === "u32" ? this.#u32.slice(at, at + count) : this.#f32.slice(at, at + count);
  }

  async sync(): Promise<void> {
    this.#assertUsable("sync");
  }

  memory(): DeviceMemory {
    return this.#ledger.report(this.#arena.peakBytes);
  }

  async destroy(): Promise<void> {
    this.#failure ??= new DeviceError("the wasm device was destroyed. Create another one.");
    this.#isDestroyed = true;
    this.#ledger.clear();
    this.#team?.stop();
    await Promise.all(this.#ports.map((port) => port.terminate()));
  }

  #run(entry: EntryPoint, { kernel, args, items, grain }: Phase): void {
    if (items <= 0) return;
    const found = this.#kernels.get(kernel);
    if (!found) throw new DeviceError(`${entry.name}: the engine must export \`${kernel}\`, got no such function. Rebuild it.`);
    let failed = 0;
    try {
      if (this.#team && grain < items) {
        this.counters.submits += 1;
        failed = this.#team.run(found.fn, found.index, [...args], items, grain);
      } else {
        found.fn(...args, 0, items);
      }
    } catch (cause) {
      // Other threads may still be at work on this phase: nothing can be trusted any more.
      this.#failure = new DeviceError(`${entry.name}: \`${kernel}\` must run to its end, got ${cause}. Create the device again.`, {
        cause,
      });
    }
    if (failed !== 0) {
      this.#failure = new DeviceError(
        `${entry.name}: every worker must finish its share, got a failure in worker ${failed}. Create the device again.`,
      );
    }
    if (this.#failure) throw this.#failure;
  }

  /** Grows linear memory; views are made again. False where the host refuses. */
  #grow(pages: number): boolean {
    try {
      this.#memory.grow(pages);
    } catch {
      return false;
    }
    this.#f32 = new Float32Array(this.#memory.buffer);
    this.#u32 = new Uint32Array(this.#memory.buffer);
    return true;
  }

  #own(what: string, buffer: DeviceBuffer): WasmBuffer {
    if (buffer instanceof WasmBuffer && buffer.owner === this && !this.#isDestroyed) return buffer;
    throw new DeviceError(`${what}: buffer ${buffer.id} must be live and of this device, got one that is freed or foreign.`);
  }

  #address(what: string, tensor: TensorRef): number {
    return this.#own(what, tensor.buffer).address + tensor.byteOffset;
  }

  /** Checks that a tensor lies inside its buffer; returns its element count. */
  #check(what: string, tensor: TensorRef): number {
    const count = elementCount(tensor.shape);
    if (tensor.byteOffset % 4 !== 0 || tensor.byteOffset + count * 4 > tensor.buffer.byteLength) {
      throw new ShapeError(
        `${what}: (${tensor.shape.join(", ")}) at byte ${tensor.byteOffset} must lie inside its buffer of ${tensor.buffer.byteLength} bytes.`,
      );
    }
    return count;
  }

  #assertUsable(what: string): void {
    if (this.#failure) throw new DeviceError(`${what}: ${this.#failure.message}`, { cause: this.#failure });
  }
}
