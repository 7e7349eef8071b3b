/**
 * A decoder-only transformer by configuration: parameters, and the forward pass over ragged rows.
 *
 * The forward pass is given its attention, rotation included, so training (flash attention over rows), prefill (the same, and fill the cache)
 * and decoding (attention over the paged cache, which takes in the new token) are one piece of code.
 */
import { type Device, type GateKind, ropeTable, type WeightFormatName } from "@trimtab/kernels";
import { add, affine, unary } from "../autograd/elementwise";
import { type RowIndex, rowIndex, tableRows } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import { ConfigError } from "../errors";
import { attention, type Rotation, rope } from "../nn/attention";
import { gatedActivation } from "../nn/gated-activation";
import type { Head } from "../nn/head";
import { linear } from "../nn/linear";
import { headNorm, layerNorm, rmsNorm } from "../nn/norm";
import { normedLinear } from "../nn/normed-linear";
import { type Init, type Parameter, ParameterSet, type ParameterSpec } from "../nn/parameters";
import { type Tensor, upload } from "../tensor/tensor";
import { adaptedLinear } from "./adapted-linear";
import { attentionShape, type DecoderConfig, isSliding, isTable, positionShift, type Rope, ropeRows, rotatedChannels } from "./config";
import type { Lora } from "./lora";

/** Rows of tokens laid end to end; row s is [offsets[s], offsets[s + 1]). */
export interface Rows {
  /** (N) */
  readonly tokens: Uint32Array;
  /** (S + 1), from 0 to N */
  readonly offsets: Uint32Array;
}

/** What two views of one decoder share. */
interface Shared {
  readonly parameters: ParameterSet;
  readonly ropes: Ropes | undefined;
}

/** How layer `layer` attends, given its fused (N, (H + 2 K) D) rows and how their query and key heads are yet to be rotated; returns (N, H D). */
export type Attend = (layer: number, qkv: Tensor, rotation: Rotation | undefined) => Tensor;

export class Decoder {
  readonly config: DecoderConfig;
  readonly device: Device;
  /** The base's weights; an adapted decoder trains others: see `trainable`. */
  readonly parameters: ParameterSet;
  /** Undefined for the base as it is. */
  readonly adapter: Lora | undefined;
  /** Rotary tables of layers that see everything, and of those with a sliding window where they differ. */
  readonly #ropes: Ropes | undefined;
  /** A view frees no weights but its adapter's. */
  readonly #isView: boolean;

  /** Allocates the parameters (zeros). Fill them with `parameters.initialise(seed)` or from a checkpoint. */
  constructor(
    device: Device,
    config: DecoderConfig,
    parameters?: ParameterSet,
    view?: { readonly shared: Shared; readonly adapter: Lora | undefined },
  ) {
    this.device = device;
    this.config = config;
    this.parameters = view?.shared.parameters ?? parameters ?? new ParameterSet(device, parameterSpecs(config));
    this.adapter = view?.adapter;
    this.#isView = view !== undefined;
    if (view) {
      this.#ropes = view.shared.ropes;
      return;
    }
    if (config.positions.kind === "rope") {
      const { local } = config.positions;
      this.#ropes = { global: uploadRope(device, config, config.positions), local: local && uploadRope(device, config, local) };
    }
  }

  /** The output head, (V, C): its own parameter, or the embedding table where they are tied. Throws ConfigError where there is none. */
  get head(): Head {
    if (this.config.head !== "lm") {
      throw new ConfigError(
        "decoder: predicting tokens needs a language-model head, got a model with a score head. Use it as a reward model.",
      );
    }
    return { parts: this.#get(this.config.tied ? "embedding" : "head").parts, softCap: this.config.logitSoftCap };
  }

  /** What training changes: the adapter where there is one, else the weights. */
  get trainable(): ParameterSet {
    return this.adapter?.parameters ?? this.parameters;
  }

  /** A parameter by our name: the adapter's own copy where it has one, else the base's. */
  parameter(name: string): Parameter {
    return this.adapter?.savedParameter(name) ?? this.parameters.get(name);
  }

  /**
   * The same weights with an adapter, or without any: a view that costs no memory. Views of one base may be used side by side: a policy, its
   * reference, a reward model. A view that is disposed of frees its adapter; the base must outlive its views.
   */
  withAdapter(adapter: Lora | undefined): Decoder {
    return new Decoder(this.device, this.config, undefined, { shared: { parameters: this.parameters, ropes: this.#ropes }, adapter });
  }

  /** A frozen copy with its own weights on the same device; of an adapted decoder, a copy of the adapter on the same base. */
  clone(): Decoder {
    if (this.adapter) return this.withAdapter(this.adapter.clone());
    return new Decoder(this.device, this.config, this.parameters.clone());
  }

  /** Final hidden states (N, C) of whole rows. */
  forward(tape: Tape, rows: Rows): Tensor {
    const offsets = tape.constant(rows.offsets);
    const index = rowIndex(tape, rows.tokens);
    const lengthOf = (s: number) => (rows.offsets[s + 1] as number) - (rows.offsets[s] as number);
    const positions = positionsOf(rows, (s) => positionShift(this.config, lengthOf(s)));
    return this.hidden(tape, index, positions, (layer, qkv, rotation) => {
      const shape = attentionShape(this.config, layer);
      rope(tape, qkv, rotation, shape);
      return attention(tape, qkv, offsets, shape);
    });
  }

  /**
   * Final hidden states (N, C) of tokens at `positions` (N), with any attention. `isFused`: norms and gates are computed by the linear layers
   * beside them, in fewer dispatches and with other roundings; the tape must not record then. Default false.
   */
  hidden(tape: Tape, tokens: RowIndex, positions: Uint32Array | Tensor, attend: Attend, { isFused = false } = {}): Tensor {
    const { config } = this;
    const where = positions instanceof Uint32Array ? rowIndex(tape, positions) : { ids: positions, sorted: undefined };
    let x = tableRows(tape, this.#get("embedding"), tokens);
    if (config.embeddingScale !== undefined) x = affine(tape, x, config.embeddingScale);
    if (config.positions.kind === "learned") {
      x = add(tape, x, tableRows(tape, this.#get("positions"), where));
    }
    for (let layer = 0; layer < config.layers; layer++) {
      x = tape.block(x, (input) => this.#mlp(tape, layer, this.#attention(tape, layer, input, where.ids, attend, isFused), isFused));
    }
    return this.#norm(tape, "norm", x);
  }

  dispose(): void {
    this.adapter?.dispose();
    if (this.#isView) return;
    this.parameters.dispose();
    for (const tables of [this.#ropes?.global, this.#ropes?.local]) {
      if (tables) for (const { buffer } of [tables.cos, tables.sin]) this.device.free(buffer);
    }
  }

  #attention(tape: Tape, layer: number, x: Tensor, positions: Tensor, attend: Attend, isFused: boolean): Tensor {
    const { config } = this;
    const { norm, heads: H, kvHeads: K } = config;
    const at = `layers.${layer}.attention`;
    let qkv = this.#input(tape, at, x, { name: "qkv", hasBias: config.bias.qkv, isFused });
    if (config.headNorm !== "none") {
      const parts = config.headNorm === "head" ? { H, K } : { H: 1, K: 1 };
      qkv = headNorm(tape, qkv, this.#get(`${at}.q_norm`), this.#get(`${at}.k_norm`), { ...parts, ...norm });
    }
    const tables = this.#ropeOf(layer);
    return this.#output(tape, at, x, attend(layer, qkv, tables && { ...tables, positions }), "out", config.bias.out);
  }

  #mlp(tape: Tape, layer: number, x: Tensor, isFused: boolean): Tensor {
    const { bias, mlp } = this.config;
    const at = `layers.${layer}.mlp`;
    const options = { name: "up", hasBias: bias.mlp, isFused };
    const activated =
      mlp.kind === "gated"
        ? this.#input(tape, at, x, { ...options, gate: mlp.gate })
        : unary(tape, mlp.activation, this.#input(tape, at, x, options));
    return this.#output(tape, at, x, activated, "down", bias.mlp);
  }

  /** What attention or MLP makes of the residual stream x with its norm and first linear layer, and its gate: in one op where that op has what the model has. */
  #input(tape: Tape, at: string, x: Tensor, { name, hasBias, gate, isFused }: InputOptions): Tensor {
    const { norm, blockNorms } = this.config;
    const layer = `${at}.${name}`;
    const bias = hasBias ? this.#get(`${layer}.bias`) : undefined;
    if (isFused && norm.kind === "rms" && blockNorms !== "after" && !this.adapter?.groups.has(layer)) {
      const { eps, offset } = norm;
      return normedLinear(tape, x, this.#get(`${at}.norm`), this.parameters.weight(layer), { eps, offset, bias, gate });
    }
    const y = this.#linear(tape, blockNorms === "after" ? x : this.#norm(tape, `${at}.norm`, x), layer, { bias });
    return gate === undefined ? y : gatedActivation(tape, y, gate);
  }

  /** The residual stream with what attention or MLP adds to it, through the last linear layer of either. */
  #output(tape: Tape, at: string, x: Tensor, input: Tensor, name: string, hasBias: boolean): Tensor {
    const bias = hasBias ? this.#get(`${at}.${name}.bias`) : undefined;
    const { blockNorms = "before" } = this.config;
    if (blockNorms === "before") return this.#linear(tape, input, `${at}.${name}`, { bias, addend: x });
    return add(tape, x, this.#norm(tape, `${at}.post_norm`, this.#linear(tape, input, `${at}.${name}`, { bias })));
  }

  #linear(tape: Tape, x: Tensor, name: string, options: { bias?: Parameter | undefined; addend?: Tensor }): Tensor {
    const weight = this.parameters.weight(name);
    const group = this.adapter?.groups.get(name);
    return this.adapter && group ? adaptedLinear(tape, x, weight, this.adapter, group, options) : linear(tape, x, weight, options);
  }

  #ropeOf(layer: number): RopeTables | undefined {
    if (!this.#ropes || this.config.ropeLayers?.[layer] === false) return undefined;
    const { global, local } = this.#ropes;
    return local && isSliding(this.config, layer) ? local : global;
  }

  #norm(tape: Tape, name: string, x: Tensor): Tensor {
    const { kind, eps, offset } = this.config.norm;
    if (kind === "rms") return rmsNorm(tape, x, this.#get(name), eps, offset);
    return layerNorm(tape, x, this.#get(name), this.#get(`${name}.bias`), eps);
  }

  #get(name: string): Parameter {
    return this.parameter(name);
  }
}

/** The first linear layer of attention or MLP. */
interface InputOptions {
  readonly name: string;
  readonly hasBias: boolean;
  readonly gate?: GateKind;
  readonly isFused: boolean;
}

interface Ropes {
  readonly global: RopeTables;
  readonly local: RopeTables | undefined;
}

type RopeTables = Omit<Rotation, "positions">;

function uploadRope(device: Device, config: DecoderConfig, { theta, scaling }: Rope): RopeTables {
  const headDim = rotatedChannels(config);
  const { cos, sin } = ropeTable({ headDim, maxPositions: config.maxPositions, theta, scaling });
  const shape = [ropeRows(config), headDim / 2];
  return { cos: upload(device, cos, shape, "weights"), sin: upload(device, sin, shape, "weights") };
}

/** 0, 1, 2, ... within each row, plus what `shiftOf` says of the row. */
export function positionsOf(rows: Rows, shiftOf: (row: number) => number = () => 0): Uint32Array {
  const positions = new Uint32Array(rows.tokens.length);
  for (let s = 0; s + 1 < rows.offsets.length; s++) {
    const start = rows.offsets[s] as number;
    const end = rows.offsets[s + 1] as number;
    const shift = shiftOf(s);
    for (let n = start; n < end; n++) positions[n] = n - start + shift;
  }
  return positions;
}

/** What the frozen linear layers of a decoder are kept in; undefined is f32. */
export type LinearFormat = WeightFormatName | undefined;

/** The format of a decoder's linear layers. */
export const linearFormatOf = ({ parameters }: Decoder): LinearFormat => parameters.packed[0]?.format;

/**
 * The parameters of a decoder under our names; linear weights are (out, in), in `format`. `qkv` stacks query, key and value rows, and in a
 * gated MLP `up` stacks gate and up rows, so that each is one matrix product.
 */
export function parameterSpecs(config: DecoderConfig, format?: LinearFormat): ParameterSpec[] {
  const { vocabSize: V, hiddenSize: C, intermediateSize: F, heads: H, kvHeads: K, headDim: D, bias, initializerRange: std } = config;
  const normal: Init = { std };
  /** GPT-2's scaling of the projections back into the residual stream, by 1 / √(2 layers). */
  const residual: Init = { std: std / Math.sqrt(2 * config.layers) };
  const zero: Init = { constant: 0 };
  /** A norm starts at y = x̂. */
  const one: Init = { constant: 1 - (config.norm.offset ?? 0) };
  const { blockNorms = "before" } = config;
  const specs: ParameterSpec[] = [];
  const add = (name: string, shape: number[], init: Init) => specs.push({ name, shape, init, isTable: isTable(name) });
  const addNorm = (name: string) => {
    add(name, [C], one);
    if (config.norm.kind === "layer") add(`${name}.bias`, [C], zero);
  };
  const addLinear = (name: string, out: number, input: number, hasBias: boolean, init: Init) => {
    specs.push({ name, shape: [out, input], init, format });
    if (hasBias) add(`${name}.bias`, [out], zero);
  };
  add("embedding", [V, C], normal);
  if (config.positions.kind === "learned") add("positions", [config.maxPositions, C], normal);
  for (let layer = 0; layer < config.layers; layer++) {
    const attn = `layers.${layer}.attention`;
    const mlp = `layers.${layer}.mlp`;
    if (blockNorms !== "after") addNorm(`${attn}.norm`);
    addLinear(`${attn}.qkv`, (H + 2 * K) * D, C, bias.qkv, normal);
    if (config.headNorm !== "none") {
      add(`${attn}.q_norm`, [config.headNorm === "head" ? D : H * D], one);
      add(`${attn}.k_norm`, [config.headNorm === "head" ? D : K * D], one);
    }
    addLinear(`${attn}.out`, C, H * D, bias.out, residual);
    if (blockNorms !== "before") addNorm(`${attn}.post_norm`);
    if (blockNorms !== "after") addNorm(`${mlp}.norm`);
    addLinear(`${mlp}.up`, config.mlp.kind === "gated" ? 2 * F : F, C, bias.mlp, normal);
    addLinear(`${mlp}.down`, C, F, bias.mlp, residual);
    if (blockNorms !== "before") addNorm(`${mlp}.post_norm`);
  }
  addNorm("norm");
  if (config.head === "score") add("score", [1, C], { std: 1 / Math.sqrt(C + 1) });
  else if (!config.tied) add("head", [V, C], normal);
  return specs;
}
