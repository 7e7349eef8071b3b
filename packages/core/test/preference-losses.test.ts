/** Worked numbers and laws of the preference objectives. Everything here runs in f64 on the reference device unless it says otherwise. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import { matchByRank } from "../src/losses/preference/aot";
import { densityRatio, emptyRunningMean, extendMean } from "../src/losses/preference/bco";
import { cpoForms, cpoLoss } from "../src/losses/preference/cpo";
import { dpoLoss } from "../src/losses/preference/dpo";
import { type DpoLossType, dpoLosses } from "../src/losses/preference/dpo-loss-types";
import { type FDivergenceType, fDivergences } from "../src/losses/preference/f-divergence";
import { ktoBaseline, ktoLoss } from "../src/losses/preference/kto";
import { orpoLoss } from "../src/losses/preference/orpo";
import { inverseLengths, lengthDesensitizedWeights, pairSums } from "../src/losses/preference/pair-logps";
import { wpoWeights } from "../src/losses/preference/wpo";
import type { Tensor } from "../src/tensor/tensor";
import { describeDevices } from "./devices";
import { differentiate, exact, valuesOf } from "./loss-values";
import {
  appendix,
  BETA,
  check,
  divergences,
  dpoTypes,
  expectClose,
  LN2,
  type Pair,
  pairArbitrary,
  reference,
  runDpo,
  SMOOTHING,
  steps,
} from "./preference-pairs";

describe("worked numbers", () => {
  test("-log σ(0.6) = 0.4375 and -log σ(-0.6) = 1.0375", async () => {
    const pair = (gap: number): Pair => ({ chosen: gap - 2, rejected: -2, refChosen: -1, refRejected: -1, lengths: [1, 1] });
    expect((await runDpo(["sigmoid"], [pair(6)])).loss).toBeCloseTo(0.4375, 4);
    expect((await runDpo(["sigmoid"], [pair(-6)])).loss).toBeCloseTo(1.0375, 4);
  });

  // rl-golden.py: chosen log-ratio 0.7, rejected -0.4, beta 0.1, lengths 5 and 8, smoothing 0.1.
  test.each<[DpoLossType, number]>([
    ["sigmoid", 0.63965892],
    ["hinge", 0.89],
    ["ipo", 23.1361],
    ["exo_pair", 0.45197302],
    ["nca_pair", 1.35981292],
    ["robust", 0.62590892],
    ["cdpo", 0.65065892],
    ["bco_pair", 1.33210672],
    ["sppo_hard", 39.65],
    ["apo_zero", 0.97250848],
    ["apo_down", 0.99002055],
    ["discopop", 0.87028053],
    ["sigmoid_norm", 0.6836923],
  ])("%s", async (type, value) => {
    expect((await runDpo([type], [appendix])).loss).toBeCloseTo(value, 7);
  });

  test("kto, orpo and simpo", async () => {
    const kto = await differentiate(
      reference,
      [[-3.3, -5.4]],
      (tape, [logps]) =>
        ktoLoss(
          tape,
          { logps: logps as Tensor, refLogps: exact(tape, [-4, -5]), signs: exact(tape, [1, -1]) },
          { beta: BETA, baseline: 0.1, desirableWeight: 1, undesirableWeight: 1 },
        ),
      1,
    );
    expectClose(kto.losses, [0.48500449838059, 0.48750260351578967], 12);
    // Averages -0.8 and -1.1.
    const inputs = (tape: Tape, [chosen, rejected]: Tensor[]) => ({
      chosenLogps: chosen as Tensor,
      rejectedLogps: rejected as Tensor,
      chosenInverseLengths: exact(tape, [0.2]),
      rejectedInverseLengths: exact(tape, [0.125]),
    });
    const orpo = await differentiate(
      reference,
      [[-4], [-8.8]],
      (tape, all) => orpoLoss(tape, inputs(tape, all), { beta: BETA, meanNllLength: 5 }),
      1,
    );
    expectClose(orpo.others.logOddsChosen, [0.49184570526068544], 12);
    expectClose(orpo.others.logOddsRatios, [-0.47716338024782823], 12);
    expectClose(orpo.losses, [0.8 + BETA * 0.47716338024782823], 12);
    const simpo = await differentiate(
      reference,
      [[-4], [-8.8]],
      (tape, all) =>
        cpoLoss(tape, inputs(tape, all), cpoForms.simpo, {
          beta: 2,
          labelSmoothing: 0,
          simpoGamma: 0.5,
          alpha: 0,
          cpoAlpha: 0,
          meanNllLength: 5,
        }),
      1,
    );
    expectClose(simpo.losses, [0.6443966600735709], 12);
  });

  test("LD-DPO weighs what is beyond the shorter completion", () => {
    // Pairs of lengths (2, 3) and (4, 1): chosen 2, 4; rejected 3, 1.
    const weights = lengthDesensitizedWeights([2, 4, 3, 1], 0.25);
    expect([...weights]).toEqual([1, 1, 1, 0.25, 0.25, 0.25, 1, 1, 0.25, 1]);
  });

  test("averages of an empty completion are 0", () => {
    const { chosen, rejected } = inverseLengths([2, 0, 4, 1]);
    expect([[...chosen], [...rejected]]).toEqual([
      [0.5, 0],
      [0.25, 1],
    ]);
  });

  test("matching by rank: worked by hand", () => {
    const matched = matchByRank({ chosen: [-1, -2, -3], rejected: [-4, -2.5, -3.5] }, { chosen: [-2, -2, -2], rejected: [-3, -3, -5] });
    // Policy gaps 3, 0.5, 0.5 have ranks 2, 0, 1; reference gaps sorted are 1, 1, 3.
    expect([...matched.refGaps]).toEqual([3, 1, 1]);
    // Chosen log-ratios 1, 0, -1; rejected -1, 0.5, 1.5.
    expect([...matched.rejectedLogratios]).toEqual([1.5, 0.5, -1]);
    expect([...matched.chosenLogratios]).toEqual([-1, 0, 1]);
  });

  test("BCO's running mean and density ratios", () => {
    const mean = [0.5, 1.5, -2].reduce(extendMean, emptyRunningMean);
    expect(mean).toEqual({ count: 3, mean: 0 });
    expect(densityRatio(Math.log(3))).toBeCloseTo(3, 12);
    expect([densityRatio(-5), densityRatio(5)]).toEqual([0.5, 10]);
  });

  test("KTO's baseline is a mean, and never negative", () => {
    expect(ktoBaseline([-1, -2], [-2, -1.5])).toBeCloseTo(0.25, 12);
    expect(ktoBaseline([-3, -2], [-2, -1.5])).toBe(0);
  });

  test("WPO weighs a pair by what the policy would write", async () => {
    // Two tokens of a uniform distribution over 4: log p = -ln 4, Σ p² = 1/4, so that every token is exactly typical.
    const tape = new Tape(reference);
    const uniform = { logps: exact(tape, [-Math.log(4), -Math.log(4)]), lse: exact(tape, [Math.log(4), Math.log(4)]) };
    const rest = { doubledLse: exact(tape, [Math.log(4), Math.log(4)]), chosenInverseLengths: exact(tape, [1]) };
    const inputs = { ...uniform, ...rest, rejectedInverseLengths: exact(tape, [1]) };
    const offsets = Uint32Array.of(0, 1, 2);
    expectClose(await valuesOf(reference, wpoWeights(tape, inputs, { offsets })), [1], 12);
    // A chosen token of probability 1/8 under a distribution with Σ p² = 1/4 counts half.
    const rarer = { ...inputs, logps: exact(tape, [-Math.log(8), -Math.log(4)]) };
    expectClose(await valuesOf(reference, wpoWeights(tape, rarer, { offsets })), [0.5], 12);
    tape.dispose();
  });
});

describe("laws", () => {
  // Where x = 0 for both completions; with smoothing e and beta b.
  const atReference: Record<DpoLossType, (pair: Pair) => number> = {
    sigmoid: () => LN2,
    hinge: () => 1,
    ipo: () => (0.5 / BETA) ** 2,
    // KL of (1/2, 1/2) from (1 - e, e).
    exo_pair: () => -LN2 - 0.5 * Math.log(SMOOTHING) - 0.5 * Math.log(1 - SMOOTHING),
    nca_pair: () => 2 * LN2,
    robust: () => LN2,
    cdpo: () => LN2,
    bco_pair: () => 2 * LN2,
    sppo_hard: () => 2 * (0.5 / BETA) ** 2,
    aot: () => LN2,
    aot_unpaired: () => LN2,
    apo_zero: () => 1,
    apo_down: () => 1,
    // w = 1/2 of ln 2 and of 1.
    discopop: () => 0.5 * LN2 + 0.5,
    sft: ({ chosen, lengths }) => -chosen / lengths[0],
    sigmoid_norm: () => LN2,
  };

  test.each(dpoTypes)("%s has its known value when policy equals reference", async (type) => {
    await fc.assert(
      fc.asyncProperty(pairArbitrary, async (pair) => {
        const same = { ...pair, refChosen: pair.chosen, refRejected: pair.rejected };
        expect((await runDpo([type], [same])).loss).toBeCloseTo(atReference[type](same), 6);
      }),
      check,
    );
  });

  test.each(divergences)("DPO is ln 2 when policy equals reference under %s", async (divergence) => {
    const same = { ...appendix, refChosen: appendix.chosen, refRejected: appendix.rejected };
    expect((await runDpo(["sigmoid"], [same], { divergence })).loss).toBeCloseTo(LN2, 12);
  });

  test("alpha_divergence at 1 is the reverse KL, at 0 the forward KL", async () => {
    const at = (divergence: FDivergenceType, alpha?: number) =>
      runDpo(["sigmoid"], [appendix], alpha === undefined ? { divergence } : { divergence, alpha });
    expect((await at("alpha_divergence", 1)).loss).toBe((await at("reverse_kl")).loss);
    expect((await at("alpha_divergence", 0)).loss).toBeCloseTo((await at("forward_kl")).loss, 12);
  });

  const pairwise: DpoLossType[] = ["sigmoid", "hinge", "exo_pair", "robust", "cdpo", "discopop", "aot", "aot_unpaired"];
  test.each(pairwise)("%s does not change when both log-ratios do by the same amount", async (type) => {
    await fc.assert(
      fc.asyncProperty(steps, fc.double({ min: -2, max: 2, noNaN: true }), async (step, shift) => {
        const shifted = step.map((pair) => ({ ...pair, refChosen: pair.refChosen + shift, refRejected: pair.refRejected + shift }));
        const [before, after] = [await runDpo([type], step), await runDpo([type], shifted)];
        // The constants of aot are rounded to f32.
        expect(after.loss).toBeCloseTo(before.loss, 6);
        expectClose(after.gradients.flat(), before.gradients.flat(), 6);
      }),
      check,
    );
  });

  test.each(dpoTypes)("%s: gradients of parts of a step add up", async (type) => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), async (step, cut) => {
        const at = cut % (step.length + 1);
        const whole = await runDpo([type], step);
        const parts = [];
        if (at > 0) parts.push(await runDpo([type], step, {}, [0, at]));
        if (at < step.length) parts.push(await runDpo([type], step, {}, [at, step.length]));
        expect(parts.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(whole.loss, 10);
        for (const side of [0, 1])
          expectClose(
            parts.flatMap(({ gradients }) => gradients[side] as number[]),
            whole.gradients[side],
          );
      }),
      check,
    );
  });

  const shifted = (step: readonly Pair[], index: number, key: "chosen" | "rejected", by: number): Pair[] =>
    step.map((pair, i) => (i === index ? { ...pair, [key]: pair[key] + by } : pair));
  const someStep: Pair[] = [
    appendix,
    { chosen: -2.5, rejected: -1.75, refChosen: -1.5, refRejected: -2, lengths: [2, 3] },
    { chosen: -6, rejected: -4.125, refChosen: -4.5, refRejected: -4, lengths: [7, 1] },
  ];
  const cases = [...dpoTypes.map((type) => [type, "reverse_kl"] as const), ...divergences.map((name) => ["sigmoid", name] as const)];

  test.each(cases.filter(([type]) => !type.startsWith("aot")))("numeric gradient of %s under %s", async (type, divergence) => {
    const { gradients } = await runDpo([type], someStep, { divergence });
    const h = 1e-5;
    for (const [side, key] of (["chosen", "rejected"] as const).entries()) {
      for (const index of someStep.keys()) {
        const at = async (by: number) => (await runDpo([type], shifted(someStep, index, key, by), { divergence })).loss;
        expect(gradients[side]?.[index]).toBeCloseTo(((await at(h)) - (await at(-h))) / (2 * h), 6);
      }
    }
  });

  /** The definition: sort, subtract, and sum the logistic loss with label smoothing. */
  const sortedLoss = (type: "aot" | "aot_unpaired", step: readonly Pair[]): number => {
    const sorted = (values: number[]) => values.sort((a, b) => a - b);
    const [left, right] =
      type === "aot"
        ? [step.map((p) => p.chosen - p.rejected), step.map((p) => p.refChosen - p.refRejected)]
        : [step.map((p) => p.chosen - p.refChosen), step.map((p) => p.rejected - p.refRejected)];
    const others = sorted(right);
    const losses = sorted(left).map((value, rank) => {
      const x = BETA * (value - (others[rank] as number));
      return (1 - SMOOTHING) * Math.log1p(Math.exp(-x)) + SMOOTHING * Math.log1p(Math.exp(x));
    });
    return losses.reduce((a, b) => a + b, 0) / step.length;
  };

  test.each(["aot", "aot_unpaired"] as const)("%s has the value and gradient of the sorted definition", async (type) => {
    const { loss, gradients } = await runDpo([type], someStep);
    expect(loss).toBeCloseTo(sortedLoss(type, someStep), 7);
    const h = 1e-6;
    for (const [side, key] of (["chosen", "rejected"] as const).entries()) {
      for (const index of someStep.keys()) {
        const at = (by: number) => sortedLoss(type, shifted(someStep, index, key, by));
        expect(gradients[side]?.[index]).toBeCloseTo((at(h) - at(-h)) / (2 * h), 7);
      }
    }
  });

  test("several objectives add up with their weights", async () => {
    const [mixed, a, b] = [
      await runDpo(["sigmoid", "sft"], someStep),
      await runDpo(["sigmoid"], someStep),
      await runDpo(["sft"], someStep),
    ];
    expect(mixed.loss).toBeCloseTo(a.loss + b.loss, 12);
  });

  test("aot without its step's values says what to pass", async () => {
    const tape = new Tape(reference);
    const one = exact(tape, [-1]);
    const inputs = { chosenLogps: one, rejectedLogps: one, refChosenLogps: one, refRejectedLogps: one };
    const options = { divergence: fDivergences.reverse_kl, alpha: 0, beta: 1, labelSmoothing: 0, discopopTau: 1, meanChosenLength: 1 };
    const rest = { chosenInverseLengths: one, rejectedInverseLengths: one };
    expect(() => dpoLoss(tape, { ...inputs, ...rest }, { ...options, terms: [{ loss: dpoLosses.aot, weight: 1 }] })).toThrow(
      /aot: .*matchByRank/,
    );
    tape.dispose();
  });

  test("masked NaN cannot matter", async () => {
    const run = (poison: number) =>
      differentiate(
        reference,
        [[-1, poison, -2, -1.5, poison, -3]],
        (tape, [logps]) => {
          const rows = { offsets: Uint32Array.of(0, 3, 6), mask: exact(tape, [1, 0, 1, 1, 0, 1]) };
          const values = (numbers: number[]) =>
            exact(
              tape,
              numbers.map((value, i) => (i === 1 || i === 4 ? poison : value)),
            );
          const policy = pairSums(tape, logps as Tensor, rows);
          const ref = pairSums(tape, values([-1.2, 0, -2.1, -1, 0, -3.5]), rows);
          const inverse = { chosenInverseLengths: exact(tape, [0.5]), rejectedInverseLengths: exact(tape, [0.5]) };
          const weights = { logps: logps as Tensor, lse: values([1, 0, 2, 3, 0, 1]), doubledLse: values([1.5, 0, 3.5, 5, 0, 1.5]) };
          return dpoLoss(
            tape,
            {
              chosenLogps: policy.chosen,
              rejectedLogps: policy.rejected,
              refChosenLogps: ref.chosen,
              refRejectedLogps: ref.rejected,
              ...inverse,
              pairWeights: wpoWeights(tape, { ...weights, ...inverse }, rows),
            },
            {
              terms: [{ loss: dpoLosses.sigmoid, weight: 1 }],
              divergence: fDivergences.reverse_kl,
              alpha: 0.5,
              beta: BETA,
              labelSmoothing: 0,
              discopopTau: 0.05,
              meanChosenLength: 2,
            },
          );
        },
        1,
      );
    const [clean, poisoned] = [await run(0), await run(Number.NaN)];
    expect(poisoned).toEqual(clean);
    expect([1, 4].map((i) => clean.gradients[0]?.[i])).toEqual([0, 0]);
    expect(clean.gradients[0]?.[0]).not.toBe(0);
  });
});

describeDevices(
  "extreme log-ratios stay finite in f32",
  (device) => {
    test.each(dpoTypes)("%s", async (type) => {
      for (const [chosen, rejected] of [
        [-1, -4000],
        [-4000, -1],
        [-4000, -4000],
        [-60, -1],
      ] as const) {
        const pair = { chosen, rejected, refChosen: -50, refRejected: -50, lengths: [3, 4] as const };
        for (const divergence of type === "sigmoid" ? divergences : (["reverse_kl"] as const)) {
          const { loss, gradients } = await runDpo([type], [pair], { beta: 1, divergence }, undefined, device);
          expect([loss, ...gradients.flat()].every(Number.isFinite), `${divergence} ${chosen} ${rejected}`).toBe(true);
        }
      }
    });
  },
  ["wasm", "webgpu"],
);
