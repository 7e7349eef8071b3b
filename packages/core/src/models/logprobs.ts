/** Log-probabilities of a batch's target tokens under a decoder: the one path from tokens to what objectives need. */

import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { type TokenLogprobs, tokenLogprob } from "../autograd/token-logprob";
import type { Batch } from "../data/batch";
import type { Tensor } from "../tensor/tensor";
import type { Decoder } from "./decoder";

/** Final hidden states of the positions that predict a batch's targets. (M, C) */
export function targetHidden(tape: Tape, model: Decoder, batch: Batch): Tensor {
  return gatherRows(tape, model.forward(tape, batch), rowIndex(tape, batch.predictors));
}

/**
 * logp, entropy, lse and hit of each target token, (M) each, in the batch's order. Only rows that predict a target meet the
 * output head. Logits are divided by `temperature` (default 1), as the sampler does.
 */
export function batchLogprobs(tape: Tape, model: Decoder, batch: Batch, temperature = 1): TokenLogprobs {
  return tokenLogprob(tape, targetHidden(tape, model, batch), model.head, tape.constant(batch.targets), temperature);
}
