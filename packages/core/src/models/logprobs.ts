/** Log-probabilities of a batch's target tokens under a decoder: the one path from tokens to what objectives need. */

import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { type TokenLogprobs, tokenLogprob } from "../autograd/token-logprob";
import type { Batch } from "../data/batch";
import type { Decoder } from "./decoder";

/**
 * logp, entropy, lse and hit of each target token, (M) each, in the batch's order. Only rows that predict a target meet the
 * output head. Logits are divided by `temperature` (default 1), as the sampler does.
 */
export function batchLogprobs(tape: Tape, model: Decoder, batch: Batch, temperature = 1): TokenLogprobs {
  const hidden = model.forward(tape, batch);
  const rows = gatherRows(tape, hidden, rowIndex(tape, batch.predictors));
  return tokenLogprob(tape, rows, model.head, tape.constant(batch.targets), temperature);
}
