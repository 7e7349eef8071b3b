/** A small run of GRPO for tests of its variants, and how far it moves the weights. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import type { RewardFunction } from "../src/rl/rewards";
import { type GrpoOptions, grpo } from "../src/trainers/grpo";
import { allOf, tinyModel, weightsOf } from "./trainer-model";

/** Any spread of rewards. */
export const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);

/** Two steps on two groups of four; `extra` wins. */
export const options = (extra: Partial<GrpoOptions> = {}): GrpoOptions => ({
  model: tinyModel(createReferenceDevice()),
  prompts: [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }],
  rewards: spread,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 5,
  maxSteps: 2,
  ...extra,
});

/** Two steps per rollout, so that ratios and old log-probabilities matter; a large epsilon, so that weights move with the gradient. */
export const movement = async (extra: Partial<GrpoOptions>) => {
  const run = options({ numIterations: 2, maxGradNorm: 0, adamEpsilon: 1, learningRate: 1, ...extra });
  const before = await weightsOf(run.model);
  const steps = await allOf(grpo(run));
  const after = await weightsOf(run.model);
  return {
    moved: after.map((flat, shard) => flat.map((value, i) => value - ((before[shard] as Float32Array)[i] as number))),
    metrics: steps.map((step) => step.metrics),
  };
};
