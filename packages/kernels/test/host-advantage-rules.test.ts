/** Rules that turn rewards into advantages: worked arithmetic, the process-supervision goldens, and laws over random groups. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ArgumentError,
  bestOfGroup,
  discountedReturns,
  gae,
  greedyBaseline,
  groupAdvantages,
  groupSpreads,
  leaveOneOut,
  lengthWeightedBaseline,
  passAtK,
  processAdvantages,
  type StepReward,
  scaledGroupAdvantages,
  whiten,
} from "../src/host/index";

const expectNear = (actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-9) => {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value), `index ${i}: ${actual[i]} against ${value}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(value)),
    );
  });
};
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Whole groups of rewards, a few of them missing. */
const groups = (missing: boolean) =>
  fc.record({ groupSize: fc.integer({ min: 2, max: 6 }), count: fc.integer({ min: 1, max: 4 }) }).chain(({ groupSize, count }) =>
    fc.record({
      groupSize: fc.constant(groupSize),
      rewards: fc.array(
        missing ? fc.option(fc.double({ min: -10, max: 10, noNaN: true }), { freq: 5 }) : fc.double({ min: -10, max: 10, noNaN: true }),
        { minLength: groupSize * count, maxLength: groupSize * count },
      ),
    }),
  );

describe("worked arithmetic", () => {
  const rewards = [1, 0, 4, null, 2, 2];

  test("ReMax: minus the greedy completion's reward, nothing without one", () => {
    expect([...greedyBaseline(rewards, [0.5, null], { groupSize: 3 })]).toEqual([0.5, -0.5, 3.5, 0, 0, 0]);
    expect([...greedyBaseline([3, 1], [1, 1], { groupSize: 1 })]).toEqual([2, 0]);
    expect(() => greedyBaseline([1, 2], [1, 2, 3], { groupSize: 2 })).toThrow(/one greedy reward/);
  });

  test("OPO: minus the mean weighted by length", () => {
    // (1·1 + 2·0 + 5·4) / 8 = 2.625; the missing reward's length does not count.
    expectNear(lengthWeightedBaseline(rewards, [1, 2, 5, 100, 3, 1], { groupSize: 3 }), [-1.625, -2.625, 1.375, 0, 0, 0]);
    expect([...lengthWeightedBaseline([1, 2], [0, 0], { groupSize: 2 })]).toEqual([0, 0]);
    expect(() => lengthWeightedBaseline([1, 2], [1], { groupSize: 2 })).toThrow(ArgumentError);
  });

  test("GPG: the group mean removed, scaled by the share of rewards that are not 0", () => {
    // α = 4 / 1 for the rewards 1, 0, 0, 0.
    expect([...scaledGroupAdvantages([1, 0, 0, 0], { groupSize: 2 })]).toEqual([2, -2, 0, 0]);
    expect([...scaledGroupAdvantages([0, 0], { groupSize: 2 })]).toEqual([0, 0]);
  });

  test("pass@k: only the best learns, by its lead over the second", () => {
    expect([...passAtK([1, 5, 3, 2, 2, 0], { groupSize: 3 })]).toEqual([0, 2, 0, 0, 0, 0]);
    expect([...passAtK([null, 5, null, null, -1, -4], { groupSize: 3 })]).toEqual([0, 0, 0, 0, 3, 0]);
    expectNear(passAtK([1, 5, 3], { groupSize: 3, scale: true, epsilon: 0 }), [0, 1, 0]);
  });

  test("spread and best of each group", () => {
    expect([...groupSpreads([1, 3, 5, 7, 7, 7, null, 2, null], { groupSize: 3 })]).toEqual([2, 0, 0]);
    expect(bestOfGroup([1, 3, 3, null, null, null, null, -2, -3], { groupSize: 3 })).toEqual([1, undefined, 7]);
  });

  test("REINFORCE++: discounted returns to go, whitened over the batch", () => {
    const returns = discountedReturns({ rewards: [0, 0, 1, 0, -1], offsets: [0, 3, 5], gamma: 0.5 });
    expect([...returns]).toEqual([0.25, 0.5, 1, -0.5, -1]);
    const m = mean([0.25, 0.5, 1, -0.5, -1]);
    const deviation = Math.sqrt([0.25, 0.5, 1, -0.5, -1].reduce((sum, x) => sum + (x - m) ** 2, 0) / 4);
    expectNear(
      whiten(returns, { epsilon: 0 }),
      [0.25, 0.5, 1, -0.5, -1].map((x) => (x - m) / deviation),
    );
  });
});

describe("process supervision", () => {
  /** rl-algorithms.md, appendix B; 12 tokens each. */
  const steps: StepReward[][] = [
    [2, 0.2, 5, 0.8, 9, 0.9],
    [3, 0.1, 7, 0.4],
    [1, 0.5, 4, 0.6, 6, 0.7, 10, 1],
  ].map((row) => Array.from({ length: row.length / 2 }, (_, k) => ({ end: row[2 * k]!, value: row[2 * k + 1]! })));
  const offsets = [0, 12, 24, 36];

  test("one mean and deviation for all steps of the group, summed from each token on", () => {
    const advantages = processAdvantages({ steps, offsets, groupSize: 3, epsilon: 0 });
    const spans = (...parts: [count: number, value: number][]) => parts.flatMap(([count, value]) => new Array<number>(count).fill(value));
    const expected = [
      ...spans([3, 0.542326], [3, 1.771599], [4, 1.048497], [2, 0]),
      ...spans([4, -2.13315], [4, -0.578481], [4, 0]),
      ...spans([2, 1.590823], [3, 1.843909], [2, 1.771599], [4, 1.373893], [1, 0]),
    ];
    expectNear(advantages, expected, 1e-6);
  });

  test("one step per completion, at its last token, is GRPO", () => {
    fc.assert(
      fc.property(groups(true), ({ rewards, groupSize }) => {
        const offsets = Array.from({ length: rewards.length + 1 }, (_, s) => 2 * s);
        const oneStep = rewards.map((value) => [{ end: 1, value }]);
        for (const scaleRewards of ["group", "batch", "none"] as const) {
          const outcome = groupAdvantages(rewards, { groupSize, scaleRewards });
          const process = processAdvantages({ steps: oneStep, offsets, groupSize, scaleRewards });
          expectNear(
            process,
            [...outcome].flatMap((a) => [a, a]),
          );
        }
      }),
    );
  });

  test("shifting all rewards of a group changes nothing; neither does scaling them, without epsilon; order of steps is free", () => {
    const row = fc.uniqueArray(fc.record({ end: fc.integer({ min: 0, max: 7 }), value: fc.double({ min: -3, max: 3, noNaN: true }) }), {
      selector: ({ end }) => end,
      maxLength: 5,
    });
    const shape = { offsets: [0, 8, 16, 24], groupSize: 3, epsilon: 0 };
    fc.assert(
      fc.property(fc.tuple(row, row, row), fc.integer({ min: -4, max: 4 }), fc.constantFrom(0.5, 2, 4), (rows, shift, scale) => {
        const values = rows.flat().map(({ value }) => value);
        // Spread below rounding of the shift is no spread.
        fc.pre(values.length > 1 && Math.max(...values) - Math.min(...values) > 0.1);
        const base = processAdvantages({ ...shape, steps: rows });
        const moved = rows.map((r) => r.map(({ end, value }) => ({ end, value: scale * (value + shift) })).reverse());
        expectNear(processAdvantages({ ...shape, steps: moved }), [...base], 1e-7);
      }),
    );
  });

  test("equal rewards, a single one and steps that were not judged give exactly 0; groups do not see each other", () => {
    const at = (...values: (number | null)[]) => values.map((value, end) => ({ end, value }));
    expect([...processAdvantages({ steps: [at(0.1, 0.1), at(0.1)], offsets: [0, 2, 3], groupSize: 2 })]).toEqual([0, 0, 0]);
    expect([...processAdvantages({ steps: [at(7), []], offsets: [0, 1, 2], groupSize: 2, epsilon: 0 })]).toEqual([0, 0]);
    const both = processAdvantages({ steps: [at(1, null), at(0), at(100), at(300)], offsets: [0, 2, 3, 4, 5], groupSize: 2, epsilon: 0 });
    expectNear(both, [Math.SQRT1_2, 0, -Math.SQRT1_2, -Math.SQRT1_2, Math.SQRT1_2]);
  });

  test("steps outside their row, broken groups and infinite rewards are refused", () => {
    const bad = (steps: StepReward[][], groupSize = 1) => processAdvantages({ steps, offsets: [0, 2], groupSize });
    expect(() => bad([[{ end: 2, value: 1 }]])).toThrow(/must end at one of the 2 tokens/);
    expect(() => bad([[{ end: 0, value: Number.NEGATIVE_INFINITY }]])).toThrow(ArgumentError);
    expect(() => bad([[], []])).toThrow(/whole groups/);
    expect(() => bad([[]], 2)).toThrow(/whole groups/);
  });
});

describe("laws", () => {
  test("equal rewards give exactly 0 under every group rule", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.integer({ min: 2, max: 7 }),
        fc.integer({ min: 1, max: 3 }),
        (reward, groupSize, count) => {
          const n = groupSize * count;
          const rewards = new Array<number>(n).fill(reward);
          const lengths = rewards.map((_, i) => 1 + ((i * 7) % 5));
          const rules = [
            groupAdvantages(rewards, { groupSize }),
            leaveOneOut(rewards, { groupSize }),
            lengthWeightedBaseline(rewards, lengths, { groupSize }),
            scaledGroupAdvantages(rewards, { groupSize }),
            passAtK(rewards, { groupSize, scale: true }),
            greedyBaseline(rewards, new Array<number>(count).fill(reward), { groupSize }),
          ];
          for (const advantages of rules) expect([...advantages].every((a) => a === 0)).toBe(true);
        },
      ),
    );
  });

  test("RLOO is G / (G - 1) times the reward less the group mean", () => {
    fc.assert(
      fc.property(groups(false), ({ rewards, groupSize: G }) => {
        const values = rewards as number[];
        const expected = values.map((r, i) => {
          const start = i - (i % G);
          return (G / (G - 1)) * (r - mean(values.slice(start, start + G)));
        });
        expectNear(leaveOneOut(values, { groupSize: G }), expected);
      }),
    );
  });

  test("OPO with equal lengths is the group mean", () => {
    fc.assert(
      fc.property(groups(true), fc.integer({ min: 1, max: 50 }), ({ rewards, groupSize }, length) => {
        const lengths = rewards.map(() => length);
        const expected = groupAdvantages(rewards, { groupSize, scaleRewards: "none" });
        expectNear(lengthWeightedBaseline(rewards, lengths, { groupSize }), [...expected]);
      }),
    );
  });

  test("GAE: lambda 1 is return minus value, lambda 0 the temporal-difference error", () => {
    const number = fc.double({ min: -5, max: 5, noNaN: true });
    const batch = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }).chain((lengths) => {
      const n = lengths.reduce((a, b) => a + b, 0);
      const values = fc.array(number, { minLength: n, maxLength: n });
      return fc.record({ lengths: fc.constant(lengths), rewards: values, values, gamma: fc.double({ min: 0, max: 1, noNaN: true }) });
    });
    fc.assert(
      fc.property(batch, ({ lengths, rewards, values, gamma }) => {
        const offsets = Array.from({ length: lengths.length + 1 }, (_, s) => lengths.slice(0, s).reduce((a, b) => a + b, 0));
        const returns = discountedReturns({ rewards, offsets, gamma });
        const whole = gae({ rewards, values, offsets, gamma, lambda: 1 });
        expectNear(
          whole.advantages,
          values.map((v, t) => returns[t]! - v),
        );
        const isLast = new Set(offsets.slice(1).map((end) => end - 1));
        const errors = values.map((v, t) => rewards[t]! - v + (isLast.has(t) ? 0 : gamma * values[t + 1]!));
        expectNear(gae({ rewards, values, offsets, gamma, lambda: 0 }).advantages, errors);
      }),
    );
  });
});
