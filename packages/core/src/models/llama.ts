/** The Llama shape and its close relatives: Llama 2 and 3, Qwen2 (query/key/value biases), Qwen3 (per-head norms). */
import type { GateKind, RopeScaling } from "@trimtab/kernels";
import { type ConfigReader, type Family, headJSON, parseHead, type TensorPart } from "./family";

interface Traits {
  readonly modelType: string;
  readonly architecture: string;
  readonly scoreArchitecture: string;
  readonly qkvBias: (json: ConfigReader) => boolean;
  readonly outBias: (json: ConfigReader) => boolean;
  readonly headNorm: boolean;
}

const GATES: Record<string, GateKind> = { silu: "silu", swish: "silu", gelu_new: "gelu_tanh", gelu_pytorch_tanh: "gelu_tanh" };

function llamaLike(traits: Traits): Family {
  return {
    modelType: traits.modelType,
    architecture: traits.architecture,
    scoreArchitecture: traits.scoreArchitecture,

    parse(json) {
      json.only("use_sliding_window", [false], "Sliding-window attention is not supported yet.");
      const hiddenSize = json.size("hidden_size");
      const heads = json.size("num_attention_heads");
      return {
        modelType: traits.modelType,
        vocabSize: json.size("vocab_size"),
        hiddenSize,
        intermediateSize: json.size("intermediate_size"),
        layers: json.size("num_hidden_layers"),
        heads,
        kvHeads: json.size("num_key_value_heads", heads),
        headDim: json.size("head_dim", hiddenSize / heads),
        maxPositions: json.size("max_position_embeddings", 2048),
        norm: { kind: "rms", eps: json.number("rms_norm_eps", 1e-6) },
        positions: { kind: "rope", ...parseRope(json) },
        mlp: { kind: "gated", gate: json.choice("hidden_act", GATES, "silu") },
        bias: { qkv: traits.qkvBias(json), out: traits.outBias(json), mlp: json.boolean("mlp_bias", false) },
        headNorm: traits.headNorm,
        tied: json.boolean("tie_word_embeddings", false),
        head: parseHead(json, traits.scoreArchitecture),
        initializerRange: json.number("initializer_range", 0.02),
        bosTokenId: json.tokenId("bos_token_id"),
        eosTokenIds: json.tokenIds("eos_token_id"),
        padTokenId: json.tokenId("pad_token_id"),
      };
    },

    toJSON(config) {
      if (config.positions.kind !== "rope" || config.mlp.kind !== "gated")
        throw new TypeError(`${traits.modelType}: not a rope, gated configuration.`);
      const { theta, scaling } = config.positions;
      return {
        ...headJSON(config, traits),
        model_type: traits.modelType,
        vocab_size: config.vocabSize,
        hidden_size: config.hiddenSize,
        intermediate_size: config.intermediateSize,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        num_key_value_heads: config.kvHeads,
        head_dim: config.headDim,
        hidden_act: config.mlp.gate === "silu" ? "silu" : "gelu_pytorch_tanh",
        max_position_embeddings: config.maxPositions,
        initializer_range: config.initializerRange,
        rms_norm_eps: config.norm.eps,
        use_cache: true,
        tie_word_embeddings: config.tied,
        ...(traits.modelType === "qwen2" ? {} : { attention_bias: config.bias.qkv }),
        ...(traits.modelType === "llama" ? { mlp_bias: config.bias.mlp } : {}),
        attention_dropout: 0,
        rope_theta: theta,
        rope_scaling: ropeScalingJSON(scaling),
        bos_token_id: config.bosTokenId ?? null,
        eos_token_id: config.eosTokenIds.length > 1 ? config.eosTokenIds : (config.eosTokenIds[0] ?? null),
        pad_token_id: config.padTokenId ?? null,
        torch_dtype: "float32",
      };
    },

    tensors(config) {
      const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads: K, headDim: D, vocabSize: V } = config;
      const parts: TensorPart[] = [];
      const part = (name: string, shape: number[], parameter: string, firstRow = 0) =>
        parts.push({ name, shape, parameter, firstRow, transposed: false });
      part("model.embed_tokens.weight", [V, C], "embedding");
      for (let i = 0; i < config.layers; i++) {
        const theirs = `model.layers.${i}`;
        const ours = `layers.${i}`;
        part(`${theirs}.input_layernorm.weight`, [C], `${ours}.attention.norm`);
        const qkv = [
          { name: "q_proj", rows: H * D, firstRow: 0 },
          { name: "k_proj", rows: K * D, firstRow: H * D },
          { name: "v_proj", rows: K * D, firstRow: (H + K) * D },
        ];
        for (const { name, rows, firstRow } of qkv) {
          part(`${theirs}.self_attn.${name}.weight`, [rows, C], `${ours}.attention.qkv`, firstRow);
          if (config.bias.qkv) part(`${theirs}.self_attn.${name}.bias`, [rows], `${ours}.attention.qkv.bias`, firstRow);
        }
        if (config.headNorm) {
          part(`${theirs}.self_attn.q_norm.weight`, [D], `${ours}.attention.q_norm`);
          part(`${theirs}.self_attn.k_norm.weight`, [D], `${ours}.attention.k_norm`);
        }
        part(`${theirs}.self_attn.o_proj.weight`, [C, H * D], `${ours}.attention.out`);
        if (config.bias.out) part(`${theirs}.self_attn.o_proj.bias`, [C], `${ours}.attention.out.bias`);
        part(`${theirs}.post_attention_layernorm.weight`, [C], `${ours}.mlp.norm`);
        part(`${theirs}.mlp.gate_proj.weight`, [F, C], `${ours}.mlp.up`);
        part(`${theirs}.mlp.up_proj.weight`, [F, C], `${ours}.mlp.up`, F);
        part(`${theirs}.mlp.down_proj.weight`, [C, F], `${ours}.mlp.down`);
        if (config.bias.mlp) {
          part(`${theirs}.mlp.gate_proj.bias`, [F], `${ours}.mlp.up.bias`);
          part(`${theirs}.mlp.up_proj.bias`, [F], `${ours}.mlp.up.bias`, F);
          part(`${theirs}.mlp.down_proj.bias`, [C], `${ours}.mlp.down.bias`);
        }
      }
      part("model.norm.weight", [C], "norm");
      if (config.head === "score") part("score.weight", [1, C], "score");
      else if (!config.tied) part("lm_head.weight", [V, C], "head");
      return parts;
    },

    canonicalName: (name) => (name.endsWith("rotary_emb.inv_freq") ? undefined : name),
  };
}

/** `rope_theta` and `rope_scaling` of transformers 4, or `rope_parameters` of transformers 5. */
function parseRope(json: ConfigReader): { theta: number; scaling: RopeScaling } {
  const merged = json.object("rope_parameters");
  const theta = merged?.has("rope_theta") ? merged.number("rope_theta") : json.number("rope_theta", 10000);
  const fields = merged ?? json.object("rope_scaling");
  if (!fields) return { theta, scaling: { type: "default" } };
  const types = { default: "default", llama3: "llama3", linear: "linear" } as const;
  const type = fields.choice<keyof typeof types>(fields.has("rope_type") ? "rope_type" : "type", types, "default");
  if (type === "default") return { theta, scaling: { type } };
  const factor = fields.number("factor");
  if (type === "linear") return { theta, scaling: { type, factor } };
  const lowFreqFactor = fields.number("low_freq_factor");
  const highFreqFactor = fields.number("high_freq_factor");
  return {
    theta,
    scaling: { type, factor, lowFreqFactor, highFreqFactor, originalMaxPositions: fields.size("original_max_position_embeddings") },
  };
}

function ropeScalingJSON(scaling: RopeScaling): Record<string, unknown> | null {
  if (scaling.type === "default") return null;
  if (scaling.type === "linear") return { rope_type: "linear", factor: scaling.factor };
  return {
    rope_type: "llama3",
    factor: scaling.factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPositions,
  };
}

const attentionBias = (json: ConfigReader): boolean => json.boolean("attention_bias", false);

export const llama = llamaLike({
  modelType: "llama",
  architecture: "LlamaForCausalLM",
  scoreArchitecture: "LlamaForSequenceClassification",
  qkvBias: attentionBias,
  outBias: attentionBias,
  headNorm: false,
});

export const qwen2 = llamaLike({
  modelType: "qwen2",
  architecture: "Qwen2ForCausalLM",
  scoreArchitecture: "Qwen2ForSequenceClassification",
  qkvBias: () => true,
  outBias: () => false,
  headNorm: false,
});

export const qwen3 = llamaLike({
  modelType: "qwen3",
  architecture: "Qwen3ForCausalLM",
  scoreArchitecture: "Qwen3ForSequenceClassification",
  qkvBias: attentionBias,
  outBias: attentionBias,
  headNorm: true,
});
