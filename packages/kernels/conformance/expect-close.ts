/** The one comparison of numbers: a tolerance that cannot be loosened away, and a message that says where it broke. */
import { TrimtabError } from "../src/errors";

/**
 * THE RULE. A number passes when |actual - expected| <= atol + rtol · magnitude, where magnitude is
 *  - "element": |expected|;
 *  - "row": the larger of |expected| and the root mean square of its row (the last axis; the whole array when there is one axis);
 *  - "array": the larger of |expected| and the root mean square of the whole array.
 * Sums of many terms lose digits relative to their terms, not to their result, hence rows. NaN passes only for NaN, an infinity only for the
 * same infinity, and neither rtol nor atol may exceed {@link LOOSEST}.
 */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
  readonly scale: "element" | "row" | "array";
}

/** For f32 devices against f64, unless a case states another with its reason. */
export const DEFAULT_TOLERANCE: Tolerance = { rtol: 1e-5, atol: 1e-6, scale: "row" };

/** No tolerance may be looser: above this a test no longer tests. */
export const LOOSEST = 1e-2;

/** Two arrays differ by more than the tolerance, or in length. */
export class MismatchError extends TrimtabError {
  constructor(message: string) {
    super("MISMATCH", message);
  }
}

/** A comparison was asked to accept anything. */
export class ToleranceError extends TrimtabError {
  constructor(message: string) {
    super("TOLERANCE", message);
  }
}

export interface ExpectCloseOptions extends Partial<Tolerance> {
  /** What is compared, for the message. */
  readonly label?: string;
  /** Length of a row for scale "row"; the whole array by default. */
  readonly rowLength?: number;
}

/** Throws MismatchError unless every element passes {@link Tolerance}; returns the worst error as a fraction of what is allowed. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, options: ExpectCloseOptions = {}): number {
  const { rtol, atol, scale } = { ...DEFAULT_TOLERANCE, ...options };
  const label = options.label ?? "expectClose";
  for (const [name, value] of Object.entries({ rtol, atol })) {
    if (!(value >= 0 && value <= LOOSEST)) throw new ToleranceError(`${label}: ${name} must be between 0 and ${LOOSEST}, got ${value}.`);
  }
  if (actual.length !== expected.length) throw new MismatchError(`${label}: must hold ${expected.length} elements, got ${actual.length}.`);
  const rowLength = scale === "row" ? (options.rowLength ?? expected.length) : scale === "array" ? expected.length : 1;
  let worst = 0;
  let worstAt = -1;
  let failures = 0;
  for (let row = 0; row < expected.length; row += rowLength) {
    const end = Math.min(row + rowLength, expected.length);
    const rms = rootMeanSquare(expected, row, end);
    for (let i = row; i < end; i++) {
      const allowed = atol + rtol * Math.max(Math.abs(expected[i]!), rms);
      const ratio = errorRatio(actual[i]!, expected[i]!, allowed);
      if (ratio > 1) failures += 1;
      if (ratio > worst) [worst, worstAt] = [ratio, i];
    }
  }
  if (failures > 0) {
    throw new MismatchError(
      `${label}: ${failures} of ${expected.length} elements differ; the worst is [${worstAt}]: must be ${expected[worstAt]}, got ` +
        `${actual[worstAt]}, ${worst.toPrecision(3)} times the allowed error (rtol ${rtol}, atol ${atol}, scale ${scale}).`,
    );
  }
  return worst;
}

/** |actual - expected| / allowed: 0 when they are equal or both NaN, infinite when only one is finite. */
function errorRatio(actual: number, expected: number, allowed: number): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return Number.POSITIVE_INFINITY;
  return Math.abs(actual - expected) / allowed;
}

/** Over the finite elements begin .. end - 1; 0 when there are none. */
function rootMeanSquare(values: ArrayLike<number>, begin: number, end: number): number {
  let sum = 0;
  let count = 0;
  for (let i = begin; i < end; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    sum += value * value;
    count += 1;
  }
  return count === 0 ? 0 : Math.sqrt(sum / count);
}
