/** Advantage mathematics against TRL's own numbers, independent f64 goldens, and laws. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/advantages.json";
import ppo from "../../../fixtures/rl/ppo.json";
import {
  ArgumentError,
  combineRewards,
  discountedReturns,
  gae,
  groupAdvantages,
  leaveOneOut,
  normalizeThenSum,
  type RewardScale,
  rewardToGo,
  whiten,
} from "../src/host/index";

// biome-ignore lint/suspicious/noExplicitAny: goldens are JSON with a different shape per case
type Case = any;

function expectNear(actual: ArrayLike<number>, expected: readonly (number | null)[], tolerance = 1e-6): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    if (value === null) expect(actual[i]).toBeNaN();
    else
      expect(Math.abs(actual[i]! - value), `index ${i}: ${actual[i]} against ${value}`).toBeLessThanOrEqual(
        tolerance * Math.max(1, Math.abs(value)),
      );
  });
}

/** A padded (rows, T) golden as ragged rows of the same width. */
function ragged(table: number[][]): { flat: number[]; offsets: number[] } {
  return { flat: table.flat(), offsets: [0, ...table.map((_, i) => (i + 1) * table[0]!.length)] };
}

describe("TRL's advantages", () => {
  const named = (prefix: string): Case[] => (golden.cases as Case[]).filter(({ name }) => name.startsWith(prefix));

  for (const { name, params, inputs, expect: expected } of named("grpo_sum_then_normalize")) {
    test(name, () => {
      const rewards = combineRewards(inputs.rewards_per_func, { weights: inputs.reward_weights });
      expectNear(rewards, expected.rewards);
      const scaleRewards = params.scale_rewards as RewardScale;
      expectNear(groupAdvantages(rewards, { groupSize: params.num_generations, scaleRewards, epsilon: params.eps }), expected.advantages);
    });
  }

  for (const { name, params, inputs, expect: expected } of named("grpo_normalize_then_sum")) {
    test(name, () => {
      const { advantages, rewards } = normalizeThenSum(inputs.rewards_per_func, {
        groupSize: params.num_generations,
        weights: inputs.reward_weights,
      });
      expectNear(rewards, expected.rewards);
      expectNear(advantages, expected.advantages);
    });
  }

  for (const { name, params, inputs, expect: expected } of named("rloo_norm")) {
    test(name, () => {
      const clipRange = params.reward_clip_range ?? undefined;
      const rewards = combineRewards(inputs.rewards_per_func, { weights: inputs.reward_weights, clipRange });
      const penalised = rewards.map((reward, b) => {
        let kl = 0;
        inputs.mask?.[b].forEach((m: number, t: number) => {
          if (m) kl += inputs.old_logps[b][t] - inputs.ref_logps[b][t];
        });
        return reward - params.beta * kl;
      });
      const options = { groupSize: params.num_generations, normalize: params.normalize_advantages, epsilon: params.eps };
      expectNear(leaveOneOut(penalised, options), expected.advantages);
    });
  }

  test("every advantage case is covered above", () => {
    const covered = [...named("grpo_sum_then_normalize"), ...named("grpo_normalize_then_sum"), ...named("rloo_norm")];
    expect(covered.length).toBe(golden.cases.length - named("rloo_loss").length);
  });
});

describe("degenerate groups", () => {
  test("equal rewards give exactly 0", () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
        fc.integer({ min: 2, max: 9 }),
        (reward, groupSize) => {
          const rewards = new Array<number>(groupSize * 2).fill(reward);
          for (const scaleRewards of ["group", "batch", "none"] as const) {
            expect([...groupAdvantages(rewards, { groupSize, scaleRewards })].every((a) => a === 0)).toBe(true);
          }
          for (const normalize of [false, true])
            expect([...leaveOneOut(rewards, { groupSize, normalize })].every((a) => a === 0)).toBe(true);
        },
      ),
    );
  });

  test("no reward, or one, in a group gives 0 and leaves other groups alone", () => {
    const rewards = [null, null, null, 1, null, null, 0, 1, 2];
    expect([...groupAdvantages(rewards, { groupSize: 3, scaleRewards: "none" })]).toEqual([0, 0, 0, 0, 0, 0, -1, 0, 1]);
    expect([...leaveOneOut(rewards, { groupSize: 3 })]).toEqual([0, 0, 0, 0, 0, 0, -1.5, 0, 1.5]);
    expect([...groupAdvantages([null, null], { groupSize: 2 })]).toEqual([0, 0]);
    expect([...leaveOneOut([null, null], { groupSize: 2, normalize: true })]).toEqual([0, 0]);
  });

  test("groups of one, broken groups, infinite rewards and wrong weights are refused", () => {
    expect(() => groupAdvantages([1, 2], { groupSize: 1 })).toThrow(ArgumentError);
    expect(() => leaveOneOut([1, 2], { groupSize: 1 })).toThrow(/groupSize must be an integer of at least 2, got 1/);
    expect(() => groupAdvantages([1, 2, 3], { groupSize: 2 })).toThrow(/whole groups/);
    expect(() => groupAdvantages([1, Number.POSITIVE_INFINITY], { groupSize: 2 })).toThrow(/finite or null/);
    expect(() => combineRewards([[1, 2]], { weights: [1] })).toThrow(/weights/);
    expect(() => combineRewards([[1, 2], [1]])).toThrow(/index 1/);
  });

  test("the toy group of the reference page (rl-algorithms.md, appendix B)", () => {
    const rewards = [1, 0, 0, 1, 0, 0, 0, 1];
    const at = (scaleRewards: RewardScale) => groupAdvantages(rewards, { groupSize: 4, scaleRewards });
    expectNear(at("group"), [0.865875, -0.865875, -0.865875, 0.865875, -0.4999, -0.4999, -0.4999, 1.4997]);
    expectNear(at("batch"), [0.965905, -0.965905, -0.965905, 0.965905, -0.482953, -0.482953, -0.482953, 1.448858]);
    expectNear(at("none"), [0.5, -0.5, -0.5, 0.5, -0.25, -0.25, -0.25, 0.75]);
    expectNear(leaveOneOut(rewards, { groupSize: 4 }), [0.666667, -0.666667, -0.666667, 0.666667, -0.333333, -0.333333, -0.333333, 1]);
  });
});

describe("gae", () => {
  for (const { name, params, inputs, expect: expected } of (ppo.cases as Case[]).filter((c) => c.name.startsWith("gae_"))) {
    test(name, () => {
      const { flat: rewards, offsets } = ragged(inputs.rewards);
      const { advantages, returns } = gae({
        rewards,
        offsets,
        values: inputs.values.flat(),
        mask: inputs.mask.flat(),
        dones: inputs.dones.flat(),
        lastValues: inputs.last_values,
        gamma: params.gamma,
        lambda: params.lam,
      });
      const mask: number[] = inputs.mask.flat();
      expectNear(
        advantages,
        expected.advantages.flat().map((a: number, i: number) => (mask[i] ? a : 0)),
      );
      expectNear(
        returns,
        expected.returns.flat().map((a: number, i: number) => (mask[i] ? a : 0)),
      );
    });
  }

  for (const { name, params, inputs, expect: expected } of (ppo.cases as Case[]).filter((c) =>
    ["k1", "gamma99", "lam1"].includes(c.name),
  )) {
    test(`TRL PPO ${name}: rewards, GAE, then whitening over the policy mask`, () => {
      const { flat: rewards, offsets } = ragged(expected.rewards);
      const { advantages, returns } = gae({ rewards, offsets, values: inputs.values.flat(), gamma: params.gamma, lambda: params.lam });
      const width = inputs.values[0].length;
      const mask = rewards.map((_, i) => (i % width <= inputs.last_index[Math.floor(i / width)] ? 1 : 0));
      const whitened = whiten(advantages, { mask });
      expectNear(whitened, expected.advantages.flat());
      expectNear(returns, expected.returns.flat());
    });
  }

  test("lambda 1 is returns minus values; masked positions neither matter nor stop credit", () => {
    const rewards = [0.5, 7, 1, -1];
    const values = [0.25, -9, 0.5, 0.125];
    const { advantages, returns } = gae({ rewards, values, offsets: [0, 3, 4], mask: [1, 0, 1, 1], lambda: 1 });
    expect([...returns]).toEqual([1.5, 0, 1, -1]);
    expect([...advantages]).toEqual([1.25, 0, 0.5, -1.125]);
    const poisoned = gae({
      rewards: [0.5, Number.NaN, 1, -1],
      values: [0.25, Number.NaN, 0.5, 0.125],
      offsets: [0, 3, 4],
      mask: [1, 0, 1, 1],
      lambda: 1,
    });
    expect(poisoned.advantages).toEqual(advantages);
  });

  test("rows do not see each other, and arrays of another batch are refused", () => {
    const { advantages } = gae({ rewards: [1, 2, 3], values: [0, 0, 0], offsets: [0, 1, 1, 3] });
    expect([...advantages]).toEqual([1, 2 + 0.95 * 3, 3]);
    expect(() => gae({ rewards: [1], values: [], offsets: [0, 1] })).toThrow(ArgumentError);
    expect(() => gae({ rewards: [1], values: [1], offsets: [0, 2] })).toThrow(/offsets/);
  });
});

describe("returns and whitening", () => {
  test("discounted returns and reward to go", () => {
    expect([...discountedReturns({ rewards: [1, 2, 4, 1], offsets: [0, 3, 4], gamma: 0.5 })]).toEqual([3, 4, 4, 1]);
    expect([...rewardToGo({ rewards: [1, 9, 4], offsets: [0, 3], mask: [1, 0, 1] })]).toEqual([5, 0, 4]);
  });

  test("masked_whiten as TRL", () => {
    const { inputs, expect: expected } = (ppo.cases as Case[]).find(({ name }) => name === "masked_whiten");
    const mask: number[] = inputs.mask.flat();
    const masked = (table: number[][]) => table.flat().map((x, i) => (mask[i] ? x : 0));
    expectNear(whiten(inputs.values.flat(), { mask }), masked(expected.whiten));
    expectNear(whiten(inputs.values.flat(), { mask, shiftMean: false }), masked(expected.whiten_keep_mean));
  });

  test("population variance (lm-human-preferences, appendix B)", () => {
    const advantages = [0.8147775, 0.77345, 0.751, 0.58, -0.4206275, -0.31645, -0.691, -0.58];
    const whitened = [1.1170148, 1.0511502, 1.0153711, 0.7428444, -0.851879, -0.6858489, -1.282778, -1.1058747];
    expectNear(whiten(advantages, { variance: "population" }), whitened);
  });

  test("too few values are refused", () => {
    expect(() => whiten([1, 2], { mask: [1, 0] })).toThrow(/at least 2 values must count, got 1/);
  });
});
