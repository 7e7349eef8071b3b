/** What the engine asks of a device: memory, transfers, dispatch. Three devices implement it: reference, wasm, webgpu. */
import type { Dtype, EntryPoint } from "./contract";
import { type DeviceError, OutOfMemoryError } from "./errors";
import type { DeviceTuning } from "./tuning";

export type DeviceKind = "reference" | "wasm" | "webgpu";

/** An allocation. Untyped and owned by one device; never shared between devices. */
export interface DeviceBuffer {
  readonly id: number;
  readonly byteLength: number;
}

/** A contiguous typed window on a buffer. `byteOffset` is a multiple of {@link VIEW_ALIGNMENT}. */
export interface TensorRef {
  readonly buffer: DeviceBuffer;
  readonly byteOffset: number;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}

/** Bytes to which views into a shared buffer are aligned, on every device (WebGPU's default storage offset alignment). */
export const VIEW_ALIGNMENT = 256;

export type TensorData = Float32Array | Uint32Array;

export interface DeviceInfo {
  readonly kind: DeviceKind;
  /** Human-readable: what is really running, e.g. "wasm (relaxed SIMD, 2 threads)" or "webgpu (llvmpipe, software)". */
  readonly name: string;
  /** Worker threads taking part, the calling one included; 1 on webgpu and reference. */
  readonly threads: number;
  /** True where fused multiply-add may change the last bit (the relaxed wasm build). */
  readonly relaxed: boolean;
  /** True for a GPU emulated on the CPU; `createDevice("auto")` never picks one. */
  readonly software: boolean;
  /** Largest single allocation or binding in bytes. */
  readonly maxBufferBytes: number;
  /** All memory this device may hand out, in bytes, if known. */
  readonly memoryBytes: number | undefined;
  /**
   * Rows up to which products of matrices take one path, and beyond which another: on either side of it a row has the same bits whatever the other
   * rows are. Undefined where that is so for any number of rows (reference), or for none (webgpu).
   */
  readonly fewRows?: number | undefined;
  /**
   * What the device took from a tuning table, which changes the last bits of results; `name` says "tuned" where that is anything. Undefined where
   * there is no table.
   */
  readonly tuning?: DeviceTuning | undefined;
  /** True for a device that holds no data and computes nothing: one to plan with. */
  readonly isDry?: boolean;
}

/** Running totals since the device was made; differences between two readings describe a step. */
export interface DeviceCounters {
  dispatches: number;
  /** Command buffers submitted (webgpu) or parallel phases run (wasm). */
  submits: number;
  /** Distinct compiled pipelines. */
  pipelines: number;
  readbacks: number;
  readbackBytes: number;
  uploadBytes: number;
  /** Bytes now handed out, pooled memory not counted. */
  liveBytes: number;
  peakBytes: number;
}

/** An option of every device. */
export interface BufferLimit {
  /** Most bytes of one buffer, at most what the device allows by itself; smaller to compute as on a device with small buffers. */
  readonly maxBufferBytes?: number | undefined;
}

/** Throws OutOfMemoryError for a buffer that is larger than a device's may be. */
export function requireBufferSize({ maxBufferBytes, name }: DeviceInfo, byteLength: number): void {
  if (byteLength <= maxBufferBytes) return;
  throw new OutOfMemoryError(
    `alloc: a buffer must be at most ${maxBufferBytes} bytes on ${name}, got ${byteLength}. Use smaller tensors or a smaller batch.`,
    byteLength,
    maxBufferBytes,
  );
}

/** Where every device's counters start. */
export function newCounters(): DeviceCounters {
  return {
    dispatches: 0,
    submits: 0,
    pipelines: 0,
    readbacks: 0,
    readbackBytes: 0,
    uploadBytes: 0,
    liveBytes: 0,
    peakBytes: 0,
  };
}

/** What memory is for. Scratch is what single ops need while they run. */
export const MEMORY_KINDS = ["weights", "gradients", "optimizer", "activations", "logits", "cache", "scratch", "other"] as const;
export type MemoryKind = (typeof MEMORY_KINDS)[number];

/** A device's memory by what it is for, in bytes. */
export interface DeviceMemory {
  /** In use now. */
  readonly live: Readonly<Record<MemoryKind, number>>;
  /** In use at the moment when most was. */
  readonly atPeak: Readonly<Record<MemoryKind, number>>;
  /** The most that the device has needed at once, with what rounding and fragments cost: what must fit `info.memoryBytes`. */
  readonly peakBytes: number;
}

export interface DispatchArgs {
  readonly tensors: Readonly<Record<string, TensorRef | undefined>>;
  readonly scalars?: Readonly<Record<string, number>>;
}

/** Told which phase of a step the work belongs to that is dispatched and done. */
export interface PhaseMarks {
  /** Runs `work`, or awaits it, as part of a phase. */
  within<T>(phase: string, work: () => T): T;
}

export interface Device {
  readonly info: DeviceInfo;
  readonly counters: Readonly<DeviceCounters>;
  /** There on a device that is profiled. */
  readonly profiler?: PhaseMarks | undefined;
  /** Resolves, with the reason, when the device is gone although nobody destroyed it. Undefined where that cannot happen. */
  readonly lost?: Promise<DeviceError>;
  /** Allocates at least `byteLength` bytes; contents are undefined. `kind` is for {@link memory}; default "other". Throws OutOfMemoryError. */
  alloc(byteLength: number, kind?: MemoryKind): DeviceBuffer;
  /** Returns a buffer to the device's pool. Work already dispatched on it still completes. */
  free(buffer: DeviceBuffer): void;
  /** Copies host data into a tensor, in order with the dispatches around it. */
  write(tensor: TensorRef, data: TensorData): void;
  /** Copies `from` into `to` on the device; shapes must hold equally many elements. */
  copy(from: TensorRef, to: TensorRef): void;
  /** Runs one entry point; shapes are checked first (ShapeError). Returns before the work is done. */
  dispatch(entry: EntryPoint, args: DispatchArgs): void;
  /**
   * As {@link dispatch}; `report` is told the milliseconds it took on the device's own clock, in parts and later, at the latest when `read` or `sync`
   * resolves. Undefined where `dispatch` returns no sooner than the work is done (wasm, reference), and on GPUs without timestamps.
   */
  readonly dispatchTimed?: ((entry: EntryPoint, args: DispatchArgs, report: (ms: number) => void) => void) | undefined;
  /** Waits for the work so far and returns the tensor's values. Throws DeviceError when any of that work failed. */
  read(tensor: TensorRef): Promise<TensorData>;
  /** Waits for the work so far. */
  sync(): Promise<void>;
  /** What the memory is used for, now and at its peak since the device was made. */
  memory(): DeviceMemory;
  /** Frees everything; the device is unusable afterwards. */
  destroy(): Promise<void>;
}
