/** Every trainer reaches what its task allows: 95 % of the exact optimum, or of held-out pairs in the right order. */
import { createDevice, type Device } from "@trimtab/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyModel } from "../known-optimum/src/algorithm";
import { algorithms, chosen } from "../known-optimum/src/algorithms";
import { amongLetters, enumerate, klOf, optimumOf, policyValue, tilted } from "../known-optimum/src/exact";
import { runAlgorithm } from "../known-optimum/src/run";
import { isLetter, payOf, ranking, trainingContexts } from "../known-optimum/src/task";

let device: Device;
beforeAll(async () => {
  device = await createDevice("wasm", { threads: 1, relaxed: false });
});
afterAll(() => device.destroy());

describe("exact figures", () => {
  const isEnd = (token: number) => token === 0;

  it("agree with sums written out: a uniform policy over 19 tokens, of which eight letters pay 3.7 in all", () => {
    const uniform = () => new Float32Array(19).fill(-Math.log(19));
    expect(policyValue(uniform, uniform, 0, trainingContexts, { length: 1, isEnd })).toBeCloseTo(3.7 / 19, 6);
    expect(optimumOf(uniform, 0, trainingContexts, { length: 3, isEnd })).toBeCloseTo(1, 9);
    const pays = [1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0, ...new Array<number>(11).fill(0)];
    const free = 0.3 * Math.log(pays.reduce((sum, pay) => sum + Math.exp(pay / 0.3), 0) / 19);
    expect(optimumOf(uniform, 0.3, trainingContexts, { length: 1, isEnd })).toBeCloseTo(free, 6);
    expect(policyValue(tilted(uniform, 0.3), uniform, 0.3, trainingContexts, { length: 1, isEnd })).toBeCloseTo(free, 5);
    expect(klOf(amongLetters(uniform), amongLetters(uniform), trainingContexts)).toBeCloseTo(0, 6);
  });

  it("enumerate distributions", async () => {
    const model = tinyModel({ device, seed: 3 });
    const policy = await enumerate(model, trainingContexts.slice(0, 1), 2);
    const context = trainingContexts[0] as (typeof trainingContexts)[number];
    for (const prefix of [[], [5]]) {
      expect(policy(context, prefix).reduce((sum, logp) => sum + Math.exp(logp), 0)).toBeCloseTo(1, 5);
    }
    model.decoder.dispose();
  });

  it("rank the letters by the mood", () => {
    expect(ranking(0).join("")).toBe("abcdefgh");
    expect(ranking(1).join("")).toBe("ghabcdef");
    expect(Array.from({ length: 19 }, (_, token) => token).filter(isLetter)).toHaveLength(8);
    expect(payOf(0, 2)).toBe(1);
    expect(payOf(0, 0)).toBe(0);
  });
});

describe("names", () => {
  it("are checked", () => {
    expect(chosen(["all"])).toBe(algorithms);
    expect(chosen(["grpo"]).map(({ name }) => name)).toEqual(["grpo"]);
    expect(() => chosen(["grqo"])).toThrow(/it must be all or some of grpo, .*got grqo/);
    expect(new Set(algorithms.map(({ name }) => name)).size).toBe(algorithms.length);
  });
});

describe("every algorithm", () => {
  it.each(algorithms.map((algorithm) => [algorithm.name, algorithm] as const))("%s reaches 95 % of what there is", async (_, algorithm) => {
    const { percent, steps } = await runAlgorithm(algorithm, { device, seed: 1 }, 1);
    expect(steps).toBe(algorithm.stepCount);
    expect(percent).toBeGreaterThanOrEqual(algorithm.goal ?? 95);
    expect(percent).toBeLessThanOrEqual(100.01);
  });
});
