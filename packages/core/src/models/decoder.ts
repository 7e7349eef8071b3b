/**
 * A decoder-only transformer by configuration: parameters, and the forward pass over ragged rows.
 *
 * The forward pass is given its attention, so training (flash attention over rows), prefill (the same, and fill the cache)
 * and decoding (attention over the paged cache) are one piece of code.
 */
import { type Device, ropeTable } from "@trimtab/kernels";
import { add, unary } from "../autograd/elementwise";
import { type RowIndex, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { ConfigError } from "../errors";
import { attention, type HeadLayout, rope } from "../nn/attention";
import { embedding } from "../nn/embedding";
import { gatedActivation } from "../nn/gated-activation";
import { linear } from "../nn/linear";
import { headNorm, layerNorm, rmsNorm } from "../nn/norm";
import { type Init, type Parameter, ParameterSet, type ParameterSpec } from "../nn/parameters";
import { type Tensor, upload } from "../tensor/tensor";
import type { DecoderConfig } from "./config";

/** Rows of tokens laid end to end; row s is [offsets[s], offsets[s + 1]). */
export interface Rows {
  /** (N) */
  readonly tokens: Uint32Array;
  /** (S + 1), from 0 to N */
  readonly offsets: Uint32Array;
}

/** How layer `layer` attends, given its fused and rotated (N, (H + 2 K) D) rows; returns (N, H D). */
export type Attend = (layer: number, qkv: Tensor) => Tensor;

export class Decoder {
  readonly config: DecoderConfig;
  readonly device: Device;
  readonly parameters: ParameterSet;
  readonly layout: HeadLayout;
  readonly #rope: { cos: Tensor; sin: Tensor } | undefined;

  /** Allocates the parameters (zeros). Fill them with `parameters.initialise(seed)` or from a checkpoint. */
  constructor(device: Device, config: DecoderConfig, parameters = new ParameterSet(device, parameterSpecs(config))) {
    this.device = device;
    this.config = config;
    this.parameters = parameters;
    this.layout = { H: config.heads, K: config.kvHeads, D: config.headDim };
    if (config.positions.kind === "rope") {
      const { theta, scaling } = config.positions;
      const { cos, sin } = ropeTable({ headDim: config.headDim, maxPositions: config.maxPositions, theta, scaling });
      const shape = [config.maxPositions, config.headDim / 2];
      this.#rope = { cos: upload(device, cos, shape), sin: upload(device, sin, shape) };
    }
  }

  /** The output head, (V, C): its own parameter, or the embedding table where they are tied. Throws ConfigError where there is none. */
  get head(): Parameter {
    if (this.config.head !== "lm") {
      throw new ConfigError(
        "decoder: predicting tokens needs a language-model head, got a model with a score head. Use it as a reward model.",
      );
    }
    return this.parameters.get(this.config.tied ? "embedding" : "head");
  }

  /** A frozen copy with its own weights on the same device. */
  clone(): Decoder {
    return new Decoder(this.device, this.config, this.parameters.clone());
  }

  /** Final hidden states (N, C) of whole rows. */
  forward(tape: Tape, rows: Rows): Tensor {
    const offsets = tape.constant(rows.offsets);
    const index = rowIndex(tape, rows.tokens);
    return this.hidden(tape, index, positionsOf(rows), (_layer, qkv) => attention(tape, qkv, offsets, this.layout));
  }

  /** Final hidden states (N, C) of tokens at `positions` (N), with any attention. */
  hidden(tape: Tape, tokens: RowIndex, positions: Uint32Array | Tensor, attend: Attend): Tensor {
    const { config } = this;
    const where = positions instanceof Uint32Array ? rowIndex(tape, positions) : { ids: positions, sorted: undefined };
    let x = embedding(tape, this.#get("embedding"), tokens);
    if (config.positions.kind === "learned") {
      x = add(tape, x, embedding(tape, this.#get("positions"), where));
    }
    for (let layer = 0; layer < config.layers; layer++) {
      x = tape.block(x, (input) => this.#mlp(tape, layer, this.#attention(tape, layer, input, where.ids, attend)));
    }
    return this.#norm(tape, "norm", x);
  }

  dispose(): void {
    this.parameters.dispose();
    if (this.#rope) for (const table of [this.#rope.cos, this.#rope.sin]) this.device.free(table.buffer);
  }

  #attention(tape: Tape, layer: number, x: Tensor, positions: Tensor, attend: Attend): Tensor {
    const { config, layout } = this;
    const at = `layers.${layer}.attention`;
    const normed = this.#norm(tape, `${at}.norm`, x);
    let qkv = linear(tape, normed, this.#get(`${at}.qkv`), { bias: config.bias.qkv ? this.#get(`${at}.qkv.bias`) : undefined });
    if (config.headNorm) qkv = headNorm(tape, qkv, this.#get(`${at}.q_norm`), this.#get(`${at}.k_norm`), layout, config.norm.eps);
    if (this.#rope) rope(tape, qkv, this.#rope, positions, layout);
    const o = attend(layer, qkv);
    return linear(tape, o, this.#get(`${at}.out`), { bias: config.bias.out ? this.#get(`${at}.out.bias`) : undefined, addend: x });
  }

  #mlp(tape: Tape, layer: number, x: Tensor): Tensor {
    const { bias, mlp } = this.config;
    const at = `layers.${layer}.mlp`;
    const normed = this.#norm(tape, `${at}.norm`, x);
    const up = linear(tape, normed, this.#get(`${at}.up`), { bias: bias.mlp ? this.#get(`${at}.up.bias`) : undefined });
    const activated = mlp.kind === "gated" ? gatedActivation(tape, up, mlp.gate) : unary(tape, mlp.activation, up);
    return linear(tape, activated, this.#get(`${at}.down`), { bias: bias.mlp ? this.#get(`${at}.down.bias`) : undefined, addend: x });
  }

  #norm(tape: Tape, name: string, x: Tensor): Tensor {
    const { kind, eps } = this.config.norm;
    if (kind === "rms") return rmsNorm(tape, x, this.#get(name), eps);
    return layerNorm(tape, x, this.#get(name), this.#get(`${name}.bias`), eps);
  }

  #get(name: string): Parameter {
    return this.parameters.get(name);
  }
}

/** 0, 1, 2, ... within each row. */
export function positionsOf(rows: Rows): Uint32Array {
  const positions = new Uint32Array(rows.tokens.length);
  for (let s = 0; s + 1 < rows.offsets.length; s++) {
    const start = rows.offsets[s] as number;
    const end = rows.offsets[s + 1] as number;
    for (let n = start; n < end; n++) positions[n] = n - start;
  }
  return positions;
}

/**
 * The parameters of a decoder under our names; linear weights are (out, in). `qkv` stacks query, key and value rows, and in a
 * gated MLP `up` stacks gate and up rows, so that each is one matrix product.
 */
export function parameterSpecs(config: DecoderConfig): ParameterSpec[] {
  const { vocabSize: V, hiddenSize: C, intermediateSize: F, heads: H, kvHeads: K, headDim: D, bias, initializerRange: std } = config;
  const normal: Init = { std };
  /** GPT-2's scaling of the projections back into the residual stream, by 1 / √(2 layers). */
  const residual: Init = { std: std / Math.sqrt(2 * config.layers) };
  const zero: Init = { constant: 0 };
  const one: Init = { constant: 1 };
  const specs: ParameterSpec[] = [];
  const add = (name: string, shape: number[], init: Init) => specs.push({ name, shape, init });
  const addNorm = (name: string) => {
    add(name, [C], one);
    if (config.norm.kind === "layer") add(`${name}.bias`, [C], zero);
  };
  const addLinear = (name: string, out: number, input: number, hasBias: boolean, init: Init) => {
    add(name, [out, input], init);
    if (hasBias) add(`${name}.bias`, [out], zero);
  };
  add("embedding", [V, C], normal);
  if (config.positions.kind === "learned") add("positions", [config.maxPositions, C], normal);
  for (let layer = 0; layer < config.layers; layer++) {
    const attn = `layers.${layer}.attention`;
    const mlp = `layers.${layer}.mlp`;
    addNorm(`${attn}.norm`);
    addLinear(`${attn}.qkv`, (H + 2 * K) * D, C, bias.qkv, normal);
    if (config.headNorm) {
      add(`${attn}.q_norm`, [D], one);
      add(`${attn}.k_norm`, [D], one);
    }
    addLinear(`${attn}.out`, C, H * D, bias.out, residual);
    addNorm(`${mlp}.norm`);
    addLinear(`${mlp}.up`, config.mlp.kind === "gated" ? 2 * F : F, C, bias.mlp, normal);
    addLinear(`${mlp}.down`, C, F, bias.mlp, residual);
  }
  addNorm("norm");
  if (config.head === "score") add("score", [1, C], { std: 1 / Math.sqrt(C + 1) });
  else if (!config.tied) add("head", [V, C], normal);
  return specs;
}
