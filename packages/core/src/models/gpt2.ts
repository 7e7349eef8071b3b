/** GPT-2: layer norm, learned positions, plain GELU, linear weights stored (in, out). */
import type { UnaryKind } from "@trimtab/kernels";
import { type Family, headJSON, parseHead, type TensorPart, tokenJSON } from "./family";

const ACTIVATIONS: Record<string, UnaryKind> = { gelu_new: "gelu_tanh", gelu_pytorch_tanh: "gelu_tanh", silu: "silu", tanh: "tanh" };

export const gpt2: Family = {
  modelType: "gpt2",
  architecture: "GPT2LMHeadModel",
  scoreArchitecture: "GPT2ForSequenceClassification",

  published: () => ({
    norm: { kind: "layer", eps: 1e-5 },
    positions: { kind: "learned" },
    mlp: { kind: "plain", activation: "gelu_tanh" },
    bias: { qkv: true, out: true, mlp: true },
    headNorm: "none",
    tied: true,
  }),

  parse(json) {
    json.only("scale_attn_weights", [true], "Only scaled attention is supported.");
    json.only("scale_attn_by_inverse_layer_idx", [false], "Per-layer attention scaling is not supported.");
    json.only("add_cross_attention", [false], "Only decoders without cross-attention are supported.");
    const hiddenSize = json.size("n_embd", 768);
    const heads = json.size("n_head", 12);
    return {
      modelType: "gpt2",
      vocabSize: json.size("vocab_size", 50257),
      hiddenSize,
      intermediateSize: json.size("n_inner", 4 * hiddenSize),
      layers: json.size("n_layer", 12),
      heads,
      kvHeads: heads,
      headDim: hiddenSize / heads,
      maxPositions: json.size("n_positions", 1024),
      norm: { kind: "layer", eps: json.number("layer_norm_epsilon", 1e-5) },
      positions: { kind: "learned" },
      mlp: { kind: "plain", activation: json.choice("activation_function", ACTIVATIONS, "gelu_new") },
      bias: { qkv: true, out: true, mlp: true },
      headNorm: "none",
      tied: json.boolean("tie_word_embeddings", true),
      head: parseHead(json, gpt2.scoreArchitecture),
      initializerRange: json.number("initializer_range", 0.02),
      bosTokenId: json.tokenId("bos_token_id"),
      eosTokenIds: json.tokenIds("eos_token_id"),
      padTokenId: json.tokenId("pad_token_id"),
    };
  },

  toJSON(config) {
    if (config.mlp.kind !== "plain") throw new TypeError("gpt2: not a plain MLP configuration.");
    const { activation } = config.mlp;
    return {
      ...headJSON(config, gpt2),
      model_type: "gpt2",
      vocab_size: config.vocabSize,
      n_positions: config.maxPositions,
      n_ctx: config.maxPositions,
      n_embd: config.hiddenSize,
      n_layer: config.layers,
      n_head: config.heads,
      n_inner: config.intermediateSize,
      activation_function: activation === "gelu_tanh" ? "gelu_new" : activation,
      layer_norm_epsilon: config.norm.eps,
      initializer_range: config.initializerRange,
      tie_word_embeddings: config.tied,
      resid_pdrop: 0,
      embd_pdrop: 0,
      attn_pdrop: 0,
      ...tokenJSON(config),
      torch_dtype: "float32",
    };
  },

  tensors(config) {
    const { hiddenSize: C, intermediateSize: F, vocabSize: V, maxPositions: T } = config;
    const parts: TensorPart[] = [];
    const part = (name: string, shape: number[], parameter: string, transposed = false) =>
      parts.push({ name, shape, parameter, firstRow: 0, transposed });
    const norm = (theirs: string, ours: string) => {
      part(`${theirs}.weight`, [C], ours);
      part(`${theirs}.bias`, [C], `${ours}.bias`);
    };
    const conv1d = (theirs: string, ours: string, input: number, output: number) => {
      part(`${theirs}.weight`, [input, output], ours, true);
      part(`${theirs}.bias`, [output], `${ours}.bias`);
    };
    part("transformer.wte.weight", [V, C], "embedding");
    part("transformer.wpe.weight", [T, C], "positions");
    for (let i = 0; i < config.layers; i++) {
      const theirs = `transformer.h.${i}`;
      const ours = `layers.${i}`;
      norm(`${theirs}.ln_1`, `${ours}.attention.norm`);
      conv1d(`${theirs}.attn.c_attn`, `${ours}.attention.qkv`, C, 3 * C);
      conv1d(`${theirs}.attn.c_proj`, `${ours}.attention.out`, C, C);
      norm(`${theirs}.ln_2`, `${ours}.mlp.norm`);
      conv1d(`${theirs}.mlp.c_fc`, `${ours}.mlp.up`, C, F);
      conv1d(`${theirs}.mlp.c_proj`, `${ours}.mlp.down`, F, C);
    }
    norm("transformer.ln_f", "norm");
    if (config.head === "score") part("score.weight", [1, C], "score");
    else if (!config.tied) part("lm_head.weight", [V, C], "head");
    return parts;
  },

  /** The original upload has no `transformer.` prefix and carries causal-mask buffers. */
  canonicalName(name) {
    if (/\.attn\.(bias|masked_bias)$/.test(name)) return undefined;
    return /^(transformer|lm_head|score)\./.test(name) ? name : `transformer.${name}`;
  },
};
