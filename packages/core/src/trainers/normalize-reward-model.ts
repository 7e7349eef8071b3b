/** Gain and bias of a reward model from completions of known standing: samples of a reference policy, or demonstrations. */
import type { DatasetRow } from "../data/jsonl";
import { requireVocabulary, tokenizeExamples } from "../data/tokenize";
import type { ScalarModel } from "../models/scalar-model";
import { fitNormalization, type NormalizationTarget, type RewardNormalization } from "../rl/reward-normalization";
import { scoreSequences } from "./score-sequences";

export interface NormalizeRewardModelOptions extends NormalizationTarget {
  readonly model: ScalarModel;
  /** Rows with `prompt` and `completion`: `trimtab sample` writes them. lm-human-preferences takes 256 of the reference policy. */
  readonly dataset: readonly DatasetRow[];
  /** Most tokens computed at once. Default 4096. */
  readonly maxTokens?: number | undefined;
}

/** The normalisation after which these completions have the mean and deviation asked for: see `fitNormalization`. */
export async function normalizeRewardModel(options: NormalizeRewardModelOptions): Promise<RewardNormalization> {
  const { model, dataset, maxTokens } = options;
  const { maxPositions, vocabSize } = model.decoder.config;
  // The score is read at the end, so that is what stays of a row longer than the context.
  const sequences = tokenizeExamples(dataset, { tokenizer: model.tokenizer, maxLength: maxPositions, truncationMode: "keep_end" });
  requireVocabulary(sequences, vocabSize);
  return fitNormalization(await scoreSequences(model, sequences, maxTokens), options);
}
