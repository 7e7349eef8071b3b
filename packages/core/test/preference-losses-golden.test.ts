/** The preference objectives against TRL's own numbers (fixtures/rl/dpo.json): loss, gradient and metrics of every case. */
import type { Device } from "@trimtab/kernels";
import { expect, test } from "vitest";
import golden from "../../../fixtures/rl/dpo.json";
import { Tape } from "../src/autograd/tape";
import { tokenLogprob } from "../src/autograd/token-logprob";
import { matchByRank } from "../src/losses/preference/aot";
import { type CpoLossType, cpoForms, cpoLoss } from "../src/losses/preference/cpo";
import { type DpoLossOptions, dpoLoss } from "../src/losses/preference/dpo";
import { type DpoLossType, dpoLosses } from "../src/losses/preference/dpo-loss-types";
import { type FDivergenceType, fDivergences } from "../src/losses/preference/f-divergence";
import { ktoBaseline, ktoLoss } from "../src/losses/preference/kto";
import { orpoLoss } from "../src/losses/preference/orpo";
import { inverseLengths, lengthDesensitizedWeights, pairSums } from "../src/losses/preference/pair-logps";
import { wpoWeights } from "../src/losses/preference/wpo";
import { pairMetrics } from "../src/rl/preference-metrics";
import type { Tensor } from "../src/tensor/tensor";
import { describeDevices, slack } from "./devices";
import { differentiate, exact, leaves, valuesOf } from "./loss-values";

type Case = (typeof golden.cases)[number];

const caseOf = (name: string): Case => golden.cases.find((c) => c.name === name)!;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

/** Six completions of the shared case: three chosen, three rejected. */
const { shared } = golden;
const counting = <T>(rows: readonly (readonly T[])[]): T[][] =>
  rows.map((row, s) => row.filter((_, t) => shared.completion_mask[s]?.[t] === 1));
const offsetsOf = (lengths: readonly number[]) => Uint32Array.from([0, ...lengths.map((_, s) => sum(lengths.slice(0, s + 1)))]);
const tokens = counting(shared.per_token_logps);
const refTokens = counting(shared.ref_per_token_logps);
const lengths = tokens.map((row) => row.length);
const offsets = offsetsOf(lengths);
const pairs = lengths.length / 2;
const meanChosenLength = mean(lengths.slice(0, pairs));

interface DpoParams {
  readonly loss_types: string[];
  readonly loss_weights: number[];
  readonly f_divergence: string;
  readonly beta: number;
  readonly label_smoothing: number;
  readonly ld_alpha: number | null;
  readonly f_alpha_divergence_coef: number;
  readonly discopop_tau: number;
  readonly use_weighting: boolean;
}

const optionsOf = (p: DpoParams, chosenLength: number): DpoLossOptions => ({
  terms: p.loss_types.map((type, k) => ({ loss: dpoLosses[type as DpoLossType], weight: p.loss_weights[k] as number })),
  divergence: fDivergences[p.f_divergence as FDivergenceType],
  alpha: p.f_alpha_divergence_coef,
  beta: p.beta,
  labelSmoothing: p.label_smoothing,
  discopopTau: p.discopop_tau,
  meanChosenLength: chosenLength,
});

/** The shared case as one step of three pairs; `sums` are policy and reference, chosen and rejected, (P) each. */
async function sharedPairs(device: Device, ldAlpha: number | null) {
  const tape = new Tape(device, { grad: false });
  const weights = ldAlpha === null ? undefined : exact(tape, lengthDesensitizedWeights(lengths, ldAlpha));
  const policy = pairSums(tape, exact(tape, tokens.flat()), { offsets, weights });
  const reference = pairSums(tape, exact(tape, refTokens.flat()), { offsets, weights });
  const [chosenLogps, rejectedLogps, refChosenLogps, refRejectedLogps] = await Promise.all(
    [policy.chosen, policy.rejected, reference.chosen, reference.rejected].map((tensor) => valuesOf(device, tensor)),
  );
  tape.dispose();
  return { chosenLogps, rejectedLogps, refChosenLogps, refRejectedLogps } as Record<
    "chosenLogps" | "rejectedLogps" | "refChosenLogps" | "refRejectedLogps",
    number[]
  >;
}

function constantsOf(tape: Tape, counts: readonly number[]) {
  const inverse = inverseLengths(counts);
  return { chosenInverseLengths: exact(tape, inverse.chosen), rejectedInverseLengths: exact(tape, inverse.rejected) };
}

const dpoNames = golden.cases.filter((c) => c.of.startsWith("DPOTrainer") && c.inputs === "shared").map((c) => c.name);
const logitNames = golden.cases.filter((c) => c.of.startsWith("DPOTrainer") && c.inputs !== "shared").map((c) => c.name);
const ktoNames = golden.cases.filter((c) => c.of.startsWith("KTOTrainer")).map((c) => c.name);
const orpoNames = golden.cases.filter((c) => c.of.startsWith("ORPOTrainer")).map((c) => c.name);
const cpoNames = golden.cases.filter((c) => c.of.startsWith("CPOTrainer")).map((c) => c.name);

test("the cases are all here", () => {
  expect([dpoNames, logitNames, ktoNames, orpoNames, cpoNames].map((names) => names.length)).toEqual([23, 4, 4, 2, 7]);
});

describeDevices("preference objectives give TRL's loss, gradient and metrics", (device) => {
  const tolerance = 1e-6 * slack(device);
  const expectClose = (got: number | undefined, wanted: number, what: string, allowed = tolerance) => {
    expect(Math.abs((got as number) - wanted), `${what}: got ${got}, wanted ${wanted}`).toBeLessThanOrEqual(
      allowed * Math.max(1, Math.abs(wanted)),
    );
  };
  const expectAll = (got: readonly number[] | undefined, wanted: readonly number[], what: string, allowed = tolerance) => {
    expect(got?.length, what).toBe(wanted.length);
    wanted.forEach((value, i) => {
      expectClose(got?.[i], value, `${what} ${i}`, allowed);
    });
  };
  const gradientOf = (expected: object) => counting((expected as { grad_per_token_logps: number[][] }).grad_per_token_logps).flat();

  test.each([...dpoNames, "cdpo"])("%s", async (name) => {
    const { params, expect: expected } = caseOf(name);
    const given = params as DpoParams;
    const p = name === "cdpo" ? { ...(caseOf("sigmoid").params as DpoParams), ...given, loss_types: ["cdpo"] } : given;
    const step = await sharedPairs(device, p.ld_alpha);
    const matched = matchByRank(
      { chosen: step.chosenLogps, rejected: step.rejectedLogps },
      { chosen: step.refChosenLogps, rejected: step.refRejectedLogps },
    );
    const weights = p.ld_alpha === null ? undefined : lengthDesensitizedWeights(lengths, p.ld_alpha);
    const result = await differentiate(
      device,
      [tokens.flat()],
      (tape, [logps]) => {
        const policy = pairSums(tape, logps as Tensor, { offsets, weights: weights && exact(tape, weights) });
        return dpoLoss(
          tape,
          {
            chosenLogps: policy.chosen,
            rejectedLogps: policy.rejected,
            refChosenLogps: exact(tape, step.refChosenLogps),
            refRejectedLogps: exact(tape, step.refRejectedLogps),
            ...constantsOf(tape, lengths),
            matched: {
              refGaps: exact(tape, matched.refGaps),
              chosenLogratios: exact(tape, matched.chosenLogratios),
              rejectedLogratios: exact(tape, matched.rejectedLogratios),
            },
          },
          optionsOf(p, meanChosenLength),
        );
      },
      1 / pairs,
    );
    // f_alpha: TRL runs it in float32.
    const allowed = name === "f_alpha" ? Math.max(tolerance, 1e-5) : tolerance;
    expectClose(result.loss, expected.loss, "loss", allowed);
    expectAll(result.gradients[0], gradientOf(expected), "gradient", allowed);
    if (name === "cdpo") return;
    const metrics = pairMetrics({
      chosenRewards: result.others.chosenRewards as number[],
      rejectedRewards: result.others.rejectedRewards as number[],
      ...step,
    });
    const wanted = (expected as unknown as { metrics: Record<string, number> }).metrics;
    expect(Object.keys(wanted).length).toBe(6);
    for (const [metric, value] of Object.entries(wanted)) expectClose(metrics[metric], value, metric, allowed);
  });

  test.each(logitNames)("%s", async (name) => {
    const { params, inputs, expect: expected } = caseOf(name);
    const p = params as DpoParams;
    const { logits, input_ids, completion_mask_unshifted, ref_per_token_logps } = inputs as unknown as {
      logits: number[][][];
      input_ids: number[][];
      completion_mask_unshifted: number[][];
      ref_per_token_logps?: number[][];
    };
    const vocabulary = (logits[0] as number[][])[0]!.length;
    // Position t predicts token t + 1; the last one predicts nothing.
    const targets = input_ids.map((row) => row.slice(1));
    const mask = completion_mask_unshifted.map((row) => row.slice(1));
    const refs = ref_per_token_logps ?? shared.ref_per_token_logps;
    const width = (targets[0] as number[]).length;
    const rowOffsets = offsetsOf(targets.map((row) => row.length));
    const chosenLength = mean(mask.slice(0, mask.length / 2).map(sum));

    const tape = new Tape(device);
    const hidden = exact(
      tape,
      logits.flatMap((row) => row.slice(0, width).flat()),
      [targets.length * width, vocabulary],
    );
    const gradients = leaves(tape, [hidden]);
    const identity = Array.from({ length: vocabulary ** 2 }, (_, i) => (i % (vocabulary + 1) === 0 ? 1 : 0));
    const value = exact(tape, identity, [vocabulary, vocabulary]);
    const grad = exact(
      tape,
      identity.map(() => 0),
      [vocabulary, vocabulary],
    );
    const head = { parts: [{ firstRow: 0, value, grad }] };
    const ids = tape.constant(Uint32Array.from(targets.flat()));
    const { logp, lse } = tokenLogprob(tape, hidden, head, ids);
    const maskTensor = exact(tape, mask.flat());
    const rows = { offsets: rowOffsets, mask: maskTensor };
    const policy = pairSums(tape, logp, rows);
    const reference = pairSums(tape, exact(tape, refs.flat()), rows);
    const inverse = constantsOf(tape, mask.map(sum));
    const doubledLse = tokenLogprob(tape, hidden, head, ids, 0.5).lse;
    const { losses, chosenRewards, rejectedRewards } = dpoLoss(
      tape,
      {
        chosenLogps: policy.chosen,
        rejectedLogps: policy.rejected,
        refChosenLogps: reference.chosen,
        refRejectedLogps: reference.rejected,
        ...inverse,
        pairWeights: p.use_weighting ? wpoWeights(tape, { logps: logp, lse, doubledLse, ...inverse }, rows) : undefined,
      },
      optionsOf(p, chosenLength),
    );
    const record = {
      chosenRewards: await valuesOf(device, chosenRewards),
      rejectedRewards: await valuesOf(device, rejectedRewards),
      chosenLogps: await valuesOf(device, policy.chosen),
      rejectedLogps: await valuesOf(device, policy.rejected),
    };
    const unreduced = await valuesOf(device, losses);
    tape.backward([
      [
        losses,
        exact(
          tape,
          unreduced.map(() => 1 / unreduced.length),
        ),
      ],
    ]);
    const [gradient] = await gradients();
    tape.dispose();
    expectClose(mean(unreduced), expected.loss, "loss");
    const wanted = (expected as unknown as { grad_logits: number[][][] }).grad_logits;
    expectAll(
      gradient,
      wanted.flatMap((row) => row.slice(0, width).flat()),
      "gradient",
    );
    const metrics = pairMetrics(record);
    for (const [metric, value] of Object.entries((expected as unknown as { metrics: Record<string, number> }).metrics)) {
      expectClose(metrics[metric], value, metric);
    }
  });

  test.each(ktoNames)("%s", async (name) => {
    const { params, inputs, expect: expected } = caseOf(name);
    const p = params as { loss_type: string; beta: number; desirable_weight: number; undesirable_weight: number };
    const { label, KL_logps, ref_KL_logps } = inputs as { label: number[]; KL_logps: number[]; ref_KL_logps: number[] };
    const baseline = p.loss_type === "kto" ? ktoBaseline(KL_logps, ref_KL_logps) : 0;
    expectClose(baseline, (expected as { kl: number }).kl, "kl");
    const perToken = (value: (row: number[]) => number) => tokens.map(value);
    const result = await differentiate(
      device,
      [perToken(sum)],
      (tape, [logps]) =>
        ktoLoss(
          tape,
          {
            logps: logps as Tensor,
            refLogps: exact(tape, refTokens.map(sum)),
            signs: exact(
              tape,
              label.map((l) => (l ? 1 : -1)),
            ),
          },
          { beta: p.beta, baseline, desirableWeight: p.desirable_weight, undesirableWeight: p.undesirable_weight },
        ),
      1 / label.length,
    );
    expectClose(result.loss, expected.loss, "loss");
    // A sum hands its gradient to every token alike.
    const gradient = tokens.flatMap((row, s) => row.map(() => result.gradients[0]?.[s] as number));
    expectAll(gradient, gradientOf(expected), "gradient");
    expectAll(
      result.others.rewards,
      tokens.map((row, s) => p.beta * (sum(row) - sum(refTokens[s] as number[]))),
      "rewards",
    );
  });

  /** Reference-free objectives on the shared case, and their gradient for every token. */
  const referenceFree = async <T extends { losses: Tensor }>(objective: (tape: Tape, inputs: Parameters<typeof orpoLoss>[1]) => T) => {
    const result = await differentiate(
      device,
      [tokens.flat()],
      (tape, [logps]) => {
        const { chosen, rejected } = pairSums(tape, logps as Tensor, { offsets });
        return objective(tape, { chosenLogps: chosen, rejectedLogps: rejected, ...constantsOf(tape, lengths) });
      },
      1 / pairs,
    );
    return { ...result, gradient: result.gradients[0] as number[] };
  };

  test.each(orpoNames)("%s", async (name) => {
    const { params, expect: expected } = caseOf(name);
    const { beta } = params as { beta: number };
    const wanted = expected as unknown as { loss: number; nll: number; odds_ratio_term: number; log_odds: number };
    const result = await referenceFree((tape, inputs) => orpoLoss(tape, inputs, { beta, meanNllLength: meanChosenLength }));
    // TRL computes log odds in float32.
    const allowed = Math.max(tolerance, 1e-5);
    expectClose(result.loss, wanted.loss, "loss", allowed);
    expectClose(mean(result.others.nlls as number[]), wanted.nll, "nll", allowed);
    expectClose(mean(result.others.logOddsChosen as number[]), wanted.log_odds, "log odds", allowed);
    expectClose(beta * mean(result.others.logOddsRatios as number[]), wanted.odds_ratio_term, "odds ratio term", allowed);
    expectAll(result.gradient, gradientOf(expected), "gradient", allowed);
  });

  test.each(cpoNames)("%s", async (name) => {
    const { params, expect: expected } = caseOf(name);
    const p = params as Record<"beta" | "label_smoothing" | "simpo_gamma" | "alpha" | "cpo_alpha", number> & { loss_type: string };
    const wanted = expected as unknown as Record<"losses" | "rewards_chosen" | "rewards_rejected", number[]> & { preference_term: number };
    const result = await referenceFree((tape, inputs) =>
      cpoLoss(tape, inputs, cpoForms[p.loss_type as CpoLossType], {
        beta: p.beta,
        labelSmoothing: p.label_smoothing,
        simpoGamma: p.simpo_gamma,
        alpha: p.alpha,
        cpoAlpha: p.cpo_alpha,
        meanNllLength: meanChosenLength,
      }),
    );
    expectClose(result.loss, expected.loss, "loss");
    const nlls = result.others.nlls as number[];
    expectAll(
      result.losses.map((value, i) => value - p.cpo_alpha * (nlls[i] as number)),
      wanted.losses,
      "losses",
    );
    expectAll(result.others.chosenRewards, wanted.rewards_chosen, "chosen rewards");
    expectAll(result.others.rejectedRewards, wanted.rewards_rejected, "rejected rewards");
    expectAll(result.gradient, gradientOf(expected), "gradient");
  });
});
