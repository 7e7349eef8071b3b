/** What a model thinks of every token of a completion, and what a reference thinks of the same. */

import { collate } from "../data/batch";
import type { Turns } from "../data/formats";
import { requireVocabulary, tokenizeExamples } from "../data/tokenize";
import { DataError } from "../errors";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import { forwardOnly } from "../trainers/optimiser-step";
import { OptionChecks } from "../trainers/options";
import { checkReference } from "../trainers/reference-model";
import type { TrainingModel } from "../trainers/training-model";

export interface InspectCompletionOptions {
  readonly model: Pick<TrainingModel, "decoder" | "tokenizer">;
  /** Both text, or both messages. A text ends with EOS, as in training. */
  readonly prompt: Turns;
  readonly completion: Turns;
  /** A model with the same vocabulary on the same device. */
  readonly reference?: { readonly decoder: Decoder } | undefined;
}

/** The tokens of a completion, (T) each; logits are not divided by a temperature. */
export interface InspectedCompletion {
  readonly ids: Uint32Array;
  readonly logps: Float32Array;
  /** Of the distribution that each token was drawn from, in nats. */
  readonly entropies: Float32Array;
  readonly refLogps: Float32Array | undefined;
}

/**
 * One forward pass of each model. Throws DataError for a malformed row, a prompt without tokens, or more tokens than fit the models' contexts, and
 * ConfigError for a reference that cannot be compared.
 */
export async function inspectCompletion({ model, prompt, completion, reference }: InspectCompletionOptions): Promise<InspectedCompletion> {
  const { decoder, tokenizer } = model;
  const checks = new OptionChecks();
  if (reference) checkReference(reference, decoder, checks);
  checks.throwIfAny("inspectCompletion");
  const sequences = tokenizeExamples([{ prompt, completion }], { tokenizer });
  requireVocabulary(sequences, decoder.config.vocabSize);
  const batch = collate(sequences, decoder.config.vocabSize);
  const room = Math.min(decoder.config.maxPositions, reference?.decoder.config.maxPositions ?? Number.POSITIVE_INFINITY);
  if (batch.tokens.length > room) {
    throw new DataError(
      `inspectCompletion: prompt and completion must fit the context of ${room} tokens, got ${batch.tokens.length}. Shorten them.`,
    );
  }
  if (sequences[0]?.mask[0]) throw new DataError("inspectCompletion: the prompt must have at least one token, got none. Give one.");

  const reads = { logps: batch.targets.length, entropies: batch.targets.length };
  const passOf = async (one: Decoder) => {
    const [report] = await forwardOnly<keyof typeof reads>(one.device, [
      {
        reads,
        forward(tape, report) {
          const { logp, entropy } = batchLogprobs(tape, one, batch);
          report.copy("logps", logp);
          report.copy("entropies", entropy);
        },
      },
    ]);
    return report as NonNullable<typeof report>;
  };
  const { logps, entropies } = await passOf(decoder);
  return { ids: batch.targets, logps, entropies, refLogps: reference && (await passOf(reference.decoder)).logps };
}
