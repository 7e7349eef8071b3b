/** Every policy gradient without a critic reaches the optimum of a bandit whose optimum is known. */
import type { Device } from "@trimtab/kernels";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grpo } from "../src/trainers/grpo";
import { reinforce } from "../src/trainers/reinforce";
import { rloo } from "../src/trainers/rloo";
import type { TrainingModel } from "../src/trainers/training-model";
import { armLogps, banditModel, banditPrompts, banditReward, shareOfOptimum } from "./bandit";
import { allOf } from "./trainer-model";

let device: Device;
beforeAll(async () => {
  device = await createWasmDevice({ relaxed: false, threads: 1 });
});
afterAll(() => device.destroy());

const given = (model: TrainingModel) => ({
  ...{ model, prompts: banditPrompts, rewards: banditReward, maxCompletionLength: 1, perDeviceTrainBatchSize: 64 },
  ...{ numGenerations: 8, learningRate: 0.02, maxSteps: 60 },
});

const lossTypes = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo", "gmpo"] as const;
const estimators = ["reinforce", "reinforce_plus_plus", "reinforce_plus_plus_baseline", "remax", "opo", "gpg"] as const;

/** Name, price of the KL that the optimum counts, run. */
const runs: [string, number, (model: TrainingModel) => AsyncIterable<unknown>][] = [
  ...lossTypes.map((lossType): (typeof runs)[number] => [lossType, 0, (model) => grpo({ ...given(model), lossType })]),
  ["gspo", 0, (model) => grpo({ ...given(model), lossType: "grpo", importanceSamplingLevel: "sequence" })],
  ["rloo", 0.3, (model) => rloo({ ...given(model), beta: 0.3 })],
  ...estimators.map((advantageEstimator): (typeof runs)[number] => [
    advantageEstimator,
    0,
    (model) => reinforce({ ...given(model), advantageEstimator }),
  ]),
  ["reinforce with the KL in the reward", 0.3, (model) => reinforce({ ...given(model), beta: 0.3 })],
];

test.each(runs)("%s reaches 95 % of the optimum", async (_, klCoef, run) => {
  const model = banditModel(device);
  const first = await armLogps(model);
  await allOf(run(model));
  expect(shareOfOptimum(await armLogps(model), first, klCoef)).toBeGreaterThan(0.95);
  model.decoder.dispose();
});
