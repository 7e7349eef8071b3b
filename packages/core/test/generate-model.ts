/** Small random decoders for the tests of generation: wide enough weights that different tokens are likely. */
import type { Device } from "@trimtab/kernels";
import type { DecoderConfig } from "../src/models/config";
import { Decoder } from "../src/models/decoder";

export const llamaConfig: DecoderConfig = {
  modelType: "llama",
  vocabSize: 70,
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  maxPositions: 64,
  norm: { kind: "rms", eps: 1e-5 },
  positions: { kind: "rope", theta: 10000, scaling: { type: "default" } },
  mlp: { kind: "gated", gate: "silu" },
  bias: { qkv: false, out: false, mlp: false },
  headNorm: "head",
  tied: false,
  head: "lm",
  initializerRange: 0.5,
  bosTokenId: 1,
  eosTokenIds: [2],
  padTokenId: undefined,
};

export const gpt2Config: DecoderConfig = {
  ...llamaConfig,
  modelType: "gpt2",
  kvHeads: 4,
  norm: { kind: "layer", eps: 1e-5 },
  positions: { kind: "learned" },
  mlp: { kind: "plain", activation: "gelu_tanh" },
  bias: { qkv: true, out: true, mlp: true },
  headNorm: "none",
  tied: true,
  head: "lm",
};

export function randomDecoder(device: Device, config: DecoderConfig = llamaConfig): Decoder {
  const decoder = new Decoder(device, config);
  decoder.parameters.initialise(3);
  return decoder;
}

/** A prompt of `length` tokens below 70; `salt` tells prompts apart. */
export function prompt(length: number, salt = 0): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => 3 + ((i * 7 + salt * 11) % 60));
}
