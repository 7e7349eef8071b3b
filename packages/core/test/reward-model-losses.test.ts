/** The reward model's objectives: TRL's numbers (fixtures/rl/dpo.json), worked numbers, and laws of rankings; and calibration. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/dpo.json";
import { segmentLogSumExp } from "../src/autograd/log-sum-exp";
import type { Tape } from "../src/autograd/tape";
import { bradleyTerryLoss } from "../src/losses/reward-model/bradley-terry";
import { allPairs, bestOfN, type Choice, plackettLuce } from "../src/losses/reward-model/choices";
import { binaryLoss, ratingDifferenceLoss, ratingLoss } from "../src/losses/reward-model/pointwise";
import { rankingLoss } from "../src/losses/reward-model/ranking";
import { calibration } from "../src/rl/calibration";
import { comparisonMetrics, scoreMetrics } from "../src/rl/preference-metrics";
import type { Tensor } from "../src/tensor/tensor";
import { describeDevices, slack } from "./devices";
import { differentiate, exact } from "./loss-values";

const reference = createReferenceDevice();
/** Weights of choices such as 1/3 are uploaded as f32. */
const WEIGHT_DIGITS = 7;
const check = { seed: 11, numRuns: 20 };
const scoresArbitrary = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 2, maxLength: 7 });

/** Loss and gradient of lists of scores under choices. */
function rank(scores: readonly (readonly number[])[], choices: readonly (readonly Choice[])[], device: Device = reference) {
  const offsets = [0, ...scores.map((_, l) => scores.slice(0, l + 1).reduce((sum, list) => sum + list.length, 0))];
  return differentiate(device, [scores.flat()], (tape, [s]) => ({ losses: rankingLoss(tape, s as Tensor, { offsets, choices }) }), 1);
}

const lossOf = async (scores: readonly number[], choices: readonly Choice[]) => (await rank([scores], [choices])).loss;

function permutations<T>(items: readonly T[]): T[][] {
  return items.length === 0
    ? [[]]
    : items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]));
}

describeDevices("Bradley-Terry gives TRL's loss, gradient and metrics", (device) => {
  const tolerance = 1e-6 * slack(device);
  const names = golden.cases.filter((c) => c.of.startsWith("RewardTrainer")).map((c) => c.name);
  test("the cases are all here", () => {
    expect(names).toEqual(["bt", "bt_margin", "bt_margin_centered"]);
  });
  test.each(names)("%s", async (name) => {
    const { params, inputs, expect: expected } = golden.cases.find((c) => c.name === name)!;
    const { rewards_chosen, rewards_rejected, margin } = inputs as unknown as Record<string, number[]>;
    const { center_rewards_coefficient } = params as { center_rewards_coefficient: number | null };
    const wanted = expected as unknown as Record<"grad_chosen" | "grad_rejected", number[]> & { metrics: Record<string, number> };
    const result = await differentiate(
      device,
      [rewards_chosen as number[], rewards_rejected as number[]],
      (tape, [chosen, rejected]) => ({
        losses: bradleyTerryLoss(
          tape,
          { chosen: chosen as Tensor, rejected: rejected as Tensor, margins: margin && exact(tape, margin) },
          { centerRewardsCoefficient: center_rewards_coefficient ?? undefined },
        ),
      }),
      1 / 3,
    );
    const close = (got: number | undefined, value: number, what: string) =>
      expect(Math.abs((got as number) - value), `${what}: got ${got}, wanted ${value}`).toBeLessThan(tolerance);
    close(result.loss, expected.loss, "loss");
    wanted.grad_chosen.forEach((value, i) => {
      close(result.gradients[0]?.[i], value, `chosen gradient ${i}`);
      close(result.gradients[1]?.[i], wanted.grad_rejected[i] as number, `rejected gradient ${i}`);
    });
    const scores = [...(rewards_chosen as number[]), ...(rewards_rejected as number[])];
    const metrics = { ...scoreMetrics(scores), ...comparisonMetrics(rewards_chosen as number[], rewards_rejected as number[]) };
    const { num_tokens, ...named } = wanted.metrics;
    for (const [metric, value] of Object.entries(named)) close(metrics[metric], value, metric);
    expect(Object.keys(named)).toHaveLength(5);
  });
});

describeDevices("log-sum-exp of ragged segments", (device) => {
  test("values and gradients against f64, large values too", async () => {
    const segments = [[0.5], [1, 2, 3], [-1000, 1000], [5, 5, 5, 5], [-3e4, -3e4, 2, -7, 0.25], [88, 89, 90, 91, 92, 93, 94]];
    const offsets = Uint32Array.from([0, ...segments.map((_, s) => segments.slice(0, s + 1).flat().length)]);
    const weights = [1, -2, 0.5, 3, 1, 0.25];
    const { losses, gradients } = await differentiate(
      device,
      [segments.flat()],
      (tape, [x]) => ({ losses: segmentLogSumExp(tape, x as Tensor, offsets) }),
      weights,
    );
    const most = segments.map((segment) => Math.max(...segment));
    const totals = segments.map((segment, s) => segment.reduce((sum, x) => sum + Math.exp(x - (most[s] as number)), 0));
    const close = (got: number | undefined, wanted: number, what: string) =>
      expect(Math.abs((got as number) - wanted), `${what}: got ${got}, wanted ${wanted}`).toBeLessThan(
        1e-6 * slack(device) * Math.max(1, Math.abs(wanted)),
      );
    segments.forEach((segment, s) => {
      close(losses[s], (most[s] as number) + Math.log(totals[s] as number), `value ${s}`);
      segment.forEach((x, i) => {
        const share = Math.exp(x - (most[s] as number)) / (totals[s] as number);
        close(gradients[0]?.[(offsets[s] as number) + i], (weights[s] as number) * share, `gradient ${s}, ${i}`);
      });
    });
  });

  test("a ranking of extreme scores has a finite loss and an exact gradient", async () => {
    const { losses, gradients } = await rank([[-300, 300, 0]], [plackettLuce([0, 1, 2])], device);
    // The best item is 600 below the second: its loss is 600 with gradient -1, and the second is right.
    expect(losses[0]).toBeCloseTo(600, 3);
    expect((gradients[0] as number[]).map((g) => Math.round(g * 1e6) / 1e6)).toEqual([-1, 1, 0]);
  });
});

describe("worked numbers", () => {
  test("appendix B: margin, centring, Plackett-Luce and all pairs", async () => {
    const bt = async (margin: number, centerRewardsCoefficient: number) =>
      differentiate(
        reference,
        [[1.2], [0.5]],
        (tape, [chosen, rejected]) => ({
          losses: bradleyTerryLoss(
            tape,
            { chosen: chosen as Tensor, rejected: rejected as Tensor, margins: exact(tape, [margin]) },
            { centerRewardsCoefficient },
          ),
        }),
        1,
      );
    expect((await bt(0.3, 0)).loss).toBeCloseTo(0.5130152523999526, 12);
    expect((await bt(0.3, 0.01)).loss).toBeCloseTo(0.5130152523999526 + 0.0289, 12);
    const scores = [1, 0.2, -0.5];
    expect(await lossOf(scores, plackettLuce([1, 2, 3]))).toBeCloseTo(0.9174811217060894, 12);
    expect(await lossOf(scores, allPairs([1, 2, 3]))).toBeCloseTo(0.32523333093866263, WEIGHT_DIGITS);
  });

  test("-log σ(0.6) = 0.4375 and -log σ(-0.6) = 1.0375", async () => {
    expect(await lossOf([1, 0.4], allPairs([0, 1]))).toBeCloseTo(0.4375, 4);
    expect(await lossOf([1, 0.4], allPairs([1, 0]))).toBeCloseTo(1.0375, 4);
  });

  test("ties: left out of pairs, which are still divided by C(K, 2)", async () => {
    const logistic = (x: number) => Math.log1p(Math.exp(-x));
    expect(await lossOf([1, 0.2, -0.5], allPairs([0, 0, 1]))).toBeCloseTo((logistic(1.5) + logistic(0.7)) / 3, WEIGHT_DIGITS);
    expect(allPairs([2, 2, 2])).toEqual([]);
    expect(plackettLuce([2, 2, 2])).toEqual([]);
  });

  test("ratings, strengths of preference and labels", async () => {
    const run = (values: number[][], objective: (tape: Tape, leaves: Tensor[]) => Tensor) =>
      differentiate(reference, values, (tape, leaves) => ({ losses: objective(tape, leaves) }), 1);
    const rating = await run([[1.5, -1]], (tape, [s]) => ratingLoss(tape, s as Tensor, exact(tape, [1, 1])));
    expect([rating.losses, rating.gradients[0]]).toEqual([
      [0.25, 4],
      [1, -4],
    ]);
    const difference = await run([[1], [4]], (tape, [a, b]) => ratingDifferenceLoss(tape, a as Tensor, b as Tensor, exact(tape, [1])));
    expect([difference.losses, difference.gradients]).toEqual([[4], [[-4], [4]]]);
    const scores = [0.6, 0.6, -200, 0.3];
    const labels = [1, 0, 1, 0.5];
    const binary = await run([scores], (tape, [s]) => binaryLoss(tape, s as Tensor, exact(tape, labels)));
    const half = -0.5 * (Math.log(1 / (1 + Math.exp(-0.3))) + Math.log(1 / (1 + Math.exp(0.3))));
    [0.43748795, 1.03748795, 200, half].forEach((value, i) => {
      expect(binary.losses[i]).toBeCloseTo(value, 7);
      // The gradient is σ(s) - y.
      const sigmoid = 1 / (1 + Math.exp(-(scores[i] as number)));
      expect(binary.gradients[0]?.[i]).toBeCloseTo(sigmoid - (labels[i] as number), 12);
    });
  });

  test("lists without a choice are refused together, and cost nothing among others", async () => {
    await expect(rank([[1, 2]], [allPairs([0, 0])])).rejects.toThrow(/rankingLoss: .*all tied/);
    const { losses, gradients } = await rank(
      [
        [1, 2],
        [1, 0.4],
      ],
      [allPairs([0, 0]), allPairs([0, 1])],
    );
    expect(losses[0]).toBe(0);
    expect(losses[1]).toBeCloseTo(0.4375, 4);
    expect(gradients[0]?.slice(0, 2)).toEqual([0, 0]);
  });

  test("too many ties to average", () => {
    expect(() => plackettLuce(Array(11).fill(0), { ties: "average" })).toThrow(/at most 10 .*got 11/);
  });
});

describe("laws of rankings", () => {
  const orderOf = (scores: readonly number[], seed: number) =>
    scores.map((_, i) => ((i + 1) * (2 * seed + 1)) % 97).map((key, _, keys) => keys.filter((other) => other < key).length);

  test("the probabilities of all orders add up to 1", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 4 }), async (scores) => {
        let total = 0;
        for (const ranks of permutations([...scores.keys()])) total += Math.exp(-(await lossOf(scores, plackettLuce(ranks))));
        expect(total).toBeCloseTo(1, 10);
      }),
      check,
    );
  });

  test("the best of N is a softmax", async () => {
    await fc.assert(
      fc.asyncProperty(scoresArbitrary, async (scores) => {
        const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
        for (const best of scores.keys()) {
          const loss = await lossOf(scores, bestOfN(scores.map((_, i) => (i === best ? 0 : 1))));
          expect(Math.exp(-loss)).toBeCloseTo(Math.exp(scores[best] as number) / total, 10);
        }
      }),
      check,
    );
  });

  test("with two items all are Bradley-Terry", async () => {
    for (const choices of [plackettLuce([0, 1]), allPairs([0, 1]), bestOfN([0, 1])]) {
      expect(await lossOf([0.9, -0.4], choices)).toBeCloseTo(Math.log1p(Math.exp(-1.3)), 12);
    }
  });

  test("averaged ties are the mean over all orders of the tied items, at every topK", async () => {
    const ranks = [1, 0, 1, 2, 1, 2];
    const scores = [0.5, -1, 2, 0.25, 1, -0.75];
    /** Every strict order that agrees with the ranks. */
    const orders = permutations([...scores.keys()]).filter((order) =>
      order.every((item, place) => place === 0 || (ranks[order[place - 1] as number] as number) <= (ranks[item] as number)),
    );
    expect(orders).toHaveLength(6 * 2);
    for (const topK of [1, 2, 3, 4, 6]) {
      let total = 0;
      for (const order of orders) {
        const strict = scores.map((_, item) => order.indexOf(item));
        total += await lossOf(scores, plackettLuce(strict, { topK }));
      }
      expect(await lossOf(scores, plackettLuce(ranks, { topK, ties: "average" }))).toBeCloseTo(total / orders.length, WEIGHT_DIGITS - 1);
    }
  });

  test("a constant added to the scores of a list changes nothing; gradients of a list add up to 0", async () => {
    await fc.assert(
      fc.asyncProperty(scoresArbitrary, fc.nat(40), fc.double({ min: -9, max: 9, noNaN: true }), async (scores, seed, shift) => {
        const ranks = orderOf(scores, seed);
        for (const choices of [plackettLuce(ranks), allPairs(ranks), plackettLuce(ranks, { topK: 2 })]) {
          const [before, after] = [await rank([scores], [choices]), await rank([scores.map((s) => s + shift)], [choices])];
          expect(after.loss).toBeCloseTo(before.loss, 9);
          expect(before.gradients[0]?.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 10);
        }
      }),
      check,
    );
  });

  test("gradients are numeric, and those of lists taken apart the same", async () => {
    await fc.assert(
      fc.asyncProperty(scoresArbitrary, scoresArbitrary, fc.nat(40), async (first, second, seed) => {
        for (const choose of [
          plackettLuce,
          allPairs,
          (ranks: number[]) =>
            plackettLuce(
              ranks.map((r) => r >> 1),
              { ties: "average" },
            ),
        ]) {
          const choices = [first, second].map((scores) => choose(orderOf(scores, seed)));
          if (choices.some((list) => list.length === 0)) continue;
          const whole = await rank([first, second], choices);
          const parts = [await rank([first], choices.slice(0, 1)), await rank([second], choices.slice(1))];
          const apart = parts.flatMap(({ gradients }) => gradients[0] as number[]);
          apart.forEach((value, i) => {
            expect(value).toBeCloseTo(whole.gradients[0]?.[i] as number, 12);
          });
          const h = 1e-5;
          const at = async (by: number) => (await rank([[(first[0] as number) + by, ...first.slice(1)], second], choices)).loss;
          expect(whole.gradients[0]?.[0]).toBeCloseTo(((await at(h)) - (await at(-h))) / (2 * h), 6);
        }
      }),
      check,
    );
  });
});

describe("calibration", () => {
  test("worked by hand", () => {
    const result = calibration([0.05, 0.15, 0.95, 1], [false, true, true, false], 10);
    // Bins: [0.05] came true 0 of 1; [0.15] 1 of 1; [0.95, 1] 1 of 2.
    expect(result.expectedCalibrationError).toBeCloseTo((0.05 + 0.85 + 2 * 0.475) / 4, 12);
    expect(result.maximumCalibrationError).toBeCloseTo(0.85, 12);
    expect(result.brierScore).toBeCloseTo((0.0025 + 0.7225 + 0.0025 + 1) / 4, 12);
    expect(result.bins.map(({ count }) => count)).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect(result.bins[9]).toEqual({ low: 0.9, high: 1, count: 2, confidence: 0.975, frequency: 0.5 });
  });

  test("a perfect forecast has no error; a constant one errs by its distance from the base rate", () => {
    expect(calibration([0, 1, 1], [false, true, true]).expectedCalibrationError).toBe(0);
    const outcomes = [true, true, false, true];
    expect(calibration([0.5, 0.5, 0.5, 0.5], outcomes).expectedCalibrationError).toBeCloseTo(0.25, 12);
  });

  test("what it refuses", () => {
    expect(() => calibration([], [])).toThrow(/at least 1/);
    expect(() => calibration([0.5], [])).toThrow(/got 0, 1/);
    expect(() => calibration([1.5], [true])).toThrow(/between 0 and 1, got 1.5/);
  });
});
