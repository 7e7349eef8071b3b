/** Every op of the engine. A device implements exactly these entry points; the conformance suite runs all of them. */
import type { EntryPoint } from "../contract";
import { adamw } from "./adamw";
import { attention } from "./attention";
import { blockwise } from "./blockwise";
import { columns } from "./columns";
import { dropout } from "./dropout";
import { accumulate, binary, fill, unary } from "./elementwise";
import { embedding } from "./embedding";
import { gatedActivation } from "./gated-activation";
import { headNorm } from "./head-norm";
import { kvCache } from "./kv-cache";
import { layerNorm } from "./layer-norm";
import { matmul } from "./matmul";
import { normedMatmul } from "./normed-matmul";
import { packedWeight } from "./packed-weight";
import { policyLoss } from "./policy-loss";
import { rmsNorm } from "./rms-norm";
import { rope } from "./rope";
import { sample } from "./sample";
import { segment } from "./segment";
import { tokenLogprob } from "./token-logprob";
import { vocabGather } from "./vocab-gather";
import { vocabPair } from "./vocab-pair";

export { QUANTIZED_BLOCK } from "./blockwise";
export { BINARY_KINDS, type BinaryKind, UNARY_KINDS, type UnaryKind } from "./elementwise";
export { GATE_KINDS, type GateKind } from "./gated-activation";
export { POLICY_SUMS } from "./policy-loss";

export const ops = {
  accumulate,
  adamw,
  attention,
  binary,
  blockwise,
  columns,
  dropout,
  embedding,
  fill,
  gatedActivation,
  headNorm,
  kvCache,
  layerNorm,
  matmul,
  normedMatmul,
  packedWeight,
  policyLoss,
  rmsNorm,
  rope,
  sample,
  segment,
  tokenLogprob,
  unary,
  vocabGather,
  vocabPair,
} as const;

/** All entry points by name: `entryPoints.get("rms_norm_forward")`. */
export const entryPoints: ReadonlyMap<string, EntryPoint> = new Map(
  Object.values(ops).flatMap((op) =>
    Object.values(op as Record<string, EntryPoint>).map((entry): [string, EntryPoint] => [entry.name, entry]),
  ),
);
