/** A device that is profiled: the same device, with every dispatch and transfer timed and counted. */
import { bind, type Cost, costOf, type Device, DeviceError, elementCount, type TensorRef } from "@trimtab/kernels";
import { type Phase, Profiler, type ProfilerOptions } from "./profiler";

/** Has {@link Profiler.take} tell where the time went. */
export interface ProfiledDevice extends Device {
  readonly profiler: Profiler;
}

/**
 * Wraps a device; a device that is not wrapped pays nothing. On wasm and the reference device the host's clock runs around each dispatch; on webgpu
 * each op gets passes of its own with timestamps, which a GPU can take its time over: the sum is longer than without profiling. Throws DeviceError
 * where a GPU has no timestamps.
 */
export function profiled(device: Device, options: ProfilerOptions): ProfiledDevice {
  const { dispatchTimed } = device;
  const isQueued = device.info.kind === "webgpu";
  if (isQueued && !dispatchTimed) {
    throw new DeviceError(`profiled: ${device.info.name} must have timestamp queries, got none. Profile on wasm, or in another browser.`);
  }
  const profiler = new Profiler(options, isQueued);
  /** Transfers of a queue cannot be timed apart from the work around them. */
  const transfer = <T>(name: string, cost: Cost, work: () => T): T => (isQueued ? work() : profiler.time(name, cost, work));
  return {
    profiler,
    info: device.info,
    counters: device.counters,
    lost: device.lost,
    alloc: (...args) => device.alloc(...args),
    free: (buffer) => device.free(buffer),
    write: (tensor, data) => transfer("write", moving(tensor), () => device.write(tensor, data)),
    copy: (from, to) => transfer("copy", moving(from), () => device.copy(from, to)),
    dispatch(entry, args) {
      const cost = costOf(entry, bind(entry, args).values);
      if (dispatchTimed) dispatchTimed(entry, args, profiler.count(entry.name, cost));
      else profiler.time(entry.name, cost, () => device.dispatch(entry, args));
    },
    read: (tensor) => transfer("read", moving(tensor), () => device.read(tensor)),
    sync: () => device.sync(),
    memory: () => device.memory(),
    destroy: () => device.destroy(),
  };
}

/** The profiler of a device that {@link profiled} made; undefined for any other. */
export function profilerOf(device: Device): Profiler | undefined {
  return device.profiler instanceof Profiler ? device.profiler : undefined;
}

/** Runs `work`, or awaits it, as a phase of what is profiled; just runs it where nothing is. */
export function inPhase<T>(device: Device, phase: Phase, work: () => T): T {
  return device.profiler ? device.profiler.within(phase, work) : work();
}

/** Bytes read here and written there. */
const moving = ({ shape }: TensorRef): Cost => ({ flops: 0, bytes: 8 * elementCount(shape) });
