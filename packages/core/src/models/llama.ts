/** The Llama shape, which most families share: rotary positions, RMS norms, gated MLP. Each family says where it departs. */
import type { GateKind } from "@trimtab/kernels";
import type { DecoderConfig, Positions } from "./config";
import { type ConfigReader, type Family, headJSON, parseHead, type TensorPart, tokenJSON } from "./family";
import { parseRope, ropeJSON } from "./rope-config";

export interface LlamaTraits {
  readonly modelType: string;
  readonly architecture: string;
  readonly scoreArchitecture: string;
  /** What config.json may leave out, as the family's configuration class in transformers has it. */
  readonly defaults: {
    readonly tied: boolean;
    readonly eps: number;
    readonly theta: number;
    readonly maxPositions: number;
    readonly headDim?: number;
  };
  /** The activation's field. Default `hidden_act`. */
  readonly activationField?: string;
  /** query, key and value are one matrix of the file, and gate and up another (Phi-3). Default false. */
  readonly isFused?: boolean;
  /** What differs from a Llama with the same fields. */
  extend?(json: ConfigReader, llama: DecoderConfig): Partial<DecoderConfig>;
  /** Its fields in config.json. */
  write?(config: DecoderConfig): Record<string, unknown>;
  readonly published: Family["published"];
}

const GATES: Record<string, GateKind> = { silu: "silu", swish: "silu", gelu_new: "gelu_tanh", gelu_pytorch_tanh: "gelu_tanh" };

/** Bounds the lists that have an entry for each layer. */
const MOST_LAYERS = 4096;

export function llamaLike(traits: LlamaTraits): Family {
  const { modelType, architecture, scoreArchitecture, defaults, activationField = "hidden_act", isFused = false } = traits;
  return {
    modelType,
    architecture,
    scoreArchitecture,
    published: traits.published,

    parse(json) {
      const hiddenSize = json.size("hidden_size");
      const heads = json.size("num_attention_heads");
      const headDim = json.size("head_dim", defaults.headDim ?? hiddenSize / heads);
      const config: DecoderConfig = {
        modelType,
        vocabSize: json.size("vocab_size"),
        hiddenSize,
        intermediateSize: json.size("intermediate_size"),
        layers: json.size("num_hidden_layers", undefined, MOST_LAYERS),
        heads,
        kvHeads: json.size("num_key_value_heads", heads),
        headDim,
        maxPositions: json.size("max_position_embeddings", defaults.maxPositions),
        norm: { kind: "rms", eps: json.number("rms_norm_eps", defaults.eps) },
        positions: parseRope(json, headDim, defaults),
        mlp: { kind: "gated", gate: json.choice(activationField, GATES, "silu") },
        bias: {
          qkv: json.boolean("attention_bias", false),
          out: json.boolean("attention_bias", false),
          mlp: json.boolean("mlp_bias", false),
        },
        headNorm: "none",
        tied: json.boolean("tie_word_embeddings", defaults.tied),
        head: parseHead(json, scoreArchitecture),
        initializerRange: json.number("initializer_range", 0.02),
        bosTokenId: json.tokenId("bos_token_id"),
        eosTokenIds: json.tokenIds("eos_token_id"),
        padTokenId: json.tokenId("pad_token_id"),
      };
      return { ...config, ...traits.extend?.(json, config) };
    },

    toJSON(config) {
      if (config.positions.kind !== "rope" || config.mlp.kind !== "gated") {
        throw new TypeError(`${modelType}: not a rope, gated configuration.`);
      }
      return {
        ...headJSON(config, traits),
        model_type: modelType,
        vocab_size: config.vocabSize,
        hidden_size: config.hiddenSize,
        intermediate_size: config.intermediateSize,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        num_key_value_heads: config.kvHeads,
        head_dim: config.headDim,
        [activationField]: config.mlp.gate === "silu" ? "silu" : "gelu_pytorch_tanh",
        max_position_embeddings: config.maxPositions,
        initializer_range: config.initializerRange,
        rms_norm_eps: config.norm.eps,
        use_cache: true,
        tie_word_embeddings: config.tied,
        attention_bias: config.bias.qkv,
        attention_dropout: 0,
        ...ropeJSON(config.positions, config.headDim),
        ...tokenJSON(config),
        ...traits.write?.(config),
        torch_dtype: "float32",
      };
    },

    tensors: (config) => llamaTensors(config, isFused),

    canonicalName: (name) => (name.endsWith("rotary_emb.inv_freq") ? undefined : name),
  };
}

/** Names of a layer's norms in the file: before and after attention, before and after the MLP. */
const NORM_NAMES = {
  before: { "attention.norm": "input_layernorm", "mlp.norm": "post_attention_layernorm" },
  after: { "attention.post_norm": "post_attention_layernorm", "mlp.post_norm": "post_feedforward_layernorm" },
  both: {
    "attention.norm": "input_layernorm",
    "attention.post_norm": "post_attention_layernorm",
    "mlp.norm": "pre_feedforward_layernorm",
    "mlp.post_norm": "post_feedforward_layernorm",
  },
} as const;

function llamaTensors(config: DecoderConfig, isFused: boolean): TensorPart[] {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads: K, headDim: D, vocabSize: V, blockNorms = "before" } = config;
  const parts: TensorPart[] = [];
  const part = (name: string, shape: number[], parameter: string, firstRow = 0) =>
    parts.push({ name, shape, parameter, firstRow, transposed: false });
  /** Matrices that lie below one another in our parameter, and their biases. */
  const linears = (theirs: string, ours: string, input: number, hasBias: boolean, rows: Readonly<Record<string, number>>) => {
    let firstRow = 0;
    for (const [name, count] of Object.entries(rows)) {
      part(`${theirs}.${name}.weight`, [count, input], ours, firstRow);
      if (hasBias) part(`${theirs}.${name}.bias`, [count], `${ours}.bias`, firstRow);
      firstRow += count;
    }
  };
  const qkv: Record<string, number> = isFused ? { qkv_proj: (H + 2 * K) * D } : { q_proj: H * D, k_proj: K * D, v_proj: K * D };
  const up: Record<string, number> = isFused ? { gate_up_proj: 2 * F } : { gate_proj: F, up_proj: F };
  part("model.embed_tokens.weight", [V, C], "embedding");
  for (let i = 0; i < config.layers; i++) {
    const theirs = `model.layers.${i}`;
    const ours = `layers.${i}`;
    for (const [norm, name] of Object.entries(NORM_NAMES[blockNorms])) part(`${theirs}.${name}.weight`, [C], `${ours}.${norm}`);
    linears(`${theirs}.self_attn`, `${ours}.attention.qkv`, C, config.bias.qkv, qkv);
    if (config.headNorm !== "none") {
      const [q, k] = config.headNorm === "head" ? [D, D] : [H * D, K * D];
      part(`${theirs}.self_attn.q_norm.weight`, [q], `${ours}.attention.q_norm`);
      part(`${theirs}.self_attn.k_norm.weight`, [k], `${ours}.attention.k_norm`);
    }
    linears(`${theirs}.self_attn`, `${ours}.attention.out`, H * D, config.bias.out, { o_proj: C });
    linears(`${theirs}.mlp`, `${ours}.mlp.up`, C, config.bias.mlp, up);
    linears(`${theirs}.mlp`, `${ours}.mlp.down`, F, config.bias.mlp, { down_proj: C });
  }
  part("model.norm.weight", [C], "norm");
  if (config.head === "score") part("score.weight", [1, C], "score");
  else if (!config.tied) part("lm_head.weight", [V, C], "head");
  return parts;
}

export const ROPE = (theta: number): Positions => ({ kind: "rope", theta, scaling: { type: "default" } });

/** A gated model without biases and head norms: what most families publish. */
export const PLAIN = {
  mlp: { kind: "gated", gate: "silu" },
  bias: { qkv: false, out: false, mlp: false },
  headNorm: "none",
} as const;

/** Llama 2 and 3, SmolLM 2. */
export const llama = llamaLike({
  modelType: "llama",
  architecture: "LlamaForCausalLM",
  scoreArchitecture: "LlamaForSequenceClassification",
  defaults: { tied: false, eps: 1e-6, theta: 10000, maxPositions: 2048 },
  write: ({ bias }) => ({ mlp_bias: bias.mlp }),
  published: () => ({ ...PLAIN, norm: { kind: "rms", eps: 1e-5 }, positions: ROPE(10000), tied: true }),
});
