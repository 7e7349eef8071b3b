/** The shapes that are measured: the four GPT shapes and the Llama shapes of the README. */
import type { DecoderConfig, Device } from "@trimtab/core";

/** Batch, time, channels, heads, vocabulary, layers. */
export interface GptShape {
  readonly B: number;
  readonly T: number;
  readonly C: number;
  readonly H: number;
  readonly V: number;
  readonly L: number;
}

export const gptShapes: readonly GptShape[] = [
  { B: 8, T: 64, C: 64, H: 2, V: 256, L: 2 },
  { B: 16, T: 64, C: 96, H: 3, V: 256, L: 3 },
  { B: 4, T: 128, C: 256, H: 8, V: 1024, L: 4 },
  { B: 8, T: 128, C: 256, H: 8, V: 256, L: 8 },
];

export const nameOf = ({ B, T, C, V, L }: GptShape): string => `B${B} T${T} C${C} V${V} L${L}`;

export function gptConfig({ T, C, H, V, L }: GptShape): DecoderConfig {
  return {
    modelType: "gpt2",
    vocabSize: V,
    hiddenSize: C,
    intermediateSize: 4 * C,
    layers: L,
    heads: H,
    kvHeads: H,
    headDim: C / H,
    maxPositions: T,
    norm: { kind: "layer", eps: 1e-5 },
    positions: { kind: "learned" },
    mlp: { kind: "plain", activation: "gelu_tanh" },
    bias: { qkv: true, out: true, mlp: true },
    headNorm: "none",
    tied: true,
    head: "lm",
    initializerRange: 0.02,
    bosTokenId: undefined,
    eosTokenIds: [],
    padTokenId: undefined,
  };
}

export interface LlamaShape {
  readonly name: string;
  readonly layers: number;
  readonly C: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly F: number;
  readonly V: number;
  readonly B: number;
  readonly T: number;
}

/** Small enough for a GPU that is emulated on the CPU. */
export const microShape: LlamaShape = { name: "micro", layers: 2, C: 64, heads: 2, kvHeads: 1, F: 176, V: 512, B: 8, T: 64 };

export const llamaShapes: readonly LlamaShape[] = [
  { name: "tiny", layers: 4, C: 128, heads: 4, kvHeads: 2, F: 344, V: 512, B: 16, T: 128 },
  { name: "small", layers: 6, C: 256, heads: 8, kvHeads: 4, F: 688, V: 4096, B: 8, T: 256 },
];

/** Large enough to keep a real GPU busy; the second is SmolLM2-135M's. */
const gpuShapes: readonly LlamaShape[] = [
  { name: "medium", layers: 12, C: 512, heads: 8, kvHeads: 8, F: 1376, V: 8192, B: 8, T: 512 },
  { name: "135M", layers: 30, C: 576, heads: 9, kvHeads: 3, F: 1536, V: 49_152, B: 8, T: 512 },
];

/** Which of the Llama shapes are asked for. */
export interface ShapeChoice {
  readonly quick: boolean;
  /** By name; all by default. */
  readonly shapes?: readonly string[];
}

export const shapeNames = [microShape, ...llamaShapes, ...gpuShapes].map(({ name }) => name);

/** The Llama shapes that a device is measured on. */
export function llamaShapesFor({ info: { kind, software } }: Device, { quick, shapes }: ShapeChoice): readonly LlamaShape[] {
  if (shapes) return [microShape, ...llamaShapes, ...gpuShapes].filter(({ name }) => shapes.includes(name));
  if (software) return [microShape];
  if (quick) return llamaShapes.slice(0, 1);
  return kind === "webgpu" ? [...llamaShapes, ...gpuShapes] : llamaShapes;
}

export function llamaConfig({ layers, C, heads, kvHeads, F, V, T }: LlamaShape): DecoderConfig {
  return {
    modelType: "llama",
    vocabSize: V,
    hiddenSize: C,
    intermediateSize: F,
    layers,
    heads,
    kvHeads,
    headDim: C / heads,
    maxPositions: Math.max(T, 512),
    norm: { kind: "rms", eps: 1e-5 },
    positions: { kind: "rope", theta: 10000, scaling: { type: "default" } },
    mlp: { kind: "gated", gate: "silu" },
    bias: { qkv: false, out: false, mlp: false },
    headNorm: "none",
    tied: true,
    head: "lm",
    initializerRange: 0.02,
    bosTokenId: undefined,
    eosTokenIds: [],
    padTokenId: undefined,
  };
}
