/**
 * Models that give scores instead of tokens: reward models (one score per sequence) and value models (one per position). A scalar model is
 * a decoder and one row of weights, which is the decoder's own score head or a separate parameter beside a language model's trunk.
 */
import { type Device, fillNormal } from "@trimtab/kernels";
import { gatherRows, rowIndex } from "../autograd/gather";
import { reshaped } from "../autograd/reshape";
import type { Tape } from "../autograd/tape";
import type { Batch } from "../data/batch";
import { linear } from "../nn/linear";
import { copyValues } from "../nn/parameter-values";
import { type PackedParameter, type Parameter, ParameterSet } from "../nn/parameters";
import type { Tensor } from "../tensor/tensor";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { Decoder, linearFormatOf, parameterSpecs, type Rows } from "./decoder";

/** A decoder with a score head, and the tokenizer of its texts. */
export interface ScalarModel {
  readonly decoder: Decoder;
  /** (1, C) */
  readonly score: Parameter;
  readonly tokenizer: Tokenizer;
}

/** hidden (N, C) -> scores (N). */
export function scoresOf(tape: Tape, hidden: Tensor, score: Parameter): Tensor {
  const scores = linear(tape, hidden, score); // (N, 1)
  return reshaped(tape, scores, [hidden.shape[0] as number]);
}

/** One score per row, read at its last token, as transformers' sequence classification does. (S) */
export function rowScores(tape: Tape, { decoder, score }: Pick<ScalarModel, "decoder" | "score">, rows: Rows): Tensor {
  const last = rows.offsets.slice(1).map((end) => end - 1);
  const hidden = gatherRows(tape, decoder.forward(tape, rows), rowIndex(tape, last));
  return scoresOf(tape, hidden, score);
}

/** One value per target token, read where the token is predicted: the value of the state before it. (M) */
export function targetValues(tape: Tape, { decoder, score }: Pick<ScalarModel, "decoder" | "score">, batch: Batch): Tensor {
  const hidden = gatherRows(tape, decoder.forward(tape, batch), rowIndex(tape, batch.predictors));
  return scoresOf(tape, hidden, score);
}

/**
 * A scalar model on a copy of a language model's trunk, or of another scalar model's with its head. A new head is normal with standard
 * deviation 1 / √(C + 1), as in lm-human-preferences; the same seed gives the same bits. Linear layers in low precision stay so. The caller disposes
 * of the decoder.
 */
export function newScalarModel(base: { readonly decoder: Decoder; readonly tokenizer: Tokenizer }, seed: number): ScalarModel {
  const { device, config, parameters } = base.decoder;
  const scored = { ...config, head: "score" } as const;
  const decoder = new Decoder(device, scored, new ParameterSet(device, parameterSpecs(scored, linearFormatOf(base.decoder))));
  for (const { name, packed } of decoder.parameters.packed) device.copy((parameters.weight(name) as PackedParameter).packed, packed);
  for (const parameter of decoder.parameters.all) {
    if (parameter.name !== "score" || config.head === "score") copyValues(device, parameters.get(parameter.name), parameter);
    else if ("std" in parameter.init) {
      const values = new Float32Array(config.hiddenSize);
      fillNormal(values, seed, SCORE_STREAM, parameter.init.std);
      device.write(parameter.value, values);
    }
  }
  return scalarModel({ decoder, tokenizer: base.tokenizer });
}

/** A loaded model with a score head as a scalar model. */
export function scalarModel(loaded: { readonly decoder: Decoder; readonly tokenizer: Tokenizer }): ScalarModel {
  return { ...loaded, score: loaded.decoder.parameter("score") };
}

/** A score head of zeros apart from any decoder's parameters, for a value model that shares the policy's trunk. */
export function newScoreHead(device: Device, hiddenSize: number): ParameterSet {
  return new ParameterSet(device, [{ name: "score", shape: [1, hiddenSize], init: { constant: 0 } }]);
}

/** The stream of a new head's draws, apart from those of a model's other parameters. */
const SCORE_STREAM = 0x5c0e0000;
