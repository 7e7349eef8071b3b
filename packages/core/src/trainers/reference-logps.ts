/** What the reference makes of a dataset's completions: computed step by step, or all at once before training. */
import type { Decoder } from "../models/decoder";
import type { OptionChecks } from "./options";
import { openMovingReference, type ReferenceOptions, type ReferenceSettings, resolveReference } from "./reference-model";
import { type PassLimits, sequenceLogps, type WeightedSequence } from "./sequence-logps";
import type { TrainedModels } from "./training-state";

export interface ReferenceLogpsOptions extends ReferenceOptions {
  /** Compute the reference's log-probabilities of the whole dataset before training: no second model in memory. Default false. */
  readonly precomputeRefLogProbs?: boolean | undefined;
}

export interface ReferenceLogpsSettings {
  readonly referenceModel: ReferenceSettings;
  readonly precomputeRefLogProbs: boolean;
}

/** Fills in defaults and notes what is wrong in `checks`. */
export function resolveReferenceLogps(options: ReferenceLogpsOptions, decoder: Decoder, checks: OptionChecks): ReferenceLogpsSettings {
  const { precomputeRefLogProbs = false, syncRefModel = false } = options;
  checks.check("precomputeRefLogProbs", precomputeRefLogProbs, !(syncRefModel && precomputeRefLogProbs), "false with syncRefModel");
  return { referenceModel: resolveReference(options, decoder, true, checks), precomputeRefLogProbs };
}

export interface ReferenceLogps {
  /** Σ log π_ref of every sequence of these examples, one example after another. */
  of(indices: readonly number[]): Promise<Float32Array>;
  /** To be called after every optimiser step, counted from 1: moves a reference that follows the policy. */
  follow(step: number): void;
  /** What a checkpoint must hold of it. */
  readonly others: TrainedModels["others"];
  dispose(): void;
}

/** `examples[i]` are the sequences of dataset example i. The caller disposes of the result. */
export async function openReferenceLogps(
  decoder: Decoder,
  examples: readonly (readonly WeightedSequence[])[],
  { referenceModel, precomputeRefLogProbs }: ReferenceLogpsSettings,
  limits: PassLimits,
): Promise<ReferenceLogps> {
  if (precomputeRefLogProbs) {
    const { option } = referenceModel;
    const initial = decoder.adapter ? decoder.withAdapter(undefined) : decoder;
    const all = await sequenceLogps(option === "initial" ? initial : option.decoder, examples.flat(), limits);
    const byExample: Float32Array[] = [];
    let at = 0;
    for (const { length } of examples) {
      byExample.push(all.subarray(at, at + length));
      at += length;
    }
    const of = async (indices: readonly number[]) => Float32Array.from(indices.flatMap((i) => [...(byExample[i] as Float32Array)]));
    return { of, follow() {}, others: undefined, dispose() {} };
  }
  const reference = openMovingReference(referenceModel, decoder);
  const sequencesOf = (indices: readonly number[]) => indices.flatMap((i) => examples[i] as readonly WeightedSequence[]);
  return {
    of: (indices) => sequenceLogps(reference.decoder as Decoder, sequencesOf(indices), limits),
    follow: (step) => reference.follow(step),
    others: reference.others,
    dispose: () => reference.dispose(),
  };
}
