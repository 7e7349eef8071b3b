/** Runs trials on a device: guard bands round every tensor, NaN in every output, and the f64 reference as the oracle. */
import { elementCount } from "../src/bind";
import type { TensorSpec } from "../src/contract";
import type { Device, DeviceBuffer, TensorData, TensorRef } from "../src/device";
import { VIEW_ALIGNMENT } from "../src/device";
import { computeReference } from "../src/reference/index";
import { type Case, dataOf, roundScalars, type StatedTolerance, shapeOf, type Trial, trialsOf } from "./case";
import { cases as allCases } from "./cases/index";
import { expectClose, MismatchError } from "./expect-close";

/** Trials that a device does not run, and why; every skip is reported. */
export interface Skip {
  readonly reason: string;
  /** Entry point names, or beginnings of trial ids. */
  readonly cases: readonly string[];
}

export interface TrialResult {
  readonly id: string;
  readonly status: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped; empty when it passed. */
  readonly message: string;
  /** The worst error as a fraction of what is allowed. */
  readonly worst: number;
}

export interface ConformanceOptions {
  readonly device: Device;
  readonly cases?: readonly Case[];
  readonly skip?: readonly Skip[];
}

/** Runs every trial and yields its result; never throws for a failing trial. */
export async function* conformance({ device, cases = allCases, skip = [] }: ConformanceOptions): AsyncGenerator<TrialResult> {
  for (const trial of trialsOf(cases)) {
    const reason = skipReason(trial, skip);
    if (reason !== undefined) {
      yield { id: trial.id, status: "skipped", message: reason, worst: 0 };
      continue;
    }
    try {
      yield { id: trial.id, status: "passed", message: "", worst: await runTrial(device, trial) };
    } catch (error) {
      yield {
        id: trial.id,
        status: "failed",
        message: error instanceof Error ? error.message : String(error),
        worst: Number.POSITIVE_INFINITY,
      };
    }
  }
}

/** Why a trial is skipped, or undefined when it runs. */
export function skipReason(trial: Trial, skip: readonly Skip[]): string | undefined {
  return skip.find(({ cases }) => cases.some((name) => trial.id === name || trial.id.startsWith(`${name} `)))?.reason;
}

/** What a trial starts from and must come to, in f64; the same for every device. */
export interface Oracle {
  readonly data: Record<string, TensorData>;
  readonly expected: Readonly<Record<string, Float64Array>>;
}

export function oracleOf(trial: Trial): Oracle {
  const { entry } = trial.case;
  const data = dataOf(trial);
  return { data, expected: computeReference(entry, data, roundScalars(entry, trial.values)) };
}

/**
 * Runs one trial. Throws MismatchError when an output is off, a guard or an input has changed, and whatever the device
 * throws; returns the worst error as a fraction of what is allowed.
 */
export async function runTrial(device: Device, trial: Trial, { data, expected }: Oracle = oracleOf(trial)): Promise<number> {
  const { entry } = trial.case;
  const actual = await execute(device, trial, data);
  let worst = 0;
  for (const spec of entry.tensors) {
    const got = actual[spec.name];
    if (spec.role === "in" || got === undefined) continue;
    const want = expected[spec.name] as Float64Array;
    const label = `${trial.id}: \`${spec.name}\``;
    if (want.some(Number.isNaN) && !trial.case.mayBeNaN?.includes(spec.name)) {
      throw new MismatchError(`${label}: the reference must be free of NaN, got NaN at [${want.findIndex(Number.isNaN)}].`);
    }
    const tolerance = spec.dtype === "u32" ? EXACT : toleranceOf(trial.case, spec.name);
    const rowLength = spec.axes.length > 1 ? shapeOf(entry, spec, trial.values).at(-1) : undefined;
    worst = Math.max(worst, expectClose(got, want, { ...tolerance, label, ...(rowLength ? { rowLength } : {}) }));
  }
  return worst;
}

/**
 * Dispatches one trial and returns what every tensor holds afterwards, after checking guards and inputs. For comparing devices with each
 * other, e.g. bits of one thread with those of eight.
 */
export async function execute(device: Device, trial: Trial, data = dataOf(trial)): Promise<Record<string, TensorData>> {
  const { entry } = trial.case;
  const values = roundScalars(entry, trial.values);
  const placed: Placed[] = [];
  try {
    for (const spec of entry.tensors) {
      if (!trial.absent.includes(spec.name)) placed.push(place(device, spec, shapeOf(entry, spec, values), data[spec.name]));
    }
    const scalars = Object.fromEntries(entry.scalars.map(({ name }) => [name, values[name] as number]));
    device.dispatch(entry, { tensors: Object.fromEntries(placed.map(({ spec, tensor }) => [spec.name, tensor])), scalars });
    const after = await Promise.all(placed.map(({ whole }) => device.read(whole)));
    const result: Record<string, TensorData> = {};
    placed.forEach((item, i) => {
      result[item.spec.name] = inspect(item, after[i] as TensorData, trial.id, device.info.kind === "reference");
    });
    return result;
  } finally {
    for (const { buffer } of placed) device.free(buffer);
  }
}

const EXACT: StatedTolerance = { rtol: 0, atol: 0, reason: "integers" };

function toleranceOf(item: Case, output: string): Partial<StatedTolerance> {
  const stated = item.tolerance;
  if (stated === undefined) return {};
  return "reason" in stated ? (stated as StatedTolerance) : ((stated as Readonly<Record<string, StatedTolerance>>)[output] ?? {});
}

/** Bytes of guard on either side of a tensor; the first band also keeps the view aligned. */
export const GUARD_BYTES = VIEW_ALIGNMENT;
const GUARD_WORDS = GUARD_BYTES / 4;
/** A quiet NaN with a payload of its own, and a word that no index may take. */
const GUARD_BITS = { f32: 0x7fc0dead, u32: 0xa5a5a5a5 } as const;

/** A tensor between its guard bands. */
interface Placed {
  readonly spec: TensorSpec;
  readonly buffer: DeviceBuffer;
  readonly tensor: TensorRef;
  /** The buffer from its first byte to its last, in the tensor's dtype. */
  readonly whole: TensorRef;
  readonly before: Uint32Array;
  readonly count: number;
}

/** Allocates and fills guard, tensor, guard; a plain output starts as guard bits, i.e. NaN. */
function place(device: Device, spec: TensorSpec, shape: readonly number[], data: TensorData | undefined): Placed {
  const count = elementCount(shape);
  const before = new Uint32Array(count + 2 * GUARD_WORDS).fill(GUARD_BITS[spec.dtype]);
  if (data) before.set(bitsOf(data), GUARD_WORDS);
  const buffer = device.alloc(before.byteLength);
  const whole: TensorRef = { buffer, byteOffset: 0, shape: [before.length], dtype: spec.dtype };
  const tensor: TensorRef = { buffer, byteOffset: GUARD_BYTES, shape, dtype: spec.dtype };
  device.write(whole, spec.dtype === "u32" ? before.slice() : new Float32Array(before.slice().buffer));
  return { spec, buffer, tensor, whole, before, count };
}

/** Checks guards and, for an input, its data; returns the tensor's part. */
function inspect({ spec, before, count }: Placed, after: TensorData, id: string, isReference: boolean): TensorData {
  const words = bitsOf(after);
  const asFloats = new Float32Array(before.buffer);
  for (let i = 0; i < before.length; i++) {
    const isGuard = i < GUARD_WORDS || i >= GUARD_WORDS + count;
    if (!isGuard && spec.role !== "in") continue;
    // The reference stores numbers, not bits: a NaN comes back as some NaN.
    const isSame = words[i] === before[i] || (isReference && spec.dtype === "f32" && Object.is(after[i], asFloats[i]));
    if (isSame) continue;
    const what = isGuard ? "guard band" : "input";
    throw new MismatchError(
      `${id}: the ${what} of \`${spec.name}\` must not change, got ${after[i]} at element ${i - GUARD_WORDS} of ${count}.`,
    );
  }
  return after.slice(GUARD_WORDS, GUARD_WORDS + count);
}

const bitsOf = (data: TensorData): Uint32Array => new Uint32Array(data.buffer, data.byteOffset, data.length);
