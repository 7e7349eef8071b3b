/** What configurations of published models mean, in the layouts of transformers 4 and 5, and that what is written reads the same. */
import { describe, expect, it } from "vitest";
import { CheckpointError, UnsupportedModelError } from "../src/errors";
import { attentionShape, type DecoderConfig, positionShift, ropeRows } from "../src/models/config";
import { parameterSpecs } from "../src/models/decoder";
import { families, familyOf, parseConfig } from "../src/models/registry";

type Json = Record<string, unknown>;

const gemma3Layers = Array.from({ length: 26 }, (_, i) => ((i + 1) % 6 === 0 ? "full" : "sliding"));

/** The fields that matter of config.json on the hub, and what they must come to. */
const published: Record<string, { json: Json; parameters: number; expected: Partial<DecoderConfig> }> = {
  "SmolLM2-135M": {
    json: {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      vocab_size: 49152,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      rope_theta: 100000,
      rope_scaling: null,
      rope_interleaved: false,
      tie_word_embeddings: true,
      hidden_act: "silu",
      bos_token_id: 0,
      eos_token_id: 0,
    },
    parameters: 134_515_008,
    expected: { headDim: 64, tied: true, headNorm: "none" },
  },
  "Qwen2.5-0.5B-Instruct": {
    json: {
      architectures: ["Qwen2ForCausalLM"],
      model_type: "qwen2",
      vocab_size: 151936,
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      max_position_embeddings: 32768,
      max_window_layers: 21,
      rms_norm_eps: 1e-6,
      rope_theta: 1e6,
      sliding_window: 32768,
      use_sliding_window: false,
      tie_word_embeddings: true,
      hidden_act: "silu",
    },
    parameters: 494_032_768,
    expected: { bias: { qkv: true, out: false, mlp: false }, slidingWindow: undefined },
  },
  "Qwen3-0.6B": {
    json: {
      architectures: ["Qwen3ForCausalLM"],
      model_type: "qwen3",
      vocab_size: 151936,
      hidden_size: 1024,
      head_dim: 128,
      intermediate_size: 3072,
      num_hidden_layers: 28,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      max_position_embeddings: 40960,
      max_window_layers: 28,
      rope_theta: 1e6,
      tie_word_embeddings: true,
      use_sliding_window: false,
    },
    parameters: 596_049_920,
    expected: { headNorm: "head", headDim: 128 },
  },
  "Llama-3.2-1B": {
    json: {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      vocab_size: 128256,
      hidden_size: 2048,
      head_dim: 64,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: "llama3",
      },
      tie_word_embeddings: true,
      eos_token_id: [128001, 128008, 128009],
    },
    parameters: 1_235_814_400,
    expected: {
      positions: {
        kind: "rope",
        theta: 500000,
        scaling: { type: "llama3", factor: 32, highFreqFactor: 4, lowFreqFactor: 1, originalMaxPositions: 8192 },
      },
      eosTokenIds: [128001, 128008, 128009],
    },
  },
  "Mistral-7B-v0.1": {
    json: {
      architectures: ["MistralForCausalLM"],
      model_type: "mistral",
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      max_position_embeddings: 32768,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      sliding_window: 4096,
      tie_word_embeddings: false,
    },
    parameters: 7_241_732_096,
    expected: { slidingWindow: 4096, layerTypes: undefined, tied: false },
  },
  "gemma-2-2b": {
    json: {
      architectures: ["Gemma2ForCausalLM"],
      model_type: "gemma2",
      vocab_size: 256000,
      hidden_size: 2304,
      head_dim: 256,
      intermediate_size: 9216,
      num_hidden_layers: 26,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      max_position_embeddings: 8192,
      query_pre_attn_scalar: 256,
      hidden_act: "gelu_pytorch_tanh",
      hidden_activation: "gelu_pytorch_tanh",
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      sliding_window: 4096,
    },
    parameters: 2_614_341_888,
    expected: {
      tied: true,
      norm: { kind: "rms", eps: 1e-6, offset: 1 },
      blockNorms: "both",
      embeddingScale: 48,
      queryScalar: 256,
      attentionSoftCap: 50,
      logitSoftCap: 30,
      slidingWindow: 4096,
      layerTypes: Array.from({ length: 26 }, (_, i) => (i % 2 === 0 ? "sliding" : "full")),
      mlp: { kind: "gated", gate: "gelu_tanh" },
    },
  },
  "gemma-3-1b-it": {
    json: {
      architectures: ["Gemma3ForCausalLM"],
      model_type: "gemma3_text",
      vocab_size: 262144,
      hidden_size: 1152,
      head_dim: 256,
      intermediate_size: 6912,
      num_hidden_layers: 26,
      num_attention_heads: 4,
      num_key_value_heads: 1,
      max_position_embeddings: 32768,
      query_pre_attn_scalar: 256,
      hidden_activation: "gelu_pytorch_tanh",
      attn_logit_softcapping: null,
      final_logit_softcapping: null,
      rms_norm_eps: 1e-6,
      rope_theta: 1000000,
      rope_local_base_freq: 10000,
      rope_scaling: null,
      sliding_window: 512,
      sliding_window_pattern: 6,
      eos_token_id: [1, 106],
    },
    parameters: 999_885_952,
    expected: {
      tied: true,
      headNorm: "head",
      attentionSoftCap: undefined,
      logitSoftCap: undefined,
      slidingWindow: 512,
      layerTypes: gemma3Layers as DecoderConfig["layerTypes"],
      positions: { kind: "rope", theta: 1e6, scaling: { type: "default" }, local: { theta: 10000, scaling: { type: "default" } } },
    },
  },
  "Phi-3-mini-128k-instruct": {
    json: {
      architectures: ["Phi3ForCausalLM"],
      model_type: "phi3",
      vocab_size: 32064,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      max_position_embeddings: 131072,
      original_max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      rope_scaling: {
        type: "su",
        short_factor: Array.from({ length: 48 }, (_, i) => 1 + i / 100),
        long_factor: Array.from({ length: 48 }, (_, i) => 1 + i),
      },
      sliding_window: 262144,
      tie_word_embeddings: false,
    },
    parameters: 3_821_079_552,
    expected: {
      slidingWindow: 262144,
      positions: {
        kind: "rope",
        theta: 10000,
        scaling: {
          type: "longrope",
          shortFactors: Array.from({ length: 48 }, (_, i) => 1 + i / 100),
          longFactors: Array.from({ length: 48 }, (_, i) => 1 + i),
          originalMaxPositions: 4096,
          // √(1 + log 32 / log 4096) = √(1 + 5 / 12)
          attentionFactor: Math.sqrt(17 / 12),
        },
      },
    },
  },
  "Phi-4-mini-instruct": {
    json: {
      architectures: ["Phi3ForCausalLM"],
      model_type: "phi3",
      vocab_size: 200064,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_hidden_layers: 32,
      num_attention_heads: 24,
      num_key_value_heads: 8,
      max_position_embeddings: 131072,
      original_max_position_embeddings: 4096,
      partial_rotary_factor: 0.75,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      rope_scaling: { type: "longrope", short_factor: Array(48).fill(1), long_factor: Array(48).fill(2) },
      sliding_window: 262144,
      tie_word_embeddings: true,
    },
    parameters: 3_836_021_760,
    expected: { headDim: 128, tied: true },
  },
  "OLMo-2-0425-1B": {
    json: {
      architectures: ["Olmo2ForCausalLM"],
      model_type: "olmo2",
      vocab_size: 100352,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 16,
      num_key_value_heads: 16,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-6,
      rope_theta: 500000,
      tie_word_embeddings: false,
    },
    parameters: 1_484_916_736,
    expected: { headNorm: "width", blockNorms: "after" },
  },
  "SmolLM3-3B": {
    json: {
      architectures: ["SmolLM3ForCausalLM"],
      model_type: "smollm3",
      vocab_size: 128256,
      hidden_size: 2048,
      intermediate_size: 11008,
      num_hidden_layers: 36,
      num_attention_heads: 16,
      num_key_value_heads: 4,
      max_position_embeddings: 65536,
      no_rope_layer_interval: 4,
      rms_norm_eps: 1e-6,
      rope_theta: 5000000,
      sliding_window: null,
      use_sliding_window: false,
    },
    parameters: 3_075_098_624,
    expected: { tied: true, ropeLayers: Array.from({ length: 36 }, (_, i) => i % 4 !== 3) },
  },
  gpt2: {
    json: {
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      vocab_size: 50257,
      n_embd: 768,
      n_head: 12,
      n_layer: 12,
      n_positions: 1024,
      n_ctx: 1024,
      activation_function: "gelu_new",
    },
    parameters: 124_439_808,
    expected: { tied: true, positions: { kind: "learned" } },
  },
};

const countOf = (config: DecoderConfig) => parameterSpecs(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

describe.each(Object.entries(published))("%s", (_, { json, parameters, expected }) => {
  it("is what its configuration says, down to the number of its parameters", () => {
    const config = parseConfig(json);
    for (const [field, value] of Object.entries(expected)) {
      expect(config[field as keyof DecoderConfig], field).toEqual(value);
    }
    expect(countOf(config)).toBe(parameters);
  });

  it("is written so that it reads the same", () => {
    const config = parseConfig(json);
    const written = JSON.parse(JSON.stringify(familyOf(config.modelType).toJSON(config))) as Json;
    expect(parseConfig(written)).toEqual(config);
    expect(written.architectures).toEqual(json.architectures);
    expect(written.model_type).toBe(json.model_type);
  });

  it("has its tensors: every row of every parameter once", () => {
    const config = parseConfig(json);
    const specs = new Map(parameterSpecs(config).map(({ name, shape }) => [name, shape]));
    const covered = new Map<string, number>();
    for (const part of familyOf(config.modelType).tensors(config)) {
      const rows = part.transposed ? part.shape[1] : part.shape[0];
      expect(part.firstRow).toBe(covered.get(part.parameter) ?? 0);
      covered.set(part.parameter, part.firstRow + (rows as number));
    }
    expect([...covered].sort()).toEqual([...specs].map(([name, shape]) => [name, shape[0]]).sort());
  });
});

const jsonOf = (name: string): Json => (published[name] as (typeof published)[string]).json;

const parse = (name: string, change: Json = {}) => parseConfig({ ...jsonOf(name), ...change });

describe("layouts", () => {
  it("transformers 5 puts rotary positions into rope_parameters", () => {
    const { rope_theta: theta, rope_scaling: scaling, ...rest } = jsonOf("Llama-3.2-1B");
    expect(parseConfig({ ...rest, rope_parameters: { ...(scaling as Json), rope_theta: theta } })).toEqual(parse("Llama-3.2-1B"));
    const phi = jsonOf("Phi-4-mini-instruct");
    const { rope_theta, rope_scaling, partial_rotary_factor, original_max_position_embeddings, ...others } = phi;
    const { type, ...factors } = rope_scaling as Json;
    const rope_parameters = { rope_type: type, ...factors, rope_theta, partial_rotary_factor, original_max_position_embeddings };
    expect(parseConfig({ ...others, rope_parameters })).toEqual(parse("Phi-4-mini-instruct"));
  });

  it("Gemma 3 has one set of them for each type of layer", () => {
    const { rope_theta, rope_local_base_freq, rope_scaling, sliding_window_pattern, ...rest } = jsonOf("gemma-3-1b-it");
    const layer_types = gemma3Layers.map((type) => `${type}_attention`);
    const rope_parameters = {
      full_attention: { rope_type: "linear", factor: 8, rope_theta },
      sliding_attention: { rope_type: "default", rope_theta: rope_local_base_freq },
    };
    const config = parseConfig({ ...rest, layer_types, _sliding_window_pattern: 6, rope_parameters });
    expect(config).toEqual(parse("gemma-3-1b-it", { rope_scaling: { rope_type: "linear", factor: 8 } }));
    expect(config.positions).toMatchObject({ scaling: { type: "linear", factor: 8 }, local: { scaling: { type: "default" } } });
  });

  it("Qwen's windows begin at max_window_layers, or where layer_types says", () => {
    const change = { use_sliding_window: true, sliding_window: 64, num_hidden_layers: 4, max_window_layers: 3 };
    const config = parse("Qwen2.5-0.5B-Instruct", change);
    expect(config).toMatchObject({ slidingWindow: 64, layerTypes: ["full", "full", "full", "sliding"] });
    expect([0, 3].map((layer) => attentionShape(config, layer).window)).toEqual([0, 64]);
    const layer_types = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"];
    expect(parse("Qwen2.5-0.5B-Instruct", { ...change, layer_types }).layerTypes).toEqual(["sliding", "full", "full", "sliding"]);
    expect(parse("Qwen2.5-0.5B-Instruct", { ...change, max_window_layers: 4 }).slidingWindow).toBeUndefined();
  });

  it("Mistral without the field has a window of 4096, with null none", () => {
    const { sliding_window: _, ...rest } = jsonOf("Mistral-7B-v0.1");
    expect(parseConfig(rest).slidingWindow).toBe(4096);
    expect(parseConfig({ ...rest, sliding_window: null }).slidingWindow).toBeUndefined();
  });

  it("YaRN and dynamic scaling are written as they were read, with what the file left out as the paper has it", () => {
    const written = (config: ReturnType<typeof parse>) => parseConfig(familyOf(config.modelType).toJSON(config) as Json);
    const config = parse("Qwen2.5-0.5B-Instruct", { rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 32768 } });
    const usual = { originalMaxPositions: 32768, betaFast: 32, betaSlow: 1, truncate: true, attentionFactor: 0.1 * Math.log(4) + 1 };
    expect(config.positions).toMatchObject({ scaling: { type: "yarn", factor: 4, ...usual } });
    expect(written(config)).toEqual(config);
    // DeepSeek-V2's two scales; the factor from the lengths; null as absent.
    const deep = { rope_type: "yarn", factor: null, mscale: 1, mscale_all_dim: 0.5, beta_fast: null, truncate: false };
    const other = parse("Llama-3.2-1B", { rope_scaling: { ...deep, original_max_position_embeddings: 4096 } });
    const attentionFactor = (0.1 * Math.log(32) + 1) / (0.05 * Math.log(32) + 1);
    expect(other.positions).toMatchObject({
      scaling: { ...usual, originalMaxPositions: 4096, truncate: false, factor: 32, attentionFactor },
    });
    expect(written(other)).toEqual(other);
    const dynamic = parse("Llama-3.2-1B", { rope_scaling: { rope_type: "dynamic", factor: 2 } });
    expect(dynamic.positions).toMatchObject({ scaling: { type: "dynamic", factor: 2 } });
    expect(written(dynamic)).toEqual(dynamic);
  });

  it("LongRoPE has two tables, and a row is in the second from its original length on", () => {
    const config = parse("Phi-3-mini-128k-instruct");
    expect(ropeRows(config)).toBe(4096 + 131072);
    expect([1, 4096, 4097, 131072].map((length) => positionShift(config, length))).toEqual([0, 0, 4096, 4096]);
    expect(positionShift(parse("Llama-3.2-1B"), 1e5)).toBe(0);
  });
});

describe("refusals", () => {
  it("names an unknown architecture and lists the known ones", () => {
    for (const [architecture, model_type] of [
      ["MambaForCausalLM", "mamba"],
      ["Gemma3ForConditionalGeneration", "gemma3"],
      ["LlamaModel", "llama"],
    ]) {
      const attempt = () => parseConfig({ architectures: [architecture], model_type });
      expect(attempt).toThrow(UnsupportedModelError);
      expect(attempt).toThrow(`"${architecture}"`);
      for (const family of families) expect(attempt).toThrow(family.architecture);
    }
    expect(() => parseConfig({ model_type: "falcon" })).toThrow(/one of gpt2 \(GPT2LMHeadModel\).*olmo2.*got "falcon"/);
  });

  it.each<[string, string, Json, RegExp]>([
    ["layer_types of another length", "gemma-2-2b", { layer_types: ["full_attention"] }, /`layer_types`.*26 layers/],
    ["an unknown layer type", "gemma-2-2b", { layer_types: Array(26).fill("chunked_attention") }, /`layer_types`.*chunked/],
    ["bidirectional attention", "gemma-3-1b-it", { use_bidirectional_attention: true }, /use_bidirectional_attention/],
    ["an unknown activation", "gemma-2-2b", { hidden_activation: "relu" }, /`hidden_activation`/],
    ["a cap of zero", "gemma-2-2b", { final_logit_softcapping: 0 }, /`final_logit_softcapping` must be a positive number or null, got 0/],
    ["a window that is no size", "Mistral-7B-v0.1", { sliding_window: -1 }, /`sliding_window`/],
    ["no_rope_layers of another length", "SmolLM3-3B", { no_rope_layers: [1, 0] }, /`no_rope_layers`.*36 layers/],
    [
      "too few factors",
      "Phi-4-mini-instruct",
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      /`short_factor`.*48/,
    ],
    [
      "an unknown rope",
      "Qwen3-0.6B",
      { rope_scaling: { rope_type: "proportional", factor: 4 } },
      /`rope_type` must be one of.*"proportional"/,
    ],
    ["a negative factor", "Qwen3-0.6B", { rope_scaling: { rope_type: "yarn", factor: -4 } }, /`factor` must be a positive number/],
    ["a rotated share beyond the head", "Phi-4-mini-instruct", { partial_rotary_factor: 1.5, rope_scaling: null }, /fit the head size 128/],
    ["a billion layers", "Llama-3.2-1B", { num_hidden_layers: 1e9 }, /`num_hidden_layers` must be a positive integer up to 4096/],
  ])("%s", (_, name, change, message) => {
    expect(() => parse(name, change)).toThrow(CheckpointError);
    expect(() => parse(name, change)).toThrow(message);
  });
});
