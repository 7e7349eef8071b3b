/** Rotary position tables, with the frequency scalings of published checkpoints. */
import { ArgumentError, requireInteger } from "./argument-error";
import { host, Scratch } from "./host-module";

/** How a checkpoint stretches its rotary frequencies beyond its training length. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    };

/** What {@link ropeTable} needs. */
export interface RopeTableOptions {
  /** D: rotated channels of a head; even. */
  readonly headDim: number;
  /** P: rows of the tables. */
  readonly maxPositions: number;
  /** Base of the frequencies. */
  readonly theta: number;
  readonly scaling?: RopeScaling;
}

const f = Math.fround;

/**
 * Inverse frequencies (D / 2), f32 step by step as transformers computes them: 1 / theta^(2i / D), then the scaling
 * (`_compute_linear_scaling_rope_parameters`, `_compute_llama3_parameters` of transformers' modeling_rope_utils.py).
 */
export function ropeFrequencies({
  headDim,
  theta,
  scaling = { type: "default" },
}: Omit<RopeTableOptions, "maxPositions">): Float32Array<ArrayBuffer> {
  requireInteger("ropeFrequencies", "headDim", headDim, 2);
  if (headDim % 2 !== 0)
    throw new ArgumentError(`ropeFrequencies: headDim must be even, got ${headDim}. Rotate an even number of channels.`);
  const frequencies = new Float32Array(headDim / 2);
  for (let i = 0; i < frequencies.length; i++) {
    frequencies[i] = f(1 / f(host().pow(theta, f((2 * i) / headDim))));
  }
  switch (scaling.type) {
    case "default":
      return frequencies;
    case "linear":
      return frequencies.map((x) => x / scaling.factor);
    case "llama3":
      return frequencies.map((x) => llama3Frequency(x, scaling));
    default:
      throw new ArgumentError(
        `ropeFrequencies: scaling.type must be "default", "linear" or "llama3", got ${JSON.stringify((scaling as { type: string }).type)}. Use a checkpoint with one of these.`,
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

/** cos and sin of position * inverse frequency, each (P, D / 2) f32, row-major. */
export function ropeTable(options: RopeTableOptions): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  requireInteger("ropeTable", "maxPositions", options.maxPositions, 1);
  const frequencies = ropeFrequencies(options);
  const length = options.maxPositions * frequencies.length;
  const scratch = new Scratch();
  const from = scratch.f32(frequencies);
  const cos = scratch.reserve(length * 4);
  const sin = scratch.reserve(length * 4);
  host().rope_table(cos, sin, from, options.maxPositions, frequencies.length, 1);
  return { cos: scratch.takeF32(cos, length), sin: scratch.takeF32(sin, length) };
}
