/// <reference types="node" />
/** The engine across a message channel: models by handle, runs step by step, functions that stay behind, errors that keep their class. */
import { afterEach, describe, expect, it } from "vitest";
import type { RewardFunction } from "../src/rl/rewards";
import { openEngine, type TestEngine, tiny } from "./engine-host";

const opened: TestEngine[] = [];
async function start(...args: Parameters<typeof openEngine>): Promise<TestEngine> {
  const one = await openEngine(...args);
  opened.push(one);
  return one;
}
afterEach(async () => {
  for (const { engine } of opened.splice(0)) await engine.close();
});

/** Rewards whatever has a high first token. */
const first: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);

const grpoOptions = {
  prompts: [{ prompt: "ab" }, { prompt: "hello" }],
  rewards: first,
  learningRate: 0.01,
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 4,
  maxSteps: 3,
} as const;

describe("engine", () => {
  it("generates, and tells of text as it grows", async () => {
    const { engine } = await start();
    const model = await engine.newModel(tiny);
    const texts = new Map<number, string>();
    const completions = await model.generate({
      prompts: ["ab", "c"],
      n: 2,
      temperatures: [0.5, 1],
      maxNewTokens: 9,
      seed: 1,
      onText: (index, text) => texts.set(index, (texts.get(index) ?? "") + text),
    });
    expect(completions.map(({ promptIndex, temperature }) => [promptIndex, temperature])).toEqual([
      [0, 0.5],
      [0, 0.5],
      [0, 1],
      [0, 1],
      [1, 0.5],
      [1, 0.5],
      [1, 1],
      [1, 1],
    ]);
    expect(completions.map((_, index) => texts.get(index) ?? "")).toEqual(completions.map(({ text }) => text));
  });

  it("takes steps", async () => {
    const { engine } = await start();
    const model = await engine.newModel(tiny);
    const run = await engine.train("grpo", { model, ...grpoOptions });
    expect(run.maxSteps).toBe(3);
    const steps = [];
    for await (const step of run) steps.push(step);
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(steps[0]?.metrics["rewards/first/mean"]).toBeDefined();
    expect(steps[0]?.samples).toHaveLength(8);
  });
});
