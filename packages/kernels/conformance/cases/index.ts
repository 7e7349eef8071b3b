/** All conformance cases and gradient checks. */
import type { Case } from "../case";
import type { GradientCheck } from "../gradient";
import { adamwCases } from "./adamw";
import { attentionCases, attentionGradients } from "./attention";
import { blockwiseCases } from "./blockwise";
import { columnsCases } from "./columns";
import { dropoutCases, dropoutGradients } from "./dropout";
import { elementwiseCases, elementwiseGradients } from "./elementwise";
import { embeddingCases, embeddingGradients } from "./embedding";
import { gatedActivationCases, gatedActivationGradients } from "./gated-activation";
import { headNormCases, headNormGradients } from "./head-norm";
import { kvCacheCases } from "./kv-cache";
import { layerNormCases, layerNormGradients } from "./layer-norm";
import { matmulCases, matmulGradients } from "./matmul";
import { normedMatmulCases } from "./normed-matmul";
import { packedWeightCases, packedWeightGradients } from "./packed-weight";
import { policyLossCases, policyLossGradients } from "./policy-loss";
import { rmsNormCases, rmsNormGradients } from "./rms-norm";
import { ropeCases, ropeGradients } from "./rope";
import { sampleCases } from "./sample";
import { segmentCases, segmentGradients } from "./segment";
import { tokenLogprobCases, tokenLogprobGradients } from "./token-logprob";
import { vocabGatherCases, vocabGatherGradients } from "./vocab-gather";
import { vocabPairCases, vocabPairGradients } from "./vocab-pair";

export const cases: readonly Case[] = [
  ...adamwCases,
  ...attentionCases,
  ...blockwiseCases,
  ...columnsCases,
  ...dropoutCases,
  ...elementwiseCases,
  ...embeddingCases,
  ...gatedActivationCases,
  ...headNormCases,
  ...kvCacheCases,
  ...layerNormCases,
  ...matmulCases,
  ...normedMatmulCases,
  ...packedWeightCases,
  ...policyLossCases,
  ...rmsNormCases,
  ...ropeCases,
  ...sampleCases,
  ...segmentCases,
  ...tokenLogprobCases,
  ...vocabGatherCases,
  ...vocabPairCases,
];

export const gradientChecks: readonly GradientCheck[] = [
  ...attentionGradients,
  ...dropoutGradients,
  ...elementwiseGradients,
  ...embeddingGradients,
  ...gatedActivationGradients,
  ...headNormGradients,
  ...layerNormGradients,
  ...matmulGradients,
  ...packedWeightGradients,
  ...policyLossGradients,
  ...rmsNormGradients,
  ...ropeGradients,
  ...segmentGradients,
  ...tokenLogprobGradients,
  ...vocabGatherGradients,
  ...vocabPairGradients,
];
