/** Best of n: what is kept under every rule, in which order, with which figures; and that the sampled whole is scored as it is kept. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../src/errors";
import { bestOfNKl, type RewardedCompletion, selectBestOfN } from "../src/generate/best-of-n";
import { sampleBestOfN } from "../src/generate/sample-best-of-n";
import type { RewardFunction } from "../src/rl/rewards";
import { tinyModel } from "./trainer-model";

const prompts = [
  { prompt: "p", columns: { answer: 1 } },
  { prompt: [{ role: "user", content: "q" }], columns: {} },
];
const of = (...pairs: [string, number | null][]): RewardedCompletion[] => pairs.map(([text, reward]) => ({ text, reward }));
const completions = [of(["a", 1], ["b", 3], ["b", 3], ["c", null], ["d", 3]), of(["e", -1], ["f", -2])];

describe("selectBestOfN", () => {
  test("keeps the first of the best, with the prompt's columns, in the prompt's form", () => {
    const { rows, lines, dropped, statistics } = selectBestOfN(prompts, completions);
    expect(rows).toEqual([
      { answer: 1, prompt: "p", completion: "b", reward: 3 },
      { prompt: [{ role: "user", content: "q" }], completion: [{ role: "assistant", content: "e" }], reward: -1 },
    ]);
    expect(lines).toEqual([1, 2]);
    expect(dropped.map(({ reason }) => reason).sort()).toEqual([
      "not among the best of its prompt",
      "not among the best of its prompt",
      "not among the best of its prompt",
      "the same completion again",
      "without a reward",
    ]);
    // Before: (1 + 3 + 3 + 3 - 1 - 2) / 6. After: (3 - 1) / 2.
    expect(statistics).toMatchObject({ prompts: 2, completions: 7, accepted: 2, acceptedPrompts: 2 });
    expect(statistics.meanRewardBefore).toBeCloseTo(7 / 6, 12);
    expect(statistics.meanRewardAfter).toBe(1);
    expect(statistics.klBound).toBeCloseTo(Math.log(5) - 4 / 5, 12);
  });

  test("keeps several, above a threshold only, and no prompt where nothing is good enough", () => {
    const { rows, statistics } = selectBestOfN(prompts, completions, { keep: 2, threshold: 1 });
    expect(rows.map(({ completion }) => completion)).toEqual(["b", "d"]);
    expect(statistics).toMatchObject({ accepted: 2, acceptedPrompts: 1, klBound: undefined });
    expect(selectBestOfN(prompts, completions, { keep: 9, threshold: 1 }).rows.map(({ completion }) => completion)).toEqual([
      "b",
      "d",
      "a",
    ]);
  });

  test("leaves out what was cut short, unless told otherwise; its whole twin stays", () => {
    const cut = [[{ text: "long", reward: 9, truncated: true }, ...of(["long", 5], ["short", 1])]];
    const [prompt] = prompts;
    expect(selectBestOfN([prompt!], cut).rows).toMatchObject([{ completion: "long", reward: 5 }]);
    expect(selectBestOfN([prompt!], cut).statistics.klBound).toBeUndefined();
    expect(selectBestOfN([prompt!], cut, { dropTruncated: false }).rows).toMatchObject([{ completion: "long", reward: 9 }]);
  });

  test("with a temperature, draws with the softmax of the rewards", () => {
    const [prompt] = prompts;
    const many = Array.from({ length: 4000 }, () => prompt!);
    const rewards = of(["x", 0], ["y", 1], ["z", 2]);
    const temperature = 0.8;
    const { rows } = selectBestOfN(
      many,
      many.map(() => rewards),
      { selectionTemperature: temperature, seed: 3 },
    );
    const weights = rewards.map(({ reward }) => Math.exp((reward as number) / temperature));
    const sum = weights.reduce((a, b) => a + b, 0);
    rewards.forEach(({ text }, k) => {
      const share = rows.filter(({ completion }) => completion === text).length / many.length;
      const expected = weights[k]! / sum;
      // Four standard deviations of a binomial share.
      expect(Math.abs(share - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / many.length));
    });
  });

  test.each([[{ keep: 0 }], [{ keep: 1.5 }], [{ selectionTemperature: -1 }], [{ threshold: Number.NaN }]])("refuses %o", (options) => {
    expect(() => selectBestOfN(prompts, completions, options)).toThrow(ConfigError);
  });

  test("the KL is what counting gives: n completions of a uniform policy over many distinct rewards", () => {
    const [size, n] = [20_000, 5];
    // P(best = k) = ((k + 1)^n - k^n) / size^n, against 1 / size.
    let kl = 0;
    for (let k = 0; k < size; k++) {
      const p = ((k + 1) / size) ** n - (k / size) ** n;
      kl += p * Math.log(p * size);
    }
    expect(bestOfNKl(n)).toBeCloseTo(kl, 3);
    expect(bestOfNKl(1)).toBe(0);
  });
});

describe("sampleBestOfN", () => {
  const even: RewardFunction = ({ completionIds, answer }) =>
    completionIds.map((ids, i) => ids.filter((id) => id % 2 === 0).length + 100 * ((answer as number[])[i] as number));
  const options = {
    model: tinyModel(createReferenceDevice()),
    rows: [
      { prompt: "ab", answer: 1 },
      { prompt: "x", answer: 2 },
    ],
    rewards: [even],
    numGenerations: 6,
    maxCompletionLength: 4,
    dropTruncated: false,
  };

  test("keeps the best-scored completion of each prompt, and again the same", async () => {
    const { rows, statistics } = await sampleBestOfN(options);
    expect(rows.map(({ prompt, answer }) => [prompt, answer])).toEqual([
      ["ab", 1],
      ["x", 2],
    ]);
    for (const { reward, answer } of rows) expect(Math.floor((reward as number) / 100)).toBe(answer);
    expect(statistics).toMatchObject({ completions: 12, accepted: 2 });
    expect(statistics.meanRewardAfter).toBeGreaterThan(statistics.meanRewardBefore);
    expect((await sampleBestOfN(options)).rows).toEqual(rows);
    expect((await sampleBestOfN({ ...options, keep: 6 })).statistics.meanRewardAfter).toBeLessThan(statistics.meanRewardAfter);
  });

  test("refuses a limit beyond the context, no rewards, and a bad choice before it samples", async () => {
    await expect(sampleBestOfN({ ...options, maxCompletionLength: 1e6 })).rejects.toThrow(ConfigError);
    await expect(sampleBestOfN({ ...options, rewards: [] })).rejects.toThrow(ConfigError);
    await expect(sampleBestOfN({ ...options, keep: 0 })).rejects.toThrow(ConfigError);
  });
});
