/** Options common to the trainers that learn from a dataset of judged completions, under TRL's names. */
import { requireTrainingRoom } from "../checkpoint/room";
import type { DatasetRow } from "../data/jsonl";
import type { TruncationMode } from "../data/truncation";
import type { Decoder } from "../models/decoder";
import type { OptionChecks, TrainingOptions, TrainingSettings } from "./options";
import type { TrainingModel } from "./training-model";

export interface FeedbackOptions extends TrainingOptions {
  /** Trained in place. */
  readonly model: TrainingModel;
  readonly dataset: readonly DatasetRow[];
  /** Longest prompt with completion, in tokens. Default 1024, or the model's context where that is shorter. */
  readonly maxLength?: number | undefined;
  /** Which end of a longer one stays. Default "keep_start". */
  readonly truncationMode?: TruncationMode | undefined;
}

/** Fills in defaults and notes what is wrong in `checks`. */
export function resolveLengths(
  { maxLength, truncationMode = "keep_start" }: Pick<FeedbackOptions, "maxLength" | "truncationMode">,
  { config: { maxPositions } }: Decoder,
  checks: OptionChecks,
): { readonly maxLength: number; readonly truncationMode: TruncationMode } {
  const length = checks.count("maxLength", maxLength ?? Math.min(1024, maxPositions), 2);
  checks.check("maxLength", length, length <= maxPositions, `at most the model's context of ${maxPositions} tokens`);
  return { maxLength: length, truncationMode: checks.choice("truncationMode", truncationMode, ["keep_start", "keep_end"]) };
}

/** Gradients and two moments, and the weights of a reference. */
export function requireFeedbackRoom(decoder: Decoder, keepsReference: boolean): void {
  requireTrainingRoom(decoder, keepsReference ? 4 : 3);
}

/** Optimiser steps in all: `maxSteps`, or enough for `numTrainEpochs` passes over the examples. */
export function stepCount({ maxSteps, numTrainEpochs, rowsPerStep }: TrainingSettings, examples: number): number {
  return maxSteps ?? Math.ceil((examples * numTrainEpochs) / rowsPerStep);
}
