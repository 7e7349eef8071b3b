/** The scripted judge errs as it says, comparisons are split fairly, and the whole RLHF program runs. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { splitByPrompt } from "../positive-speeches/src/human-feedback";
import { compare, preferenceChance } from "../positive-speeches/src/judge";
import type { Measurement } from "../positive-speeches/src/optimise";
import { readRlhfFlags } from "../positive-speeches/src/rlhf-settings";
import { finding, verdictOf } from "../positive-speeches/src/rlhf-verdict";
import { sentiment } from "../positive-speeches/src/sentiment";

const GOOD = " a good and happy people."; // 3 + 3
const PLAIN = " the hope of it."; // 2
const pairs = (count: number, completions: readonly [string, string]) =>
  Array.from({ length: count }, (_, i) => ({ prompt: `prompt ${i}`, completions, group: i + 1 }));

describe("the scripted judge", () => {
  it("prefers by σ(difference / noise)", () => {
    // σ(1) = 1 / (1 + 1/e) and σ(2): worked by hand.
    expect(preferenceChance(3, 2, 1)).toBeCloseTo(0.7310585786, 9);
    expect(preferenceChance(6, 2, 2)).toBeCloseTo(0.880797078, 9);
    const reward = fc.integer({ min: -16, max: 16 }).map((halves) => halves / 2);
    fc.assert(
      fc.property(reward, reward, (a, b) => {
        expect(preferenceChance(a, b, 1.5) + preferenceChance(b, a, 1.5)).toBeCloseTo(1, 12);
        expect(Math.sign(preferenceChance(a, b, 1.5) - 0.5)).toBe(Math.sign(a - b));
      }),
      { seed: 1 },
    );
  });

  it("errs as often as that, whichever text comes first", () => {
    expect([sentiment(GOOD), sentiment(PLAIN)]).toEqual([6, 2]);
    const n = 4000;
    for (const order of [[GOOD, PLAIN] as const, [PLAIN, GOOD] as const]) {
      const share = compare(pairs(n, order), { noise: 4, seed: 5 }).filter(({ row }) => row.chosen === GOOD).length / n;
      // σ((6 - 2) / 4) = 0.7311; four standard deviations of a share of 4000.
      expect(Math.abs(share - 0.7311)).toBeLessThan(4 * Math.sqrt((0.7311 * 0.2689) / n));
    }
  });

  it("writes TRL's preference rows, repeats itself, and knows how certain it was", () => {
    const judged = compare(pairs(50, [GOOD, PLAIN]), { noise: 2, seed: 1 });
    expect(compare(pairs(50, [GOOD, PLAIN]), { noise: 2, seed: 1 })).toEqual(judged);
    expect(compare(pairs(50, [GOOD, PLAIN]), { noise: 2, seed: 2 })).not.toEqual(judged);
    judged.forEach(({ row, group, certainty }, i) => {
      expect(Object.keys(row)).toEqual(["prompt", "chosen", "rejected"]);
      expect([row.chosen, row.rejected].sort()).toEqual([GOOD, PLAIN].sort());
      expect([row.prompt, group]).toEqual([`prompt ${i}`, i + 1]);
      expect(certainty).toBeCloseTo(0.880797078, 9); // σ(2)
    });
    expect(() => compare([], { noise: 0, seed: 1 })).toThrow(/noise must be above 0, got 0/);
  });
});

it("no prompt's comparisons are on both sides of the split", () => {
  const comparisons = [1, 1, 1, 2, 3, 3, 4].map((group) => ({
    row: { prompt: "p", chosen: "a", rejected: "b" },
    group,
    certainty: 1,
  }));
  const { training, heldOut } = splitByPrompt(comparisons, 0.25);
  expect(training.map(({ group }) => group)).toEqual([1, 1, 1, 2, 3, 3]);
  expect(heldOut.map(({ group }) => group)).toEqual([4]);
});

describe("the verdict", () => {
  const measured = (round: number, kl: number, proxy: number, rewards: number[]): Measurement => ({
    round,
    kl,
    proxy,
    rewards,
    truth: rewards.reduce((sum, value) => sum + value, 0) / rewards.length,
    distinct2: 1,
    texts: [],
  });
  const start = measured(0, 0, 0, [0, 1, 0, 1]);
  const rest = {
    bitsPerByte: 2,
    rewardModel: {} as never,
    settings: {} as never,
    seed: 1,
  };

  it("calls a rising proxy with a falling true reward over-optimisation", () => {
    const peak = measured(5, 3, 1, [4, 5, 4, 5]);
    const end = measured(10, 20, 4, [2, 3, 2, 3]);
    const verdict = verdictOf({ ...rest, runs: { controlled: [start, peak], free: [start, peak, end] } });
    expect(verdict.gains.controlled).toMatchObject({ mean: 4, low: 4, high: 4, meanBefore: 0.5, meanAfter: 4.5 });
    expect(verdict.fallFromPeak).toMatchObject({ peakRound: 5, mean: -2, low: -2, high: -2 });
    // (2.5 - 0.5) / √(1/3): the sample standard deviation of 0, 1, 0, 1
    expect(verdict.table.at(-1)?.zTruth).toBeCloseTo(2 * Math.sqrt(3), 10);
    expect(finding(verdict)).toBe(
      "With the KL held, PPO made the texts better by the true reward. With KL for free, 20.0 nats from the base, the reward model claims +4.00 standard deviations, and the judge sees +3.46. Since its best in round 5, at 3.0 nats, the proxy went from 1.00 to 4.00, and the true reward fell: over-optimisation (-2.00, 95 % interval -2.00 to -2.00).",
    );
  });

  it("does not claim what the figures do not show", () => {
    const end = measured(5, 3, 1, [0, 2, 0, 1]);
    const verdict = verdictOf({ ...rest, runs: { controlled: [start, start], free: [start, end] } });
    expect(finding(verdict)).toBe(
      "With the KL held, PPO did not make the texts clearly better by the true reward. With KL for free, 3.0 nats from the base, the reward model claims +1.00 standard deviations, and the judge sees +0.43. The true reward was still at its highest at the end.",
    );
  });
});

it("flags are checked", () => {
  expect(readRlhfFlags(["--comparisons", "90", "--small"])).toMatchObject({ comparisons: 90, small: true, seed: 1, steps: undefined });
  expect(() => readRlhfFlags(["--comparisons", "few"])).toThrow(/--comparisons: it must be a whole number, got few/);
});

describe("the program, tiny", () => {
  const program = fileURLToPath(new URL("../positive-speeches/dist/rlhf.js", import.meta.url));
  const output = mkdtempSync(join(tmpdir(), "trimtab-rlhf-"));
  afterAll(() => rmSync(output, { recursive: true }));

  it("goes through every step and leaves everything", { timeout: 120_000 }, async () => {
    const flags = ["--small", "--pretrain-steps", "10", "--comparisons", "120", "--steps", "1", "--output", output];
    await promisify(execFile)(process.execPath, [program, ...flags]);
    const verdict = JSON.parse(readFileSync(join(output, "rlhf-verdict.json"), "utf8"));
    const { rewardModel, table } = verdict;
    expect(rewardModel.trainingComparisons + rewardModel.heldOutComparisons).toBe(120);
    expect(rewardModel.bestAccuracy).toBeGreaterThan(0.5);
    expect(table.map(({ run, round }: { run: string; round: number }) => `${run} ${round}`)).toEqual([
      "controlled 0",
      "controlled 1",
      "free 0",
      "free 2",
    ]);
    expect(table[0].kl).toBe(0);
    expect(table[3].kl).toBeGreaterThan(0);
    const rows = readFileSync(join(output, "rlhf", "preferences.jsonl"), "utf8")
      .trim()
      .split("\n");
    expect(rows.length).toBe(120);
    expect(Object.keys(JSON.parse(rows[0] as string))).toEqual(["prompt", "chosen", "rejected"]);
    expect(readFileSync(join(output, "rlhf-report.html"), "utf8")).toContain("Over-optimisation");
    for (const file of ["base/config.json", "rlhf/model/model.safetensors", "rlhf/reward-model/config.json"]) {
      expect(existsSync(join(output, file)), file).toBe(true);
    }
  });
});
