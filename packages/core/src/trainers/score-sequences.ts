/** Scores of sequences under a reward model, without gradient. */
import { gatherRows, rowIndex } from "../autograd/gather";
import { collate } from "../data/batch";
import { microBatches } from "../data/micro-batches";
import type { Decoder } from "../models/decoder";
import { type ScalarModel, scoresOf } from "../models/scalar-model";
import { forwardOnly } from "./optimiser-step";
import type { OptionChecks } from "./options";

/** Tokens, and the positions whose scores are wanted: by default the last one. */
export interface JudgedSequence {
  readonly tokens: Uint32Array;
  readonly ends?: ArrayLike<number> | undefined;
}

/** The scores of all sequences, one after another, computed at most `maxTokens` tokens at a time (default 4096). One readback. */
export async function scoreSequences(
  { decoder, score }: Pick<ScalarModel, "decoder" | "score">,
  sequences: readonly JudgedSequence[],
  maxTokens = 4096,
): Promise<Float32Array> {
  const lengths = sequences.map(({ tokens }) => tokens.length);
  const reports = await forwardOnly<"scores">(
    decoder.device,
    microBatches(lengths, sequences.length, maxTokens).map((indices) => {
      const taken = indices.map((i) => sequences[i] as JudgedSequence);
      // No token is predicted.
      const batch = collate(
        taken.map(({ tokens }) => ({ tokens, mask: new Uint8Array(tokens.length) })),
        decoder.config.vocabSize,
      );
      const places = taken.flatMap(({ tokens, ends = [tokens.length - 1] }, s) =>
        Array.from(ends, (end) => (batch.offsets[s] as number) + end),
      );
      return {
        reads: { scores: places.length },
        forward(tape, report) {
          const hidden = gatherRows(tape, decoder.forward(tape, batch), rowIndex(tape, Uint32Array.from(places)));
          report.copy("scores", scoresOf(tape, hidden, score));
        },
      };
    }),
  );
  return Float32Array.from(reports.flatMap(({ scores }) => [...scores]));
}

/** Notes in `checks` that a model of tokens cannot be trained to score. */
export function requireScoreHead({ config: { head = "lm" } }: Decoder, checks: OptionChecks): void {
  checks.check("model", head, head === "score", "a model with a score head (newScalarModel makes one)");
}
