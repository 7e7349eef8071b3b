/** Judges without an endpoint: laws of the combinations, worked rankings, rewards, and a tiny model by hand-computed log-probabilities. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import { collate } from "../src/data/batch";
import { ConfigError, DataError, JudgeError } from "../src/errors";
import { compareByRating, ensemble, swapPositions } from "../src/judges/combine";
import { pairwiseJudge, ratingJudge } from "../src/judges/function-judge";
import { judgeMetrics, type PairwiseJudge, sumStatistics } from "../src/judges/judge";
import { baselineReward, ratingReward, tournamentReward } from "../src/judges/judge-reward";
import { localPairwiseJudge, localRatingJudge } from "../src/judges/local-judge";
import { readRating, readVerdict } from "../src/judges/prompts";
import { bradleyTerry, rankByComparisons, ranksOf, schedule, winRates } from "../src/judges/ranking";
import { batchLogprobs } from "../src/models/logprobs";
import { callReward, rewardsOf } from "./reward-arguments";
import { tinyModel } from "./trainer-model";

const pairs = [
  { prompt: "p", a: "long", b: "s" },
  { prompt: "p", a: "s", b: "long" },
  { prompt: "p", a: "same", b: "even" },
];
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Prefers the longer by its length, and the first by `bias`. */
const biased = (bias: number, weight = 1) =>
  pairwiseJudge("biased", (asked) => asked.map(({ a, b }) => sigmoid(bias + weight * (a.length - b.length))));

describe("swapPositions", () => {
  test("cancels a judge that looks at positions only, exactly", async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, noNaN: true }), async (p) => {
        const { values, statistics } = await swapPositions(pairwiseJudge("first", (asked) => asked.map(() => p))).compare(pairs);
        expect(values).toEqual([0.5, 0.5, 0.5]);
        const metrics = judgeMetrics(statistics);
        expect(metrics["judge/position_bias"]).toBeCloseTo(p - 0.5, 12);
        expect(metrics["judge/disagreement"]).toBe(p === 0.5 ? 0 : 1);
        expect(metrics["judge/calls"]).toBe(6);
      }),
      { seed: 2 },
    );
  });

  test("turning a pair round turns the answer round", async () => {
    const { values, statistics } = await swapPositions(biased(1)).compare(pairs);
    expect(values[0]).toBeCloseTo((sigmoid(4) + 1 - sigmoid(-2)) / 2, 12);
    expect((values[0] as number) + (values[1] as number)).toBeCloseTo(1, 12);
    expect(values[2]).toBe(0.5);
    expect(statistics).toMatchObject({ compared: 3, disagreements: 1, swapped: 3 });
    const fair = await swapPositions(biased(0)).compare(pairs);
    expect(judgeMetrics(fair.statistics)["judge/position_bias"]).toBeCloseTo(0, 12);
    expect(fair.statistics.disagreements).toBe(0);
  });

  test("half an answer is none", async () => {
    const half = pairwiseJudge("half", (asked) => asked.map((_, i) => (i < 3 ? 1 : i === 3 ? null : 0)));
    const { values, statistics } = await swapPositions(half).compare(pairs);
    expect(values).toEqual([null, 1, 1]);
    expect(statistics).toMatchObject({ compared: 2, unanswered: 1 });
  });
});

describe("ensemble", () => {
  const says = (...values: (number | null)[]) => pairwiseJudge("x", () => values);
  test("means and majorities", async () => {
    const judges = [says(0.9, 0.2, null), says(0.7, 0.6, null), says(0.2, 0.7, null)];
    const mean = await ensemble(judges).compare(pairs);
    expect(mean.values[0]).toBeCloseTo(0.6, 12);
    expect(mean.values[1]).toBeCloseTo(0.5, 12);
    expect(mean.values[2]).toBe(null);
    expect((await ensemble(judges, "majority").compare(pairs)).values).toEqual([1, 1, null]);
    expect((await ensemble([says(0.9, 0.9, 0.9), says(0.1, 0.6, null)], "majority").compare(pairs)).values).toEqual([0.5, 1, 1]);
    expect(mean.statistics).toMatchObject({ calls: 9, unanswered: 3, compared: 2, disagreements: 2 });
    expect(() => ensemble([])).toThrow(ConfigError);
  });
});

describe("function judges", () => {
  test("are checked", async () => {
    await expect(pairwiseJudge("x", () => [0.5]).compare(pairs)).rejects.toBeInstanceOf(JudgeError);
    await expect(pairwiseJudge("x", () => [0, 1, 2]).compare(pairs)).rejects.toThrow(
      /judge x: every value must be a probability or null, got 2 at index 2/,
    );
    await expect(ratingJudge("x", () => [Number.NaN]).rate([{ prompt: "", completion: "" }])).rejects.toBeInstanceOf(JudgeError);
  });

  test("ratings compare as Bradley-Terry", async () => {
    const judge = compareByRating(
      ratingJudge("length", (items) => items.map(({ completion }) => (completion === "even" ? null : completion.length))),
      2,
    );
    const { values } = await judge.compare(pairs);
    expect(values[0]).toBeCloseTo(sigmoid(1.5), 12);
    expect(values[1]).toBeCloseTo(sigmoid(-1.5), 12);
    expect(values[2]).toBe(null);
  });
});

describe("rankings", () => {
  test("two items: the log-odds of their outcomes", () => {
    const games = [1, 1, 1, 0].map((outcome) => ({ i: 0, j: 1, outcome }));
    const [a, b] = bradleyTerry(2, games, 0);
    expect((a as number) - (b as number)).toBeCloseTo(Math.log(3), 8);
    expect((a as number) + (b as number)).toBeCloseTo(0, 12);
    expect([...winRates(3, games)]).toEqual([0.75, 0.25, 0.5]);
  });

  test("at the maximum, expected wins are the wins", () => {
    const game = fc.record({
      i: fc.integer({ min: 0, max: 4 }),
      step: fc.integer({ min: 1, max: 4 }),
      outcome: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(game, { minLength: 1, maxLength: 12 }), (records) => {
        const games = records.map(({ i, step, outcome }) => ({ i, j: (i + step) % 5, outcome }));
        const prior = 0.5;
        const strengths = bradleyTerry(5, games, prior);
        // The prior's opponent has strength e^0 before the mean is taken off: find that shift from the sum of all conditions.
        const residual = (shift: number) =>
          Array.from(strengths, (own, k) => {
            let sum = prior - 2 * prior * sigmoid(own + shift);
            for (const { i, j, outcome } of games) {
              if (i === k) sum += outcome - sigmoid(own - (strengths[j] as number));
              if (j === k) sum += 1 - outcome - sigmoid(own - (strengths[i] as number));
            }
            return sum;
          });
        let [low, high] = [-20, 20];
        for (let n = 0; n < 80; n++) {
          const middle = (low + high) / 2;
          if (residual(middle).reduce((a, b) => a + b, 0) > 0) low = middle;
          else high = middle;
        }
        for (const value of residual(low)) expect(Math.abs(value)).toBeLessThan(1e-6);
      }),
      { seed: 4, numRuns: 100 },
    );
  });

  test("ranks, with ties and gaps", () => {
    expect(ranksOf([3, 1, 3, 2])).toEqual([1, 4, 1, 3]);
    expect(schedule(4)).toHaveLength(6);
    expect(schedule(5, 1)).toEqual([
      [0, 1],
      [0, 4],
      [1, 2],
      [2, 3],
      [3, 4],
    ]);
    expect(schedule(1)).toEqual([]);
  });

  test("a judge's comparisons rank completions", async () => {
    const items = [
      { prompt: "p", completions: ["bb", "a", "cccc", "dd"] },
      { prompt: "q", completions: ["only"] },
    ];
    for (const method of ["wins", "bradley-terry"] as const) {
      const { values, statistics } = await rankByComparisons(biased(0), { method }).rank(items);
      expect(values).toEqual([[2, 4, 1, 2], [1]]);
      expect(statistics.calls).toBe(6);
    }
    const mute: PairwiseJudge = pairwiseJudge("mute", (asked) => asked.map(({ a, b }) => (a === "a" || b === "a" ? null : 1)));
    expect((await rankByComparisons(mute).rank(items)).values).toEqual([null, [1]]);
  });
});

describe("judges as rewards", () => {
  const completions = ["aa", "b", "cccc", "d", "eee"];
  const prompts = ["p", "p", "p", "q", "q"];

  test("ratings, with the judge's metrics", async () => {
    const judge = ratingJudge("length", (items) => items.map(({ completion }) => (completion === "d" ? null : completion.length)));
    const reward = ratingReward(judge);
    const { values, metrics } = await callReward(reward, { completions, prompts });
    expect(reward.name).toBe("length_reward");
    expect(values).toEqual([2, 1, 4, null, 3]);
    expect(metrics).toMatchObject({ "judge/calls": 5, "judge/unanswered": 1, "judge/cost": 0 });
    expect(metrics).not.toHaveProperty("judge/disagreement");
    expect((await callReward(ratingReward(judge, { metricPrefix: "m" }), { completions, prompts })).metrics["m/calls"]).toBe(5);
  });

  test("against a baseline", async () => {
    const columns = { baseline: ["a", "bb", null, [{ role: "assistant", content: "d" }], "eee"] };
    const judge = pairwiseJudge("j", (asked) => asked.map(({ a, b }) => (a.length > b.length ? 1 : a.length < b.length ? 0 : 0.5)));
    expect(await rewardsOf(baselineReward(judge), { completions, prompts, columns })).toEqual([1, 0, null, 0.5, 0.5]);
  });

  test("a tournament within each prompt", async () => {
    const judge = pairwiseJudge("j", (asked) => asked.map(({ a, b }) => (a.length > b.length ? 1 : 0)));
    expect(await rewardsOf(tournamentReward(judge), { completions, prompts })).toEqual([0.5, 0, 1, 0, 1]);
    const strengths = await rewardsOf(tournamentReward(judge, { method: "bradley-terry" }), { completions, prompts });
    expect(strengths[2] as number).toBeGreaterThan(strengths[0] as number);
    expect(strengths[0] as number).toBeCloseTo(0, 8);
    const alone = await rewardsOf(tournamentReward(judge), { completions: ["a"], prompts: ["p"] });
    expect(alone).toEqual([null]);
  });
});

describe("answers in text", () => {
  test.each([
    ["A", 1],
    ["B.", 0],
    ["[[C]]", 0.5],
    ["I prefer [[A]] to B", 1],
    ["A is good, but B", 0],
    ["Neither", null],
    ["AB", null],
    ["", null],
  ])("verdict %j", (answer, expected) => expect(readVerdict(answer)).toBe(expected));

  test.each([
    ["7", 7],
    ["8/10", 8],
    ["8.5 out of 10", 8.5],
    ["[[3]] of 10", 3],
    ["After 2 readings: 9", 9],
    ["11", null],
    ["none", null],
  ])("rating %j", (answer, expected) => expect(readRating(answer, 1, 10)).toBe(expected));
});

describe("a local model as judge", () => {
  const device = createReferenceDevice();
  const model = tinyModel(device, { seed: 9, initializerRange: 0.5 });
  const { tokenizer, decoder } = model;

  /** log p(candidate | prompt), by the model's forward pass over one whole sequence. */
  async function logProbability(prompt: string, candidate: string): Promise<number> {
    const [before, after] = [tokenizer.encode(prompt), tokenizer.encode(candidate, { addSpecialTokens: false })];
    const tokens = Uint32Array.from([...before, ...after]);
    const tape = new Tape(device, { grad: false });
    const mask = Uint8Array.from(tokens, (_, i) => (i < before.length ? 0 : 1));
    const { logp } = batchLogprobs(tape, decoder, collate([{ tokens, mask }], decoder.config.vocabSize));
    const values = (await device.read(logp)) as Float32Array;
    tape.dispose();
    return values.reduce((sum, value) => sum + value, 0);
  }
  const ask = ({ prompt, a, b }: { prompt: string; a: string; b: string }) => [{ role: "user", content: `${prompt}|${a}|${b}` }];

  test("compares by the candidates' log-probabilities, however they are batched", async () => {
    const candidates = ["yes", "not"] as const;
    const judge = (maxTokens: number) => localPairwiseJudge({ model, prompt: ask, candidates, maxTokens });
    const { values, statistics } = await judge(4096).compare(pairs);
    for (const [i, { prompt, a, b }] of pairs.entries()) {
      const text = `${prompt}|${a}|${b}\n\nAnswer:`;
      const [yes, not] = [await logProbability(text, "yes"), await logProbability(text, "not")];
      expect(values[i]).toBeCloseTo(sigmoid(yes - not), 6);
    }
    expect(new Set(values).size).toBe(3);
    expect(statistics.calls).toBe(3);
    const oneByOne = (await judge(1).compare(pairs)).values;
    for (const [i, value] of values.entries()) expect(oneByOne[i]).toBeCloseTo(value as number, 6);
  });

  test("candidates of one token share a row", async () => {
    const judge = localPairwiseJudge({ model, prompt: ask, candidates: ["A", "B"] });
    const { values, statistics } = await judge.compare(pairs.slice(0, 1));
    const text = "p|long|s\n\nAnswer:";
    expect(values[0]).toBeCloseTo(sigmoid((await logProbability(text, "A")) - (await logProbability(text, "B"))), 6);
    expect(statistics.promptTokens).toBe(tokenizer.encode(text).length);
  });

  test("rates by the expected score", async () => {
    const scores = { " bad": -1, " good": 3, " ok": 1 };
    const judge = localRatingJudge({ model, scores, prompt: ({ prompt, completion }) => [{ role: "user", content: prompt + completion }] });
    const { values } = await judge.rate([{ prompt: "p", completion: [{ role: "assistant", content: "q" }] }]);
    const weights = await Promise.all(Object.keys(scores).map(async (answer) => Math.exp(await logProbability("pq\n\nAnswer:", answer))));
    const expected =
      Object.values(scores).reduce((sum, score, k) => sum + score * (weights[k] as number), 0) / weights.reduce((a, b) => a + b);
    expect(values[0]).toBeCloseTo(expected, 6);
  });

  test("refuses candidates that one cannot tell apart, and questions that do not fit", async () => {
    const ambiguous = localRatingJudge({ model, scores: { "1": 1, "10": 10 } });
    await expect(ambiguous.rate([{ prompt: "p", completion: "c" }])).rejects.toBeInstanceOf(ConfigError);
    const judge = localPairwiseJudge({ model });
    await expect(judge.compare([{ prompt: "p".repeat(5000), a: "a", b: "b" }])).rejects.toBeInstanceOf(DataError);
  });

  test("statistics add up", () => {
    expect(sumStatistics({ calls: 1, cost: 0.5 }, { calls: 2, retries: 3 })).toMatchObject({
      calls: 3,
      cost: 0.5,
      retries: 3,
      cacheHits: 0,
    });
  });
});
