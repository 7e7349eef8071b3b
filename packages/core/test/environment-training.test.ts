/** Training in environments: a bandit is its reward function, observations never matter to the gradient, and number guessing is learned. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { describe, expect, test } from "vitest";
import { banditEnvironment } from "../src/environments/bandit";
import type { EnvironmentFactory } from "../src/environments/environment";
import { environmentReward } from "../src/environments/environment-reward";
import { environmentRollout } from "../src/environments/environment-rollout";
import { guessEnvironment, guessRows } from "../src/environments/guess";
import { ConfigError, RewardError } from "../src/errors";
import type { RewardFunction } from "../src/rl/rewards";
import type { RolloutFunction } from "../src/rl/rollout-function";
import { type GrpoOptions, grpo } from "../src/trainers/grpo";
import { allOf, tinyModel, weightsOf } from "./trainer-model";

const options = (extra: Partial<GrpoOptions> = {}): GrpoOptions => ({
  model: tinyModel(createReferenceDevice()),
  prompts: [
    { prompt: "ab", plus: 1 },
    { prompt: "hello", plus: 2 },
    { prompt: "x", plus: 3 },
  ],
  rewards: environmentReward,
  learningRate: 0.01,
  lrSchedulerType: "constant",
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 12,
  maxSteps: 2,
  ...extra,
});

/** Shows its turn and rewards odd first tokens. */
const odd: EnvironmentFactory = () => {
  let turn = 0;
  return {
    reset: () => null,
    step: (_action, { tokens }) => ({ observation: `${++turn}`, reward: (tokens[0] as number) % 2, done: turn === 3 }),
  };
};

test("a bandit is its reward function, to the bit", async () => {
  const spread: RewardFunction = ({ completionIds, plus, logExtra, logMetric }) => {
    logExtra(
      "first",
      Array.from(completionIds, (ids) => ids[0]),
    );
    logMetric("seen", 3);
    return completionIds.map((ids, i) => ((ids[0] as number) % 7) + (plus as number[])[i]!);
  };
  const plain = options({ rewards: spread });
  const played = options({ rolloutFunction: environmentRollout(banditEnvironment(spread)) });
  const [own, its] = [await allOf(grpo(plain)), await allOf(grpo(played))];
  expect(await weightsOf(played.model)).toEqual(await weightsOf(plain.model));
  own.forEach((step, i) => {
    expect(its[i]?.completions.map(({ completion, reward, advantage, extras }) => [completion, reward, advantage, extras])).toEqual(
      step.completions.map(({ completion, reward, advantage, extras }) => [completion, reward, advantage, extras]),
    );
    expect(its[i]?.metrics).toMatchObject({ loss: step.metrics.loss, seen: 3, "rewards/environment/mean": step.metrics.reward });
  });
});

test("what an observation holds never reaches the gradient", async () => {
  const clean = environmentRollout(odd, { maxActionTokens: 2 });
  const poisoned: RolloutFunction = async (request) =>
    (await clean(request)).map((completion) => ({
      ...completion,
      logps: completion.logps.map((logp, t) => (completion.mask?.[t] ? logp : Number.NaN)),
    }));
  const train = async (rolloutFunction: RolloutFunction) => {
    const run = options({ rolloutFunction, beta: 0.1, numIterations: 2, entropyCoef: 0.01, maxSteps: 4 });
    const steps = await allOf(grpo(run));
    expect(steps[0]?.metrics.grad_norm).toBeGreaterThan(0);
    return { weights: await weightsOf(run.model), metrics: steps.map(({ metrics }) => metrics) };
  };
  expect(await train(poisoned)).toEqual(await train(clean));
});

test("environment and reward functions add up, and rewards see the whole conversation", async () => {
  const seen: unknown[] = [];
  const judge: RewardFunction = ({ completions, prompts, environmentRewards }) => {
    seen.push(prompts, completions, environmentRewards);
    return completions.map((text) => (text as string).length);
  };
  const run = options({
    rolloutFunction: environmentRollout(odd, { maxActionTokens: 2 }),
    rewards: [environmentReward, judge],
    rewardWeights: [2, 0.5],
    maxSteps: 1,
  });
  const [step] = await allOf(grpo(run));
  const [, completions, rewards] = seen as [unknown, string[], { total: number }[]];
  step?.completions.forEach((completion, s) => {
    expect(completion.completion).toBe(completions[s]);
    expect(completion.completion).toMatch(/\n1\n(.|\n)*\n2\n/);
    expect(completion.rewards).toEqual({ environment: rewards[s]?.total, judge: completions[s]?.length });
    expect(completion.reward).toBe(2 * (rewards[s]?.total as number) + 0.5 * (completions[s]?.length as number));
  });
  expect(step?.metrics["num_turns/mean"]).toBe(3);
  await expect(allOf(grpo(options()))).rejects.toThrow(RewardError);
  await expect(allOf(grpo(options()))).rejects.toThrow(/set rolloutFunction to an environmentRollout/i);
});

describe("number guessing", () => {
  const play = async (guesses: readonly string[], options = {}, row = {}) => {
    const environment = await guessEnvironment(options)(row, 5, { sampleIndex: 0, trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 } });
    expect(await environment.reset(row)).toBeUndefined();
    return guesses.map((guess) => environment.step(guess, {} as never));
  };

  test("answers higher and lower, and pays for few guesses", async () => {
    const range = { low: 0, high: 9, maxGuesses: 4 };
    expect(await play(["5", "I say 2 or 3", "4"], range, { secret: 4 })).toEqual([
      { observation: "lower", done: false },
      { observation: "higher", done: false },
      { reward: 0.5, done: true },
    ]);
    expect(await play(["x", "12", "-1", "3"], range, { secret: 4 })).toEqual([
      { observation: "a number from 0 to 9", done: false },
      { observation: "a number from 0 to 9", done: false },
      { observation: "a number from 0 to 9", done: false },
      { reward: 0, done: true },
    ]);
    expect(await play(["4"], range, { secret: 4 })).toEqual([{ reward: 1, done: true }]);
  });

  test("draws every number of its range from the seed alone", async () => {
    const factory = guessEnvironment({ low: 3, high: 7 });
    const secretOf = async (seed: number) => {
      const report = await (await factory({}, seed, {} as never)).report?.();
      return report?.extras?.secret;
    };
    const secrets = await Promise.all(Array.from({ length: 200 }, (_, seed) => secretOf(seed)));
    expect(new Set(secrets)).toEqual(new Set([3, 4, 5, 6, 7]));
    expect(await Promise.all(Array.from({ length: 200 }, (_, seed) => secretOf(seed)))).toEqual(secrets);
  });

  test("bisection always finds it within the default number of guesses", async () => {
    for (let secret = 1; secret <= 100; secret++) {
      const environment = await guessEnvironment()({ secret }, 0, {} as never);
      let [low, high] = [1, 100];
      for (;;) {
        const guess = Math.floor((low + high) / 2);
        const { observation, reward, done } = await environment.step(String(guess), {} as never);
        if (done) {
          expect(reward).toBeGreaterThan(0);
          break;
        }
        if (observation === "higher") low = guess + 1;
        else high = guess - 1;
      }
    }
    expect(guessRows(2)[1]?.prompt).toMatch(/from 1 to 100. You have 7 guesses/);
    expect(() => guessEnvironment({ low: 2, high: 1 })).toThrow(ConfigError);
  });
});

/** The first action is free; then a "+" or a "-" is shown, and the second action must be the same. No policy that ignores it exceeds 1/2. */
const repeatAfterMe: EnvironmentFactory = ({ sign }) => {
  let turn = 0;
  return {
    reset: () => null,
    step: (action) => (turn++ === 0 ? { observation: sign as string, done: false } : { reward: action === sign ? 1 : 0, done: true }),
  };
};

describe("GRPO learns", () => {
  const learn = async (extra: Partial<GrpoOptions>) => {
    const device = await createWasmDevice({ relaxed: false });
    const run = options({
      model: tinyModel(device),
      learningRate: 0.03,
      perDeviceTrainBatchSize: 96,
      numGenerations: 16,
      maxSteps: 40,
      ...extra,
    });
    const rewards = (await allOf(grpo(run))).map(({ metrics }) => metrics.reward as number);
    await device.destroy();
    return { before: rewards[0] as number, after: rewards.slice(-5).reduce((a, b) => a + b, 0) / 5 };
  };

  test("number guessing", async () => {
    const { before, after } = await learn({
      prompts: [0, 1, 2].map((secret) => ({ prompt: "?", secret })),
      rolloutFunction: environmentRollout(guessEnvironment({ low: 0, high: 2, maxGuesses: 2 }), {
        maxActionTokens: 1,
        renderObservation: (hint) => (hint === "higher" ? "+" : hint === "lower" ? "-" : "!"),
      }),
      maxCompletionLength: 3,
    });
    expect(before).toBeLessThan(0.05);
    expect(after).toBeGreaterThan(0.4);
  });

  test("to react to what it is shown", async () => {
    const { before, after } = await learn({
      prompts: ["+", "-"].map((sign) => ({ prompt: "?", sign })),
      rolloutFunction: environmentRollout(repeatAfterMe, { maxActionTokens: 1, renderObservation: (sign) => sign }),
      maxCompletionLength: 3,
    });
    expect(before).toBeLessThan(0.1);
    expect(after).toBeGreaterThan(0.9);
  });
});
