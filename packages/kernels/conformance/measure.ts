/** The performance mode: the time of one case at one size, with the arithmetic and the bytes that its contract implies. */
import { elementCount } from "../src/bind";
import { type Cost, costOf } from "../src/cost";
import type { Device, DeviceBuffer, TensorRef } from "../src/device";
import { type Case, dataOf, roundScalars, shapeOf, type Values } from "./case";

export interface MeasureOptions {
  /** A clock in milliseconds; kernels has none of its own. */
  readonly now: () => number;
  /** Optional tensors to leave out. */
  readonly absent?: readonly string[];
  /** Timed samples, after one warm-up; 7 by default. */
  readonly samples?: number;
  /** Dispatches are grouped until one sample takes about this long; 20 ms by default. */
  readonly sampleMs?: number;
}

export interface Measurement {
  readonly entry: string;
  readonly name: string;
  readonly values: Values;
  /** Of one dispatch. */
  readonly medianMs: number;
  readonly bestMs: number;
  /** Of one dispatch. */
  readonly cost: Cost;
  /** Rates at the median. */
  readonly gflops: number;
  readonly gigabytesPerSecond: number;
  readonly dispatchesPerSample: number;
}

/** Times `item` at `values` (any size, not only the case's own). Outputs are not checked here: conformance does that. */
export async function measure(device: Device, item: Case, values: Values, options: MeasureOptions): Promise<Measurement> {
  const { now, absent = [], samples = 7, sampleMs = 20 } = options;
  const { entry } = item;
  const rounded = roundScalars(entry, values);
  const data = dataOf({ id: `measure ${entry.name}`, case: item, values, absent }, true);
  const buffers: DeviceBuffer[] = [];
  try {
    const tensors: Record<string, TensorRef> = {};
    for (const spec of entry.tensors) {
      if (absent.includes(spec.name)) continue;
      const shape = shapeOf(entry, spec, rounded);
      const buffer = device.alloc(elementCount(shape) * 4);
      buffers.push(buffer);
      const tensor: TensorRef = { buffer, byteOffset: 0, shape, dtype: spec.dtype };
      tensors[spec.name] = tensor;
      const initial = data[spec.name];
      if (initial) device.write(tensor, initial);
    }
    const args = { tensors, scalars: Object.fromEntries(entry.scalars.map(({ name }) => [name, rounded[name] as number])) };
    const time = async (dispatches: number) => {
      const begin = now();
      for (let i = 0; i < dispatches; i++) device.dispatch(entry, args);
      await device.sync();
      return (now() - begin) / dispatches;
    };
    await device.sync();
    await time(1);
    const once = await time(1);
    const dispatchesPerSample = Math.max(1, Math.min(1000, Math.round(sampleMs / Math.max(once, 1e-3))));
    const times: number[] = [];
    for (let i = 0; i < samples; i++) times.push(await time(dispatchesPerSample));
    times.sort((a, b) => a - b);
    const medianMs = times[Math.floor(times.length / 2)] as number;
    const cost = costOf(entry, { ...values, ...Object.fromEntries(absent.map((name) => [`has_${name}`, 0])) });
    return {
      entry: entry.name,
      name: item.name,
      values,
      medianMs,
      bestMs: times[0] as number,
      cost,
      gflops: cost.flops / medianMs / 1e6,
      gigabytesPerSecond: cost.bytes / medianMs / 1e6,
      dispatchesPerSample,
    };
  } finally {
    for (const buffer of buffers) device.free(buffer);
  }
}
