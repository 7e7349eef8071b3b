/**
 * Action values and state values of every token: two Q heads over the vocabulary with a slowly moving copy of each, and a V head, on a
 * language model's trunk or on one of their own.
 *
 * Each head is head(h) = out · silu(up · h + bias), as wide inside as `width`. Outputs start at 0, so that until they have learned every value is 0.
 * Source: ILQL (Snell et al. 2022) and trlX's ILQLHeads. Departures: silu for relu; no bias behind the Q heads' last matrix; zero at the start.
 */
import { type Device, fillNormal } from "@trimtab/kernels";
import { affine, binary, unary } from "../autograd/elementwise";
import type { RowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { tokenLogprob } from "../autograd/token-logprob";
import { vocabGather } from "../autograd/vocab-gather";
import type { GenerationModel, LogitShift } from "../generate/options";
import { logits } from "../nn/head";
import { linear } from "../nn/linear";
import { copyValues } from "../nn/parameter-values";
import { type Parameter, ParameterSet, type ParameterSpec } from "../nn/parameters";
import type { Tensor } from "../tensor/tensor";
import type { Decoder } from "./decoder";
import { scoresOf } from "./scalar-model";

export interface TokenValueShape {
  /** C: channels of the hidden states that the heads read. */
  readonly hiddenSize: number;
  /** V */
  readonly vocabSize: number;
  /** Channels inside each head. */
  readonly width: number;
  /** Q heads: 1, or 2 of which the smaller value is believed (double Q-learning). */
  readonly heads: 1 | 2;
}

export interface TokenValueOptions {
  /** "shared": the heads read the policy's hidden states. "separate": those of a copy of its trunk, as in the paper. Default "shared". */
  readonly trunk?: "shared" | "separate" | undefined;
  /** Channels inside each head. Default 2 C, as in trlX. */
  readonly width?: number | undefined;
  /** Default 2. */
  readonly heads?: 1 | 2 | undefined;
  /** Of the heads' first weights. Default 0. */
  readonly seed?: number | undefined;
}

export class TokenValues {
  readonly shape: TokenValueShape;
  /** Their own trunk; undefined where it is the policy's. */
  readonly decoder: Decoder | undefined;
  /** The Q heads, those of the target network, which follow them, and the V head. */
  readonly q: ParameterSet;
  readonly target: ParameterSet;
  readonly v: ParameterSet;

  /** Heads of zeros. Takes over `decoder`: `dispose` frees it with the heads. */
  constructor(device: Device, shape: TokenValueShape, decoder?: Decoder) {
    this.shape = shape;
    this.decoder = decoder;
    const specs = Array.from({ length: shape.heads }, (_, i) =>
      headSpecs(`q${i + 1}`, shape, { outputs: shape.vocabSize, isTable: true }),
    ).flat();
    this.q = new ParameterSet(device, specs);
    this.target = new ParameterSet(device, specs);
    this.v = new ParameterSet(device, headSpecs("v", shape, { outputs: 1, isTable: false }));
  }

  /** Q_i(s_t, a_t) of each head, (N), and log softmax of the same head at a_t, (N), where `withLogps`. hidden (N, C), actions of N tokens. */
  qsAt(tape: Tape, hidden: Tensor, actions: RowIndex, withLogps: boolean): { readonly qs: Tensor[]; readonly logps: Tensor[] } {
    const heads = this.#names.map((name) => ({ inner: inside(tape, this.q, name, hidden), out: this.q.get(`${name}.out`) }));
    return {
      qs: heads.map(({ inner, out }) => vocabGather(tape, { hidden: inner, head: out, targets: actions })),
      logps: withLogps ? heads.map(({ inner, out }) => tokenLogprob(tape, inner, out, actions.ids).logp) : [],
    };
  }

  /** The target network's Q̂_i(s_t, a_t), each (N). */
  targetQsAt(tape: Tape, hidden: Tensor, actions: RowIndex): Tensor[] {
    return this.#names.map((name) =>
      vocabGather(tape, { hidden: inside(tape, this.target, name, hidden), head: this.target.get(`${name}.out`), targets: actions }),
    );
  }

  /** V(s_t), hidden (N, C) -> (N). */
  values(tape: Tape, hidden: Tensor): Tensor {
    return scoresOf(tape, inside(tape, this.v, "v", hidden), this.v.get("v.out"));
  }

  /** min_i Q̂_i(s, ·) of every token, hidden (R, C) -> (R, V): an array over the vocabulary, for the few positions of a decoding step. */
  allTargetQs(tape: Tape, hidden: Tensor): Tensor {
    return this.#names
      .map((name) => logits(tape, inside(tape, this.target, name, hidden), this.target.get(`${name}.out`)))
      .reduce((least, qs) => binary(tape, "min", least, qs));
  }

  /** β min_i Q̂_i as a shift of the policy's logits. That of the advantage Q̂ - V is the same: V is the same for every token, and cancels in the softmax. */
  shift(beta: number): LogitShift {
    return { decoder: this.decoder, shift: (tape, hidden) => affine(tape, this.allTargetQs(tape, hidden), beta) };
  }

  dispose(): void {
    for (const set of [this.q, this.target, this.v]) set.dispose();
    this.decoder?.dispose();
  }

  get #names(): string[] {
    return Array.from({ length: this.shape.heads }, (_, i) => `q${i + 1}`);
  }
}

/** New heads for a policy; inner weights are normal with standard deviation 1 / √C. The caller disposes of them. */
export function newTokenValues({ decoder }: Pick<GenerationModel, "decoder">, options: TokenValueOptions = {}): TokenValues {
  const { hiddenSize, vocabSize } = decoder.config;
  const { trunk = "shared", width = 2 * hiddenSize, heads = 2, seed = 0 } = options;
  const values = new TokenValues(
    decoder.device,
    { hiddenSize, vocabSize, width, heads },
    trunk === "separate" ? decoder.clone() : undefined,
  );
  [...values.q.all, ...values.v.all].forEach((parameter, i) => {
    if (!("std" in parameter.init)) return;
    const weights = new Float32Array(width * hiddenSize);
    decoder.device.write(parameter.value, fillNormal(weights, seed, VALUE_STREAM + i, parameter.init.std));
  });
  for (const parameter of values.q.all) copyValues(decoder.device, parameter, values.target.get(parameter.name));
  return values;
}

/** π(a | s) ∝ π_β(a | s) exp(β Q̂(s, a)): the policy that generates with values. */
export function guidedModel<Model extends GenerationModel>(model: Model, values: TokenValues, beta: number): Model {
  return { ...model, logitShift: values.shift(beta) };
}

/** The streams of new heads' draws, apart from those of a model's parameters. */
const VALUE_STREAM = 0x5c0f0000;

function headSpecs(
  name: string,
  { hiddenSize, width }: TokenValueShape,
  { outputs, isTable }: { readonly outputs: number; readonly isTable: boolean },
): ParameterSpec[] {
  return [
    { name: `${name}.up`, shape: [width, hiddenSize], init: { std: 1 / Math.sqrt(hiddenSize) } },
    { name: `${name}.up.bias`, shape: [width], init: { constant: 0 } },
    { name: `${name}.out`, shape: [outputs, width], init: { constant: 0 }, isTable },
  ];
}

/** silu(up · h + bias), (N, W) */
function inside(tape: Tape, set: ParameterSet, name: string, hidden: Tensor): Tensor {
  const bias: Parameter = set.get(`${name}.up.bias`);
  return unary(tape, "silu", linear(tape, hidden, set.get(`${name}.up`), { bias }));
}
