/** Worked numbers and laws of the objectives without pairs or without a reference, in f64 on the reference device. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Tape } from "../src/autograd/tape";
import { bcoLoss } from "../src/losses/preference/bco";
import { type CpoLossType, cpoForms, cpoLoss } from "../src/losses/preference/cpo";
import { ktoLoss } from "../src/losses/preference/kto";
import { listwiseDpoLoss } from "../src/losses/preference/listwise-dpo";
import { orpoLoss } from "../src/losses/preference/orpo";
import { plackettLuce } from "../src/losses/reward-model/choices";
import type { Tensor } from "../src/tensor/tensor";
import { differentiate, exact } from "./loss-values";
import {
  appendix,
  BETA,
  check,
  cpoTypes,
  expectClose,
  LN2,
  logp,
  type Pair,
  reference,
  runDpo,
  SMOOTHING,
  steps,
} from "./preference-pairs";

describe("objectives without pairs or without a reference", () => {
  const rows = fc.array(fc.record({ logp, ref: logp, good: fc.boolean() }), { minLength: 1, maxLength: 6 });
  type Row = { logp: number; ref: number; good: boolean };

  const unpaired = (name: "kto" | "bco", step: readonly Row[], share: number) =>
    differentiate(
      reference,
      [step.map((row) => row.logp)],
      (tape, [logps]) => {
        const inputs = {
          logps: logps as Tensor,
          refLogps: exact(
            tape,
            step.map(({ ref }) => ref),
          ),
          signs: exact(
            tape,
            step.map(({ good }) => (good ? 1 : -1)),
          ),
        };
        return name === "kto"
          ? ktoLoss(tape, inputs, { beta: BETA, baseline: 0.3, desirableWeight: 1.3, undesirableWeight: 0.8 })
          : bcoLoss(
              tape,
              {
                ...inputs,
                weights: exact(
                  tape,
                  step.map(({ good }) => (good ? 1 : 2)),
                ),
              },
              { beta: BETA, delta: 0.2 },
            );
      },
      share,
    );

  test.each(["kto", "bco"] as const)("%s: gradients of parts of a step add up, and are numeric", async (name) => {
    await fc.assert(
      fc.asyncProperty(rows, async (step) => {
        const whole = await unpaired(name, step, 1 / step.length);
        const parts = await Promise.all(step.map((row) => unpaired(name, [row], 1 / step.length)));
        expect(parts.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(whole.loss, 10);
        expectClose(
          parts.flatMap(({ gradients }) => gradients[0] as number[]),
          whole.gradients[0],
        );
        const h = 1e-5;
        const at = async (by: number) =>
          (
            await unpaired(
              name,
              step.map((row, i) => (i === 0 ? { ...row, logp: row.logp + by } : row)),
              1 / step.length,
            )
          ).loss;
        expect(whole.gradients[0]?.[0]).toBeCloseTo(((await at(h)) - (await at(-h))) / (2 * h), 7);
      }),
      check,
    );
  });

  test("policy equal to reference: KTO with z = 0 is half its weight, BCO with δ = 0 is ln 2", async () => {
    const run = (objective: (tape: Tape, logps: Tensor) => { losses: Tensor }) =>
      differentiate(reference, [[-2, -3]], (tape, [logps]) => objective(tape, logps as Tensor), 1);
    const inputs = (tape: Tape, logps: Tensor) => ({ logps, refLogps: exact(tape, [-2, -3]), signs: exact(tape, [1, -1]) });
    const kto = await run((tape, logps) =>
      ktoLoss(tape, inputs(tape, logps), { beta: BETA, baseline: 0, desirableWeight: 1.5, undesirableWeight: 0.5 }),
    );
    expectClose(kto.losses, [0.75, 0.25], 12);
    const bco = await run((tape, logps) => bcoLoss(tape, inputs(tape, logps), { beta: BETA, delta: 0 }));
    expectClose(bco.losses, [LN2, LN2], 12);
  });

  const free = (name: CpoLossType | "orpo", step: readonly Pair[], meanNllLength: number, share: number, alpha = 0) =>
    differentiate(
      reference,
      [step.map(({ chosen }) => chosen), step.map(({ rejected }) => rejected)],
      (tape, [chosen, rejected]) => {
        const inputs = {
          chosenLogps: chosen as Tensor,
          rejectedLogps: rejected as Tensor,
          chosenInverseLengths: exact(
            tape,
            step.map(({ lengths }) => 1 / lengths[0]),
          ),
          rejectedInverseLengths: exact(
            tape,
            step.map(({ lengths }) => 1 / lengths[1]),
          ),
        };
        if (name === "orpo") return orpoLoss(tape, inputs, { beta: BETA, meanNllLength });
        const options = { beta: 0.7, labelSmoothing: SMOOTHING, simpoGamma: 0.4, alpha, cpoAlpha: 0.5, meanNllLength };
        return cpoLoss(tape, inputs, cpoForms[name], options);
      },
      share,
    );

  const forms = [...cpoTypes.map((type) => [type, 0] as const), ["simpo", 0.25] as const, ["orpo", 0] as const];
  test.each(forms)("%s with α = %s: gradients of parts of a step add up, and are numeric", async (name, alpha) => {
    await fc.assert(
      fc.asyncProperty(steps, async (step) => {
        const length = step.reduce((sum, { lengths }) => sum + lengths[0], 0) / step.length;
        const share = 1 / step.length;
        const whole = await free(name, step, length, share, alpha);
        const parts = await Promise.all(step.map((pair) => free(name, [pair], length, share, alpha)));
        expect(parts.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(whole.loss, 10);
        for (const side of [0, 1])
          expectClose(
            parts.flatMap(({ gradients }) => gradients[side] as number[]),
            whole.gradients[side],
          );
        const h = 1e-6;
        const numeric = async (key: "chosen" | "rejected") => {
          const at = async (by: number) =>
            (
              await free(
                name,
                step.map((pair, i) => (i === 0 ? { ...pair, [key]: pair[key] + by } : pair)),
                length,
                share,
                alpha,
              )
            ).loss;
          return ((await at(h)) - (await at(-h))) / (2 * h);
        };
        expect(whole.gradients[0]?.[0]).toBeCloseTo(await numeric("chosen"), 5);
        expect(whole.gradients[1]?.[0]).toBeCloseTo(await numeric("rejected"), 5);
      }),
      check,
    );
  });

  test("equal completions: what is left is the value of a margin of 0", async () => {
    const step = [{ ...appendix, rejected: appendix.chosen, lengths: [5, 5] as const }];
    const nll = -appendix.chosen / 5;
    const smooth = (x: number) => (1 - SMOOTHING) * Math.log1p(Math.exp(-x)) + SMOOTHING * Math.log1p(Math.exp(x));
    expect((await free("sigmoid", step, 5, 1)).loss).toBeCloseTo(LN2 + 0.5 * nll, 12);
    expect((await free("hinge", step, 5, 1)).loss).toBeCloseTo(1 + 0.5 * nll, 12);
    expect((await free("ipo", step, 5, 1)).loss).toBeCloseTo((0.5 / 0.7) ** 2 + 0.5 * nll, 12);
    expect((await free("simpo", step, 5, 1)).loss).toBeCloseTo(smooth(-0.4) + 0.5 * nll, 12);
    expect((await free("orpo", step, 5, 1)).loss).toBeCloseTo(BETA * LN2 + nll, 12);
  });

  test("list-wise DPO: ln K! where policy equals reference, DPO for two", async () => {
    const run = (logps: number[], refs: number[], ranks: number[]) =>
      differentiate(
        reference,
        [logps],
        (tape, [x]) =>
          listwiseDpoLoss(
            tape,
            {
              logps: x as Tensor,
              refLogps: exact(tape, refs),
              lists: { offsets: [0, logps.length], choices: [plackettLuce(ranks)] },
            },
            { beta: BETA },
          ),
        1,
      );
    expect((await run([-1, -2, -3, -4], [-1, -2, -3, -4], [3, 1, 2, 0])).loss).toBeCloseTo(Math.log(24), 12);
    const two = await run([appendix.rejected, appendix.chosen], [appendix.refRejected, appendix.refChosen], [1, 0]);
    const dpo = await runDpo(["sigmoid"], [appendix]);
    expect(two.loss).toBeCloseTo(dpo.loss, 12);
    expectClose(two.gradients[0], [dpo.gradients[1]?.[0] as number, dpo.gradients[0]?.[0] as number], 12);
  });
});
