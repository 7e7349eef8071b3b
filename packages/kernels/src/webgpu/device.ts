/** The WebGPU device: memory, transfers and dispatch over a GPUDevice that comes in from outside. */
import { type BoundCall, bind, elementCount } from "../bind";
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
  type TensorData,
  type TensorRef,
} from "../device";
import { DeviceError, ShapeError } from "../errors";
import { MemoryLedger } from "../memory-ledger";
import { type TuningChoices, type TuningKey, tuningFrom } from "../tuning";
import { ErrorWatch } from "./error-watch";
import { PipelineCache } from "./pipelines";
import { plans } from "./plans/index";
import type { PlanContext } from "./plans/plan";
import { type Block, BufferPool } from "./pool";
import type { Program } from "./program";
import { type Binding, type Grid, Recorder } from "./recorder";
import { type TimeReport, Timestamps } from "./timestamps";
import { tuningKey } from "./tuning-key";

/** A {@link Device} on WebGPU. */
export interface WebGpuDevice extends Device {
  /**
   * Compiles, in parallel, the pipelines that `entries` use, so that the first dispatch does not wait for them. `sizes` of
   * dimension letters and scalars (e.g. D, C) choose among variants. Throws DeviceError with the compiler's words.
   */
  prepare(entries: readonly EntryPoint[], sizes?: Readonly<Record<string, number>>): Promise<void>;
  /** What `tuneDevice` works with. */
  readonly tuner: Tuner;
}

/** A device as its kernels are measured. */
export interface Tuner {
  readonly key: TuningKey;
  /** Whether kernels may take the form with subgroups. */
  readonly hasSubgroups: boolean;
  /** Most bytes of scratch that one op takes. */
  readonly scratchBytes: number;
  /** Runs `work` with these choices in place of the device's own. */
  withChoices<T>(choices: TuningChoices, work: () => T): T;
}

export interface WebGpuOptions extends BufferLimit {
  /** Where to request a device from; the device made is destroyed with this one. */
  readonly adapter?: GPUAdapter;
  /** A device made by the caller, who also destroys it. Give either this or `adapter`. */
  readonly gpuDevice?: GPUDevice;
  /** `adapter` (the default) asks for everything the adapter has, `default` for WebGPU's guaranteed limits. */
  readonly limits?: "adapter" | "default";
  readonly requiredFeatures?: readonly GPUFeatureName[];
  /** Submits every dispatch on its own, so that a late error names exactly its op. Slow. */
  readonly debug?: boolean;
  /** What all buffers together may take; unlimited by default, as WebGPU tells nobody how much there is. */
  readonly memoryBytes?: number;
  /**
   * Whether the GPU is emulated by a CPU; found out by default. Emulated GPUs get kernels that read memory without staging it in
   * workgroup memory, in loops that their compilers do not unroll.
   */
  readonly isSoftware?: boolean;
  /** The GPU computes nothing: see {@link DeviceInfo.isDry}. */
  readonly isDry?: boolean;
  /** Most bytes of scratch that one op should take (default 64 MiB): token-logprob and split products work in chunks of it. */
  readonly scratchBytes?: number;
  /**
   * What `tuneDevice` found on this GPU: a `TuningTable`, or whatever came of reading one, an error too. What cannot be used is not, and `info.tuning` says why.
   * Default: products are cut by the rule that suits most GPUs.
   */
  readonly tuning?: unknown;
}

/** The limits that the engine profits from; everything else stays at WebGPU's defaults. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "minUniformBufferOffsetAlignment",
] as const;

const USAGE = { mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, storage: 0x80 } as const;
const MAP_READ = 1;
const TIMESTAMPS = "timestamp-query";
const SUBGROUPS = "subgroups";
const DEFAULT_SCRATCH_BYTES = 64 * 2 ** 20;

/** Makes a WebGPU device over an injected adapter or GPUDevice. Throws DeviceError when the adapter refuses. */
export async function createWebGpuDevice(options: WebGpuOptions): Promise<WebGpuDevice> {
  const { adapter, gpuDevice, limits = "adapter", requiredFeatures = [] } = options;
  if ((adapter === undefined) === (gpuDevice === undefined)) {
    const got = adapter ? "both" : "neither";
    throw new DeviceError(
      `createWebGpuDevice: either \`adapter\` or \`gpuDevice\` must be given, got ${got}. Pass navigator.gpu's adapter.`,
    );
  }
  if (gpuDevice) return new QueueDevice(gpuDevice, gpuDevice.adapterInfo, false, options);
  const source = adapter as GPUAdapter;
  const requiredLimits: Record<string, number> = {};
  // They cost nothing until a dispatch is timed, or a table asks for subgroups.
  const features = new Set(requiredFeatures);
  if (limits === "adapter") for (const name of [TIMESTAMPS, SUBGROUPS] as const) if (source.features.has(name)) features.add(name);
  if (limits === "adapter") for (const name of LIMITS) requiredLimits[name] = source.limits[name];
  try {
    const made = await source.requestDevice({ label: "trimtab", requiredFeatures: [...features], requiredLimits });
    return new QueueDevice(made, source.info, true, options);
  } catch (cause) {
    throw new DeviceError(
      `createWebGpuDevice: the adapter must give a device, got: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** What the device hands out: a block until it is freed. */
class Allocation implements DeviceBuffer {
  readonly id: number;
  readonly byteLength: number;
  readonly kind: MemoryKind;
  readonly owner: QueueDevice;
  block: Block | undefined;

  constructor(id: number, byteLength: number, kind: MemoryKind, owner: QueueDevice, block: Block) {
    this.id = id;
    this.byteLength = byteLength;
    this.kind = kind;
    this.owner = owner;
    this.block = block;
  }
}

class QueueDevice implements WebGpuDevice {
  readonly info: DeviceInfo;
  readonly counters: DeviceCounters = newCounters();
  readonly dispatchTimed: Device["dispatchTimed"];
  readonly #ledger = new MemoryLedger(this.counters);
  readonly #gpu: GPUDevice;
  readonly #isOwned: boolean;
  readonly #isDebug: boolean;
  readonly #errors: ErrorWatch;
  readonly #pipelines: PipelineCache;
  readonly #recorder: Recorder;
  readonly #pool: BufferPool;
  readonly #staging: BufferPool;
  readonly #context: PlanContext;
  /** Scratch of the plan being encoded. */
  readonly #scratch: Block[] = [];
  /** Calls of the batch being recorded, for naming the op of a late error. */
  #calls: BoundCall[] = [];
  /** The one being encoded: a plan may go on in the next batch. */
  #call: BoundCall | undefined;
  readonly tuner: Tuner;
  #choices: TuningChoices;
  readonly #timestamps: Timestamps | undefined;
  /** Whom to tell how long the one being encoded takes. */
  #report: TimeReport | undefined;
  #nextId = 1;

  constructor(gpu: GPUDevice, adapterInfo: GPUAdapterInfo, isOwned: boolean, options: WebGpuOptions) {
    const { debug = false, memoryBytes, scratchBytes: mostScratch = DEFAULT_SCRATCH_BYTES } = options;
    this.#gpu = gpu;
    this.#isOwned = isOwned;
    this.#isDebug = debug;
    const isSoftware = options.isSoftware ?? isEmulated(adapterInfo);
    const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
    const maxBufferBytes = Math.min(options.maxBufferBytes ?? Number.POSITIVE_INFINITY, maxBufferSize, maxStorageBufferBindingSize);
    const scratchBytes = Math.min(mostScratch, maxBufferBytes);
    const hasSubgroups = gpu.features.has(SUBGROUPS);
    const tuning = options.tuning === undefined ? undefined : tuningFrom(options.tuning, tuningKey(adapterInfo, isSoftware), hasSubgroups);
    this.#choices = tuning?.choices ?? {};
    const isTuned = Object.keys(this.#choices).length > 0;
    this.info = Object.freeze({
      kind: "webgpu",
      name: `webgpu (${nameOf(adapterInfo)}${isSoftware ? ", software" : ""}${isTuned ? ", tuned" : ""})`,
      threads: 1,
      relaxed: false,
      software: isSoftware,
      maxBufferBytes,
      memoryBytes,
      ...(tuning ? { tuning } : {}),
      ...(options.isDry ? { isDry: true } : {}),
    } satisfies DeviceInfo);
    this.#errors = new ErrorWatch(gpu);
    const guard = <T>(work: () => T): T => this.#errors.guard(() => this.#calls.slice(), work);
    this.#pipelines = new PipelineCache(gpu);
    if (gpu.features.has(TIMESTAMPS)) {
      this.#timestamps = new Timestamps(gpu);
      this.dispatchTimed = (entry, args, report) => this.#dispatchTimed(entry, args, report);
    }
    this.#recorder = new Recorder(gpu, this.#pipelines, guard, this.#timestamps);
    const pool = (label: string, usage: number, budgetBytes: number) =>
      new BufferPool(gpu, {
        label,
        usage,
        budgetBytes,
        maxBytes: maxBufferBytes,
        onAllocate: (check, bytes) => this.#errors.expectMemory(check, bytes),
        onTrim: () => {
          this.#flush();
          this.#recorder.forget();
        },
      });
    this.#pool = pool("alloc", USAGE.storage | USAGE.copySrc | USAGE.copyDst, memoryBytes ?? Number.POSITIVE_INFINITY);
    this.#staging = pool("read", USAGE.mapRead | USAGE.copyDst, Number.POSITIVE_INFINITY);
    this.#context = {
      isSoftware,
      scratchBytes,
      choiceOf: (name) => name && this.#choices[name],
      run: (program, bindings, values, grid) => this.#run(program, bindings, values, grid),
      scratch: (bytes) => {
        const block = this.#pool.take(bytes);
        this.#scratch.push(block);
        this.#ledger.take("scratch", block.capacity);
        return { block, offset: 0, bytes };
      },
    };
    this.tuner = {
      get key() {
        return tuningKey(adapterInfo, isSoftware);
      },
      hasSubgroups,
      scratchBytes,
      withChoices: (choices, work) => this.#withChoices(choices, work),
    };
  }

  get lost(): Promise<DeviceError> {
    return this.#errors.lost;
  }

  alloc(byteLength: number, kind: MemoryKind = "other"): DeviceBuffer {
    this.#errors.requireAlive("alloc");
    if (!(Number.isInteger(byteLength) && byteLength >= 0)) {
      throw new DeviceError(`alloc: a size must be a whole number of bytes, got ${byteLength}.`);
    }
    const block = this.#pool.take(byteLength);
    this.#ledger.take(kind, byteLength);
    return new Allocation(this.#nextId++, byteLength, kind, this, block);
  }

  free(buffer: DeviceBuffer): void {
    this.#errors.requireAlive("free");
    const block = this.#blockOf("free", buffer);
    const allocation = buffer as Allocation;
    allocation.block = undefined;
    this.#pool.give(block);
    this.#ledger.give(allocation.kind, buffer.byteLength);
  }

  write(tensor: TensorRef, data: TensorData): void {
    this.#errors.requireAlive("write");
    const dtype = data instanceof Uint32Array ? "u32" : "f32";
    if (dtype !== tensor.dtype) throw new ShapeError(`write: data must be ${tensor.dtype}, got ${dtype}.`);
    const binding = this.#bindingOf("write", tensor);
    if (binding.bytes !== data.byteLength) {
      throw new ShapeError(`write: the tensor holds ${binding.bytes / 4} elements, got ${data.length}.`);
    }
    if (data.length === 0) return;
    // The queue runs a write before whatever is recorded but not yet submitted.
    if (binding.block.batch === this.#recorder.batch) this.#flush();
    this.#gpu.queue.writeBuffer(binding.block.gpu, binding.offset, data.buffer, data.byteOffset, data.byteLength);
    this.counters.uploadBytes += data.byteLength;
  }

  copy(from: TensorRef, to: TensorRef): void {
    this.#errors.requireAlive("copy");
    const source = this.#bindingOf("copy", from);
    const target = this.#bindingOf("copy", to);
    if (source.bytes !== target.bytes) {
      throw new ShapeError(`copy: both tensors must hold equally many elements, got ${source.bytes / 4} and ${target.bytes / 4}.`);
    }
    if (source.bytes > 0) this.#copy(source, target);
  }

  dispatch(entry: EntryPoint, args: DispatchArgs): void {
    this.#errors.requireAlive(entry.name);
    const plan = plans.get(entry.name);
    if (!plan) throw new DeviceError(`${entry.name}: the webgpu device must implement it, got no plan.`);
    const call = bind(entry, args);
    const bindings = call.tensors.map((tensor) => tensor && this.#bindingOf(entry.name, tensor));
    if (entry.tensors.every((spec, i) => spec.role === "in" || !bindings[i]?.bytes)) return;
    this.#refuseOverlap(entry, bindings);
    if (this.#recorder.isFull) this.#flush();
    this.#call = call;
    this.#calls.push(call);
    try {
      plan.run(this.#context, bindings, call.values);
    } finally {
      this.#call = undefined;
      for (const block of this.#scratch) {
        this.#pool.give(block);
        this.#ledger.give("scratch", block.capacity);
      }
      this.#scratch.length = 0;
    }
    this.counters.pipelines = this.#pipelines.size;
    if (this.#isDebug) this.#flush();
  }

  async prepare(entries: readonly EntryPoint[], sizes: Readonly<Record<string, number>> = {}): Promise<void> {
    this.#errors.requireAlive("prepare");
    const needed = entries.flatMap((entry) => plans.get(entry.name)?.programs(this.#context, sizes) ?? []);
    const programs = new Set(needed.map((program) => this.#chosen(program)));
    await this.#pipelines.prepare([...programs]);
    this.counters.pipelines = this.#pipelines.size;
  }

  async read(tensor: TensorRef): Promise<TensorData> {
    this.#errors.requireAlive("read");
    const source = this.#bindingOf("read", tensor);
    const Data = tensor.dtype === "u32" ? Uint32Array : Float32Array;
    this.counters.readbacks += 1;
    this.counters.readbackBytes += source.bytes;
    if (source.bytes === 0) {
      await this.sync();
      return new Data(0);
    }
    const staging = this.#staging.take(source.bytes);
    try {
      this.#recorder.copyOut(source, staging.gpu);
      this.#flush();
      await this.#settle("read", staging.gpu.mapAsync(MAP_READ, 0, source.bytes));
      const data = new Data(staging.gpu.getMappedRange(0, source.bytes).slice(0));
      staging.gpu.unmap();
      return data;
    } finally {
      this.#staging.give(staging);
    }
  }

  async sync(): Promise<void> {
    this.#errors.requireAlive("sync");
    this.#flush();
    await this.#settle("sync", this.#gpu.queue.onSubmittedWorkDone());
  }

  memory(): DeviceMemory {
    return this.#ledger.report(this.#pool.peakBytes);
  }

  async destroy(): Promise<void> {
    try {
      this.#errors.requireAlive("destroy");
      this.#flush();
      await this.#gpu.queue.onSubmittedWorkDone();
    } catch {
      // Nothing is left to wait for on a device that is already gone.
    }
    this.#errors.close(new DeviceError("the device must be alive, got one that was destroyed. Make a new one."));
    this.#recorder.destroy();
    this.#timestamps?.destroy();
    this.#pool.destroy();
    this.#staging.destroy();
    this.#ledger.clear();
    if (this.#isOwned) this.#gpu.destroy();
  }

  /** Waits for the GPU and for its error reports; what they say comes before a rejection they caused. */
  async #settle(what: string, work: Promise<undefined>): Promise<void> {
    let rejection: unknown;
    try {
      await work;
    } catch (error) {
      rejection = error;
    }
    await this.#errors.settle();
    this.#errors.requireAlive(what);
    if (rejection !== undefined)
      throw new DeviceError(`${what}: the GPU must finish its work, got: ${String(rejection)}`, { cause: rejection });
    await this.#timestamps?.settle();
  }

  #withChoices<T>(choices: TuningChoices, work: () => T): T {
    const own = this.#choices;
    this.#choices = choices;
    try {
      return work();
    } finally {
      this.#choices = own;
    }
  }

  #dispatchTimed(entry: EntryPoint, args: DispatchArgs, report: TimeReport): void {
    this.#report = report;
    try {
      this.dispatch(entry, args);
    } finally {
      this.#report = undefined;
    }
  }

  #flush(): void {
    if (this.#recorder.isEmpty) return;
    this.#recorder.submit();
    this.#calls = this.#call ? [this.#call] : [];
    this.counters.submits += 1;
  }

  #copy(from: Binding, to: Binding): void {
    if (from.block !== to.block) {
      this.#recorder.copy(from, to);
      return;
    }
    // WebGPU copies between different buffers only.
    const detour = this.#pool.take(from.bytes);
    this.#recorder.copy(from, { block: detour, offset: 0, bytes: from.bytes });
    this.#recorder.copy({ block: detour, offset: 0, bytes: from.bytes }, to);
    this.#pool.give(detour);
  }

  /** Encodes one dispatch. A buffer cannot be bound for reading and for writing at once: such a read goes through a copy. */
  #run(program: Program, bindings: readonly (Binding | undefined)[], values: Readonly<Record<string, number>>, grid: Grid): void {
    if (this.#recorder.isFull) this.#flush();
    let bound = bindings;
    for (let i = 0; i < bindings.length; i++) {
      const input = bindings[i];
      if (!input || input.bytes === 0 || program.access[i] !== "r") continue;
      if (!bindings.some((other, j) => program.access[j] === "w" && other?.block === input.block)) continue;
      const copy = this.#context.scratch(input.bytes);
      this.#recorder.copy(input, copy);
      bound = bound.with(i, copy);
    }
    this.#recorder.dispatch(this.#chosen(program), bound, values, grid, this.#report);
    this.counters.dispatches += 1;
  }

  /** The program, or the one with subgroups where that was chosen. */
  #chosen(program: Program): Program {
    const { withSubgroups } = program;
    return withSubgroups && this.#choices[withSubgroups.of] ? withSubgroups.program : program;
  }

  /** A written tensor may not share memory with another tensor of the same call: a GPU gives no meaning to that. */
  #refuseOverlap(entry: EntryPoint, bindings: readonly (Binding | undefined)[]): void {
    entry.tensors.forEach((written, i) => {
      const a = bindings[i];
      if (written.role === "in" || !a) return;
      bindings.forEach((b, j) => {
        if (!b || i === j || a.block !== b.block) return;
        if (a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes) {
          const name = entry.tensors[j]?.name;
          throw new DeviceError(`${entry.name}: \`${written.name}\` is written and must not overlap \`${name}\`, got overlapping views.`);
        }
      });
    });
  }

  #blockOf(what: string, buffer: DeviceBuffer): Block {
    const block = buffer instanceof Allocation && buffer.owner === this ? buffer.block : undefined;
    if (!block) throw new DeviceError(`${what}: buffer ${buffer.id} must be live and of this device, got one that is freed or foreign.`);
    return block;
  }

  #bindingOf(what: string, tensor: TensorRef): Binding {
    const block = this.#blockOf(what, tensor.buffer);
    const bytes = elementCount(tensor.shape) * 4;
    if (tensor.byteOffset % 4 !== 0 || tensor.byteOffset + bytes > tensor.buffer.byteLength) {
      throw new ShapeError(
        `${what}: (${tensor.shape.join(", ")}) at byte ${tensor.byteOffset} must lie inside its buffer of ${tensor.buffer.byteLength} bytes.`,
      );
    }
    return { block, offset: tensor.byteOffset, bytes };
  }
}

function nameOf({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return description || device || [vendor, architecture].filter(Boolean).join(" ") || "unknown GPU";
}

/** True for GPUs that a CPU plays: Mesa's llvmpipe, SwiftShader, Windows' basic renderer. */
function isEmulated(info: GPUAdapterInfo): boolean {
  if (info.isFallbackAdapter) return true;
  return /llvmpipe|lavapipe|swiftshader|basic render|software/i.test(`${info.description} ${info.device} ${info.architecture}`);
}
