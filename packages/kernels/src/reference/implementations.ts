/** All reference implementations by entry point name. */
import type { EntryPoint } from "../contract";
import { DeviceError } from "../errors";
import { adamwReference } from "./adamw";
import { attentionReference } from "./attention";
import { blockwiseReference } from "./blockwise";
import { columnsReference } from "./columns";
import { dropoutReference } from "./dropout";
import { elementwiseReference } from "./elementwise";
import { embeddingReference } from "./embedding";
import { gatedActivationReference } from "./gated-activation";
import { headNormReference } from "./head-norm";
import { evaluateImplementation, type Implementation, type ReferenceValues } from "./implement";
import { kvCacheReference } from "./kv-cache";
import { layerNormReference } from "./layer-norm";
import { matmulReference } from "./matmul";
import { normedMatmulReference } from "./normed-matmul";
import { packedWeightReference } from "./packed-weight";
import { policyLossReference } from "./policy-loss";
import { rmsNormReference } from "./rms-norm";
import { ropeReference } from "./rope";
import { sampleReference } from "./sample";
import { segmentReference } from "./segment";
import { tokenLogprobReference } from "./token-logprob";
import { vocabGatherReference } from "./vocab-gather";
import { vocabPairReference } from "./vocab-pair";

export const implementations: ReadonlyMap<string, Implementation> = new Map(
  [
    adamwReference,
    attentionReference,
    blockwiseReference,
    columnsReference,
    dropoutReference,
    elementwiseReference,
    embeddingReference,
    gatedActivationReference,
    headNormReference,
    kvCacheReference,
    layerNormReference,
    matmulReference,
    normedMatmulReference,
    packedWeightReference,
    policyLossReference,
    rmsNormReference,
    ropeReference,
    sampleReference,
    segmentReference,
    tokenLogprobReference,
    vocabGatherReference,
    vocabPairReference,
  ]
    .flat()
    .map((implementation) => [implementation.entry.name, implementation]),
);

/**
 * Evaluates an entry point in f64 without a device: fresh arrays in, every tensor out, by name. `tensors` holds inputs, inout
 * tensors and the start of accumulating outputs; `values` the sizes of all dimension letters and the scalars.
 */
export function computeReference(
  entry: EntryPoint,
  tensors: Readonly<Record<string, ArrayLike<number> | undefined>>,
  values: ReferenceValues,
): Record<string, Float64Array> {
  const implementation = implementations.get(entry.name);
  if (!implementation) throw new DeviceError(`${entry.name}: the reference must implement it, got no implementation.`);
  return evaluateImplementation(implementation, tensors, values);
}
