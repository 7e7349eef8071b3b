/** PPO in environments: it learns number guessing, and to react to what an environment shows it. */
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { expect, test } from "vitest";
import type { EnvironmentFactory } from "../src/environments/environment";
import { environmentReward } from "../src/environments/environment-reward";
import { environmentRollout } from "../src/environments/environment-rollout";
import { guessEnvironment } from "../src/environments/guess";
import { type PpoOptions, ppo } from "../src/trainers/ppo";
import { allOf, tinyModel } from "./trainer-model";

async function learn(extra: Pick<PpoOptions, "prompts" | "rolloutFunction" | "maxSteps">): Promise<{ before: number; after: number }> {
  const device = await createWasmDevice({ relaxed: false });
  const steps = await allOf(
    ppo({
      model: tinyModel(device),
      rewards: environmentReward,
      learningRate: 0.02,
      lrSchedulerType: "constant",
      perDeviceTrainBatchSize: 192,
      numPpoEpochs: 2,
      maxCompletionLength: 3,
      temperature: 1,
      klCoef: 0,
      ...extra,
    }),
  );
  const rewards = steps.map(({ metrics }) => metrics.reward as number);
  await device.destroy();
  return { before: rewards[0] as number, after: rewards.slice(-5).reduce((a, b) => a + b, 0) / 5 };
}

test("number guessing", async () => {
  const { before, after } = await learn({
    prompts: [0, 1, 2].map((secret) => ({ prompt: "?", secret })),
    rolloutFunction: environmentRollout(guessEnvironment({ low: 0, high: 2, maxGuesses: 2 }), {
      maxActionTokens: 1,
      renderObservation: (hint) => (hint === "higher" ? "+" : hint === "lower" ? "-" : "!"),
    }),
    maxSteps: 70,
  });
  expect(before).toBeLessThan(0.05);
  // Bisection earns 2/3; the same two guesses whatever the hint, 1/2.
  expect(after).toBeGreaterThan(0.6);
});

/** The first action is free; then a "+" or a "-" is shown, and the second action must be the same. No policy that ignores it exceeds 1/2. */
const repeatAfterMe: EnvironmentFactory = ({ sign }) => {
  let turn = 0;
  return {
    reset: () => null,
    step: (action) => (turn++ === 0 ? { observation: sign as string, done: false } : { reward: action === sign ? 1 : 0, done: true }),
  };
};

test("to react to what it is shown", async () => {
  const { before, after } = await learn({
    prompts: ["+", "-"].map((sign) => ({ prompt: "?", sign })),
    rolloutFunction: environmentRollout(repeatAfterMe, { maxActionTokens: 1, renderObservation: (sign) => sign }),
    maxSteps: 40,
  });
  expect(before).toBeLessThan(0.1);
  expect(after).toBeGreaterThan(0.9);
});
