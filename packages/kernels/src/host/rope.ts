/** Rotary position tables, with the frequency scalings of published checkpoints. */
import { ArgumentError, requireInteger } from "./argument-error";
import { host, Scratch } from "./host-module";

/** How a checkpoint stretches its rotary frequencies beyond its training length. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      /** NTK-aware scaling that grows with the row. Rows up to the original length, the only ones here, turn as without it. */
      readonly type: "dynamic";
      readonly factor: number;
    }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
  | {
      /** YaRN (Peng et al. 2023): a channel that turns more than `betaFast` times in the original length stays, one below `betaSlow` turns is slowed. */
      readonly type: "yarn";
      readonly factor: number;
      readonly originalMaxPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** The bounds between which channels are blended are rounded outwards. */
      readonly truncate: boolean;
      /** Of the tables' entries. */
      readonly attentionFactor: number;
    }
  | {
      /** One factor a frequency, for rows up to the original length and for longer ones. */
      readonly type: "longrope";
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalMaxPositions: number;
      /** Of both tables' entries. */
      readonly attentionFactor: number;
    };

/** What {@link ropeTable} needs. */
export interface RopeTableOptions {
  /** D: rotated channels of a head; even. */
  readonly headDim: number;
  /** P: positions. */
  readonly maxPositions: number;
  /** Base of the frequencies. */
  readonly theta: number;
  readonly scaling?: RopeScaling;
}

const f = Math.fround;

/**
 * Inverse frequencies (D / 2), f32 step by step as transformers computes them: 1 / theta^(2i / D), then the scaling
 * (`_compute_linear_scaling_rope_parameters`, `_compute_llama3_parameters`, `_compute_yarn_parameters` and `_compute_longrope_parameters` of
 * transformers' modeling_rope_utils.py). `isLong` chooses between the factors of LongRoPE.
 */
export function ropeFrequencies({
  headDim,
  theta,
  scaling = { type: "default" },
  isLong = false,
}: Omit<RopeTableOptions, "maxPositions"> & { readonly isLong?: boolean }): Float32Array<ArrayBuffer> {
  requireInteger("ropeFrequencies", "headDim", headDim, 2);
  if (headDim % 2 !== 0)
    throw new ArgumentError(`ropeFrequencies: headDim must be even, got ${headDim}. Rotate an even number of channels.`);
  const powers = Float32Array.from({ length: headDim / 2 }, (_, i) => host().pow(theta, f((2 * i) / headDim)));
  const factors = scaling.type === "longrope" ? (isLong ? scaling.longFactors : scaling.shortFactors) : undefined;
  if (factors && factors.length !== powers.length) {
    throw new ArgumentError(
      `ropeFrequencies: the factors of LongRoPE must be ${powers.length} for ${headDim} channels, got ${factors.length}. Check the checkpoint.`,
    );
  }
  const frequencies = powers.map((power, i) => 1 / (factors ? f(f(factors[i] as number) * power) : power));
  switch (scaling.type) {
    case "default":
    case "dynamic":
    case "longrope":
      return frequencies;
    case "linear":
      return frequencies.map((x) => x / scaling.factor);
    case "llama3":
      return frequencies.map((x) => llama3Frequency(x, scaling));
    case "yarn": {
      const ramp = yarnRamp(headDim, theta, scaling);
      return frequencies.map((x, i) => {
        const kept = f(1 - ramp(i));
        const slowed = f(1 / f(scaling.factor * (powers[i] as number)));
        return f(f(slowed * f(1 - kept)) + f(x * kept));
      });
    }
    default:
      throw new ArgumentError(
        `ropeFrequencies: scaling.type must be "default", "linear", "dynamic", "llama3", "yarn" or "longrope", got ${JSON.stringify((scaling as { type: string }).type)}. Use a checkpoint with one of these.`,
      );
  }
}

/** Long wavelengths are slowed by the factor, short ones kept, those between are blended. */
function llama3Frequency(frequency: number, scaling: Extract<RopeScaling, { type: "llama3" }>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const wavelength = f((2 * Math.PI) / frequency);
  if (wavelength > originalMaxPositions / lowFreqFactor) return f(frequency / factor);
  if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
  const smooth = f(f(f(originalMaxPositions / wavelength) - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
  return f(f(f(f(1 - smooth) * frequency) / factor) + f(smooth * frequency));
}

/** How far channel i is slowed: 0 up to the channel that turns `betaFast` times in the original length, 1 from that on which turns `betaSlow` times. */
function yarnRamp(headDim: number, theta: number, scaling: Extract<RopeScaling, { type: "yarn" }>): (i: number) => number {
  const { originalMaxPositions, betaFast, betaSlow, truncate } = scaling;
  const { log } = host();
  const channel = (turns: number) => (headDim * log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * log(theta));
  const [fast, slow] = [channel(betaFast), channel(betaSlow)];
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(truncate ? Math.ceil(slow) : slow, headDim - 1);
  const width = low === high ? 0.001 : high - low;
  return (i) => Math.min(Math.max(f(f(i - f(low)) / f(width)), 0), 1);
}

/**
 * cos and sin of position * inverse frequency, each (P, D / 2) f32, row-major. With LongRoPE (O + P, D / 2): O = the original length, at most P, rows
 * of a short sequence, then P rows of a long one. YaRN's and LongRoPE's are times the attention factor.
 */
export function ropeTable(options: RopeTableOptions): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const { maxPositions, scaling } = options;
  requireInteger("ropeTable", "maxPositions", maxPositions, 1);
  if (scaling?.type === "yarn") {
    const { cos, sin } = tablesOf(ropeFrequencies(options), maxPositions);
    const scaled = (table: Float32Array<ArrayBuffer>) => table.map((value) => value * scaling.attentionFactor);
    return { cos: scaled(cos), sin: scaled(sin) };
  }
  if (scaling?.type !== "longrope") return tablesOf(ropeFrequencies(options), maxPositions);
  const { originalMaxPositions, attentionFactor } = scaling;
  const short = tablesOf(ropeFrequencies(options), Math.min(originalMaxPositions, maxPositions));
  const long = tablesOf(ropeFrequencies({ ...options, isLong: true }), maxPositions);
  const joined = (a: Float32Array, b: Float32Array) => {
    const table = new Float32Array(a.length + b.length);
    table.set(a);
    table.set(b, a.length);
    return table.map((value) => value * attentionFactor);
  };
  return { cos: joined(short.cos, long.cos), sin: joined(short.sin, long.sin) };
}

/** cos and sin of the first `count` positions. */
function tablesOf(frequencies: Float32Array, count: number): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const length = count * frequencies.length;
  const scratch = new Scratch();
  const from = scratch.f32(frequencies);
  const cos = scratch.reserve(length * 4);
  const sin = scratch.reserve(length * 4);
  host().rope_table(cos, sin, from, count, frequencies.length, 1);
  return { cos: scratch.takeF32(cos, length), sin: scratch.takeF32(sin, length) };
}
