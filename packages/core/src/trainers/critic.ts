/** The value function beside a policy: a head on the policy's own trunk, or a model of its own; and what one pass says of a batch's tokens. */
import { ops } from "@trimtab/kernels";
import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { type TokenLogprobs, tokenLogprob } from "../autograd/token-logprob";
import type { Batch } from "../data/batch";
import type { Decoder } from "../models/decoder";
import { newScalarModel, newScoreHead, type ScalarModel, scoresOf, targetValues } from "../models/scalar-model";
import type { Parameter, ParameterSet } from "../nn/parameters";
import { reshape, type Tensor } from "../tensor/tensor";
import type { OptionChecks } from "./options";
import type { TrainingModel } from "./training-model";

/**
 * "shared": a head on the policy's trunk, which then learns from both losses. "separate": a copy of the policy as it is handed over, with a new
 * head. A scalar model, e.g. the reward model: a copy of it, head included. A new head is zero: until it has learned, every value is 0.
 */
export type ValueModelOption = "shared" | "separate" | ScalarModel;

export interface Critic {
  /** Its own trunk; undefined where it is the policy's. */
  readonly decoder: Decoder | undefined;
  /** (1, C) */
  readonly score: Parameter;
  /** What its own optimiser changes. */
  readonly parameters: ParameterSet;
  dispose(): void;
}

/** Notes in `checks` what keeps a value model from judging the tokens of `decoder`. */
export function checkValueModel(option: ValueModelOption, decoder: Decoder, checks: OptionChecks): void {
  if (typeof option === "string") {
    checks.choice("valueModel", option, ["shared", "separate"]);
    return;
  }
  const { config, device } = option.decoder;
  const { vocabSize, maxPositions } = decoder.config;
  checks.check("valueModel", config.head, config.head === "score", "a model with a score head");
  checks.check("valueModel", config.vocabSize, config.vocabSize === vocabSize, `a model with the policy's vocabulary size ${vocabSize}`);
  const isLongEnough = config.maxPositions >= maxPositions;
  checks.check("valueModel", config.maxPositions, isLongEnough, `a model with at least the policy's context of ${maxPositions} tokens`);
  checks.check("valueModel", "another device", device === decoder.device, "a model on the policy's device");
}

/** Makes the value function, which `dispose` frees; a model that was given is copied and stays as it is. */
export function openCritic(option: ValueModelOption, model: TrainingModel, seed: number): Critic {
  const { device, config } = model.decoder;
  if (option === "shared") {
    const head = newScoreHead(device, config.hiddenSize);
    return { decoder: undefined, score: head.get("score"), parameters: head, dispose: () => head.dispose() };
  }
  const { decoder, score } = newScalarModel(option === "separate" ? model : option, seed);
  if (option === "separate")
    device.dispatch(ops.fill.set, { tensors: { y: reshape(score.value, [config.hiddenSize]) }, scalars: { value: 0 } });
  return { decoder, score, parameters: decoder.trainable, dispose: () => decoder.dispose() };
}

/** What the policy says of each target token, and the value of the state before it, each (M). Logits are divided by `temperature`. */
export function policyAndValues(
  tape: Tape,
  policy: Decoder,
  critic: Critic,
  batch: Batch,
  temperature: number,
): TokenLogprobs & { readonly values: Tensor } {
  const rows = gatherRows(tape, policy.forward(tape, batch), rowIndex(tape, batch.predictors)); // (M, C)
  const tokens = tokenLogprob(tape, rows, policy.head, tape.constant(batch.targets), temperature);
  const { decoder, score } = critic;
  return { ...tokens, values: decoder ? targetValues(tape, { decoder, score }, batch) : scoresOf(tape, rows, score) };
}

/** The values alone (M); no gradient reaches a trunk that is the policy's. */
export function valuesOnly(tape: Tape, policy: Decoder, critic: Critic, batch: Batch): Tensor {
  const { decoder, score } = critic;
  if (decoder) return targetValues(tape, { decoder, score }, batch);
  const rows = gatherRows(tape, policy.forward(tape, batch), rowIndex(tape, batch.predictors));
  return scoresOf(tape, { ...rows }, score);
}
