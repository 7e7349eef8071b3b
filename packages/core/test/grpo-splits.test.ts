/** GRPO's family: the gradient and the metrics of a step do not depend on how it is split into micro-batches. */
import { describe, expect, test } from "vitest";
import { policySurrogates, TOKEN_LEVEL_ONLY } from "../src/losses/policy/objectives";
import type { LossType } from "../src/losses/token-weights";
import type { GrpoOptions } from "../src/trainers/grpo";
import { movement } from "./grpo-run";
import { relativeDistance } from "./trainer-model";

const splits: readonly Partial<GrpoOptions>[] = [
  { perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 4 },
  { maxTokensPerMicroBatch: 14, gradientCheckpointing: true },
];

async function expectSameHoweverSplit(variant: Partial<GrpoOptions>): Promise<void> {
  const whole = await movement(variant);
  expect(whole.metrics.every((metrics) => (metrics.grad_norm as number) > 0)).toBe(true);
  for (const extra of splits) {
    const split = await movement({ ...variant, ...extra });
    expect(relativeDistance(split.moved, whole.moved)).toBeLessThan(1e-6);
    split.metrics.forEach((metrics, i) => {
      for (const [name, value] of Object.entries(whole.metrics[i] as Record<string, number>))
        expect(metrics[name], name).toBeCloseTo(value, 6);
    });
  }
}

describe("splitting a step", () => {
  const levels = ["token", "sequence", "sequence_token"] as const;
  const variants = (Object.keys(policySurrogates) as LossType[]).flatMap((lossType) =>
    levels
      .filter((level) => level === "token" || !TOKEN_LEVEL_ONLY.has(lossType))
      .map((importanceSamplingLevel) => ({ lossType, importanceSamplingLevel })),
  );
  test.each(variants)("$lossType, $importanceSamplingLevel", (variant) =>
    expectSameHoweverSplit({ ...variant, beta: 0.1, entropyCoef: 0.01 }),
  );

  const modified: Record<string, Partial<GrpoOptions>> = {
    "top entropy": { topEntropyQuantile: 0.4, entropyCoef: 0.01 },
    "off-policy mask": { offPolicyMaskThreshold: 0 },
    "sampler correction": { samplingImportanceCorrection: true, samplingImportanceMode: "token_truncate", samplingImportanceClipMax: 1 },
    "vespo with sampler correction": { lossType: "vespo", samplingImportanceCorrection: true },
    "dual clip, plain k2": { dualClip: 1.5, klEstimator: "k2", useBiasCorrectionKl: false, beta: 0.1 },
    "adaptive entropy": { useAdaptiveEntropy: true, entropyCoef: 0.01, entropyTarget: 100 },
  };
  test.each(Object.keys(modified))("%s", (name) => expectSameHoweverSplit(modified[name] as Partial<GrpoOptions>));
});
