/** The policy objectives, ratios, KL terms and value loss against TRL's and PyTorch's own numbers (fixtures/rl/grpo.json, ppo.json, advantages.json). */
import { type Device, gae, whiten } from "@trimtab/kernels";
import { describe, expect, test } from "vitest";
import advantageGolden from "../../../fixtures/rl/advantages.json";
import golden from "../../../fixtures/rl/grpo.json";
import ppoGolden from "../../../fixtures/rl/ppo.json";
import { Tape } from "../src/autograd/tape";
import { entropyBonus } from "../src/losses/entropy-bonus";
import { clippedSurrogate } from "../src/losses/policy/clipped";
import { segmentsOf } from "../src/losses/policy/inputs";
import { type KlEstimator, klEstimate } from "../src/losses/policy/kl";
import { entropyThreshold, offPolicyMask } from "../src/losses/policy/modifiers";
import { composedObjective, type PolicyObjective, policyObjective } from "../src/losses/policy/objectives";
import { type ImportanceSamplingLevel, importanceRatios } from "../src/losses/policy/ratios";
import { valueLoss } from "../src/losses/policy/value-loss";
import { entropyWeight, type LossType, tokenWeights } from "../src/losses/token-weights";
import { klEstimators, tokenRewards } from "../src/rl/kl-reward";
import { clipMeasures, policyMetrics } from "../src/rl/policy-metrics";
import { describeDevices, slack } from "./devices";
import { differentiate, exact, leaves, valuesOf } from "./loss-values";

// biome-ignore lint/suspicious/noExplicitAny: goldens are JSON with a different shape per case
type Case = any;
type Table = number[][];

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** The cells of a padded table that a mask keeps, row by row; lengths and offsets of the rows. */
function ragged(mask: Table) {
  const pick = (table: Table) => table.flatMap((row, s) => row.filter((_, t) => mask[s]?.[t] === 1));
  const lengths = mask.map(sum);
  const offsets = Uint32Array.from([0, ...lengths.map((_, s) => sum(lengths.slice(0, s + 1)))]);
  const spread = (values: readonly number[]) => values.flatMap((value, s) => new Array<number>(lengths[s] as number).fill(value));
  return {
    pick,
    lengths,
    offsets,
    spread,
    rows: (flat: readonly number[]) => lengths.map((_, s) => flat.slice(offsets[s], offsets[s + 1])),
  };
}

function closeTo(tolerance: number) {
  return (got: number | undefined, wanted: number, what: string) =>
    expect(Math.abs((got as number) - wanted), `${what}: got ${got}, wanted ${wanted}`).toBeLessThan(tolerance);
}

interface Micro {
  readonly logps: readonly number[];
  readonly oldLogps?: readonly number[] | undefined;
  readonly refLogps?: readonly number[] | undefined;
  readonly advantages: readonly number[];
  readonly weights: readonly number[];
  readonly offsets: Uint32Array;
  readonly samplerFactors?: readonly number[] | undefined;
  readonly offPolicy?: { readonly behaviourLogps: readonly number[]; readonly threshold: number } | undefined;
}

/** Loss, sums and gradient of an objective on one micro-batch. */
async function run(device: Device, objective: PolicyObjective, micro: Micro) {
  const tape = new Tape(device);
  const logps = exact(tape, micro.logps);
  const gradients = leaves(tape, [logps]);
  const optional = (values: readonly number[] | undefined) => values && exact(tape, values);
  const inputs = {
    logps,
    oldLogps: optional(micro.oldLogps) ?? logps,
    refLogps: optional(micro.refLogps),
    advantages: exact(tape, micro.advantages),
    weights: exact(tape, micro.weights),
    segments: segmentsOf(tape, micro.offsets),
    samplerFactors: optional(micro.samplerFactors),
  };
  const { offPolicy } = micro;
  const advantages = offPolicy
    ? offPolicyMask(tape, { ...inputs, behaviourLogps: exact(tape, offPolicy.behaviourLogps) }, offPolicy.threshold)
    : inputs.advantages;
  const { roots, loss, kl, phi } = objective(tape, { ...inputs, advantages });
  const first = async (tensor: typeof loss | undefined) => (tensor ? (await valuesOf(device, tensor))[0] : undefined);
  const sums = { loss: (await first(loss)) as number, kl: await first(kl), phi: await first(phi) };
  tape.backward(roots);
  const [gradient] = (await gradients()) as [number[]];
  tape.dispose();
  return { ...sums, gradient };
}

const { shared } = golden;
const toolMasked = shared.mask.map((row, s) => row.map((m, t) => m * (shared.tool_mask[s]?.[t] as number)));

describeDevices("policy objectives give TRL's loss, gradient and metrics", (device) => {
  const expectClose = closeTo(1e-6 * slack(device));
  for (const { name, of, params, expect: expected } of golden.cases as Case[]) {
    test(name, async () => {
      const mask: Table = params.use_tool_mask ? toolMasked : shared.mask;
      const { pick, lengths, offsets, spread, rows } = ragged(mask);
      const lossType: LossType = of.includes("GMPO") ? "gmpo" : params.loss_type;
      const level: ImportanceSamplingLevel = params.importance_sampling_level;
      const clip = { epsilonLow: params.epsilon_low, epsilonHigh: params.epsilon_high, delta: params.delta ?? 0, dualClip: 0 };
      const accumulation: number = params.gradient_accumulation_steps;
      // The case is one of `accumulation` equal micro-batches; dapo and its like count the tokens of the whole generation batch.
      const totals = {
        sequences: 6 * accumulation,
        tokens: sum(lengths) * accumulation,
        generationTokens: shared.num_items_in_batch,
        maxCompletionLength: params.max_completion_length,
      };
      const entropies = pick(shared.entropies);
      const threshold = entropyThreshold(entropies, params.top_entropy_quantile);
      const isActive = entropies.map((entropy) => (entropy >= threshold ? 1 : 0));
      const advantages = spread(shared.advantages);
      const factors = params.use_importance_sampling_ratio ? pick(shared.importance_sampling_ratio) : undefined;
      const logps = pick(shared.logps);
      const oldLogps = params.use_old_logps ? pick(shared.old_logps) : undefined;
      const objective = policyObjective({
        lossType,
        level,
        clip,
        beta: params.beta,
        klEstimator: "k3",
        isKlCorrected: params.use_bias_correction_kl,
        sapo: { temperaturePos: params.sapo_temperature_pos, temperatureNeg: params.sapo_temperature_neg },
        vespo: {
          kPos: params.vespo_k_pos,
          lambdaPos: params.vespo_lambda_pos,
          kNeg: params.vespo_k_neg,
          lambdaNeg: params.vespo_lambda_neg,
        },
      });
      const result = await run(device, objective, {
        logps,
        oldLogps,
        refLogps: params.beta > 0 ? pick(shared.ref_logps) : undefined,
        advantages: advantages.map((a, t) => a * (isActive[t] as number) * (lossType === "vespo" ? 1 : (factors?.[t] ?? 1))),
        weights: spread(lengths.map((length) => tokenWeights[lossType](length, totals))),
        offsets,
        samplerFactors: factors && withPadding(factors, offsets, mask),
        offPolicy:
          params.off_policy_mask_threshold === null
            ? undefined
            : {
                behaviourLogps: params.use_sampling_logps ? pick(shared.sampling_logps) : (oldLogps as number[]),
                threshold: params.off_policy_mask_threshold,
              },
      });

      const bonus = params.entropy_coef * entropyWeight(lossType, totals);
      expectClose(result.loss - bonus * sum(entropies), expected.loss, "loss");
      const wanted = pick(expected.grad_logps);
      expect(result.gradient.length).toBe(wanted.length);
      expect(wanted.some((value) => Math.abs(value) > 1e-3)).toBe(true);
      wanted.forEach((value, i) => {
        expectClose(result.gradient[i], value, `gradient ${i}`);
      });

      const [own, old, wide] = [rows(logps), rows(oldLogps ?? logps), rows(advantages)];
      const updated = own.map((row, s) => ({
        logps: row,
        oldLogps: old[s] as number[],
        samplerLogps: row,
        advantages: wide[s] as number[],
      }));
      const metrics: Record<string, number | undefined> = {
        kl: result.kl === undefined ? undefined : result.kl / entropies.length,
        entropy: sum(entropies) / entropies.length,
        policy_loss: result.loss,
        entropy_coef: params.entropy_coef,
        "vespo/phi_seq_mean": result.phi === undefined ? undefined : result.phi / 6,
        ...policyMetrics(updated, { ...clip, level, measure: clipMeasures[lossType] }),
      };
      expect(Object.keys(expected.metrics).length).toBeGreaterThan(0);
      for (const [metric, value] of Object.entries(expected.metrics as Record<string, number>)) expectClose(metrics[metric], value, metric);
      // Counts of clipped tokens belong to objectives that clip, and to no other.
      const counts = (keys: object) => Object.keys(keys).filter((key) => key.startsWith("clip_ratio") || key.startsWith("cispo"));
      expect(counts(metrics).sort()).toEqual(counts(expected.metrics).sort());

      if ("grad_entropies" in expected) {
        const { gradients } = await differentiateBonus(device, entropies, bonus);
        pick(expected.grad_entropies).forEach((value, i) => {
          expectClose(gradients[i], value, `entropy gradient ${i}`);
        });
      }
    });
  }
});

/**
 * TRL's VESPO multiplies the factors of padding too, which are 1 in its trainer and arbitrary in the case: here they go to each row's first token.
 */
function withPadding(factors: readonly number[], offsets: Uint32Array, mask: Table): number[] {
  const all = [...factors];
  shared.importance_sampling_ratio.forEach((row, s) => {
    const padding = row.filter((_, t) => mask[s]?.[t] !== 1).reduce((product, factor) => product * factor, 1);
    all[offsets[s] as number] = (all[offsets[s] as number] as number) * padding;
  });
  return all;
}

async function differentiateBonus(device: Device, entropies: readonly number[], bonus: number) {
  const tape = new Tape(device);
  const tensor = exact(tape, entropies);
  const read = leaves(tape, [tensor]);
  tape.backward(entropyBonus(tape, tensor, bonus));
  const [gradients] = (await read()) as [number[]];
  tape.dispose();
  return { gradients };
}

describeDevices("RLOO's loss is TRL's", (device) => {
  const expectClose = closeTo(1e-6 * slack(device));
  test("rloo_loss", async () => {
    const { params, inputs, expect: expected } = (advantageGolden.cases as Case[]).find(({ name }) => name === "rloo_loss");
    const { pick, lengths, offsets, spread, rows } = ragged(inputs.mask);
    const clip = { epsilonLow: params.epsilon_low, epsilonHigh: params.epsilon_high, delta: 0, dualClip: 0 };
    const objective = composedObjective((tape, given) => clippedSurrogate(tape, given, clip), importanceRatios.sequence_sum, {
      beta: 0,
      klEstimator: "k1",
      isKlCorrected: false,
    });
    // TRL keeps the sum only; any split over the tokens has it.
    const oldLogps = spread(inputs.old_logps_sum.map((total: number, s: number) => total / (lengths[s] as number)));
    const logps = pick(inputs.logps);
    const result = await run(device, objective, {
      logps,
      oldLogps,
      advantages: spread(inputs.advantages),
      weights: spread(lengths.map((length) => 1 / (length * lengths.length))),
      offsets,
    });
    expectClose(result.loss, expected.loss, "loss");
    pick(expected.grad_logps).forEach((value, i) => {
      expectClose(result.gradient[i], value, `gradient ${i}`);
    });
    const old = rows(oldLogps);
    const updated = rows(logps).map((row, s) => ({
      logps: row,
      oldLogps: old[s] as number[],
      samplerLogps: row,
      advantages: row.map(() => inputs.advantages[s] as number),
    }));
    const metrics = policyMetrics(updated, { ...clip, level: "sequence_sum", measure: "ratio" });
    const { entropy, ...clipped } = expected.metrics as Record<string, number>;
    expect(entropy).toBeGreaterThan(0);
    for (const [name, value] of Object.entries(clipped)) expectClose(metrics[name], value, name);
  });
});

const ppoCases = ppoGolden.cases as Case[];

describeDevices("PPO's pieces", (device) => {
  const expectClose = closeTo(1e-6 * slack(device));
  const expectAll = (got: readonly number[], wanted: readonly number[], what: string) => {
    expect(got.length).toBe(wanted.length);
    wanted.forEach((value, i) => {
      expectClose(got[i], value, `${what} ${i}`);
    });
  };

  for (const { name, params, inputs, expect: expected } of ppoCases.filter((c) => c.name.startsWith("ppo_clip"))) {
    test(name, async () => {
      const { pick, lengths, offsets, spread } = ragged(inputs.mask);
      const perRow = params.reduce === "seq_mean";
      const weights = spread(lengths.map((length) => (perRow ? 1 / (length * lengths.length) : 1 / sum(lengths))));
      const clip = { epsilonLow: params.clip_low, epsilonHigh: params.clip_high, delta: 0, dualClip: params.dual_clip ?? 0 };
      const objective = policyObjective({
        lossType: "grpo",
        level: "token",
        clip,
        beta: 0,
        klEstimator: "k3",
        isKlCorrected: false,
        sapo: { temperaturePos: 1, temperatureNeg: 1 },
        vespo: { kPos: 1, lambdaPos: 1, kNeg: 1, lambdaNeg: 1 },
      });
      const micro = { logps: pick(inputs.logps), oldLogps: pick(inputs.old_logps), advantages: pick(inputs.advantages), weights, offsets };
      const composed = composedObjective((tape, given) => clippedSurrogate(tape, given, clip), importanceRatios.token, {
        beta: 0,
        klEstimator: "k3",
        isKlCorrected: false,
      });
      for (const one of [objective, composed]) {
        const { loss, gradient } = await run(device, one, micro);
        expectClose(loss, expected.loss, "loss");
        expectAll(gradient, pick(expected.grad_logps), "gradient");
      }
    });
  }

  test("value_clip", async () => {
    const { params, inputs, expect: expected } = ppoCases.find((c) => c.name === "value_clip");
    const { pick, lengths } = ragged(inputs.mask);
    const { loss, gradients } = await differentiate(
      device,
      [pick(inputs.values)],
      (tape, [values]) =>
        valueLoss(
          tape,
          { values: values!, oldValues: exact(tape, pick(inputs.old_values)), returns: exact(tape, pick(inputs.returns)) },
          { cliprangeValue: params.cliprange_value },
        ),
      1 / sum(lengths),
    );
    expectClose(loss, expected.loss, "loss");
    expectAll(gradients[0]!, pick(expected.grad_values), "gradient");
  });

  for (const estimator of ["k1", "k2", "k3", "abs"] as KlEstimator[]) {
    test(`kl_${estimator}`, async () => {
      const { inputs, expect: expected } = ppoCases.find((c) => c.name === `kl_${estimator}`);
      const { pick, lengths } = ragged(inputs.mask);
      const [logps, refLogps] = [pick(inputs.logps), pick(inputs.ref_logps)];
      const { losses, loss, gradients } = await differentiate(
        device,
        [logps.map((logp, t) => logp - (refLogps[t] as number))],
        (tape, [a]) => ({ losses: klEstimate(tape, a!, estimator) }),
        1 / sum(lengths),
      );
      expectAll(losses, pick(expected.per_token), "per token");
      expectClose(loss, expected.masked_mean, "mean");
      expectAll(gradients[0]!, pick(expected.grad_logps), "gradient");
      const host = logps.map((logp, t) => klEstimators[estimator](logp - (refLogps[t] as number)));
      expectAll(host, pick(expected.per_token), "host");
    });
  }

  for (const { name, params, inputs, expect: expected } of ppoCases.filter((c) => c.source === "trl-lifted")) {
    test(`TRL PPO ${name}: losses and gradients`, async () => {
      const { policyMask, valueMask } = trlMasks(inputs);
      const policy = ragged(policyMask);
      const pg = await run(
        device,
        policyObjective({
          lossType: "bnpo",
          level: "token",
          clip: { epsilonLow: params.cliprange, epsilonHigh: params.cliprange, delta: 0, dualClip: 0 },
          beta: 0,
          klEstimator: "k3",
          isKlCorrected: false,
          sapo: { temperaturePos: 1, temperatureNeg: 1 },
          vespo: { kPos: 1, lambdaPos: 1, kNeg: 1, lambdaNeg: 1 },
        }),
        {
          logps: policy.pick(inputs.new_logps),
          oldLogps: policy.pick(inputs.old_logps),
          advantages: policy.pick(expected.advantages),
          weights: new Array<number>(sum(policy.lengths)).fill(1 / sum(policy.lengths)),
          offsets: policy.offsets,
        },
      );
      const value = ragged(valueMask);
      const vf = await differentiate(
        device,
        [value.pick(inputs.vpred)],
        (tape, [values]) =>
          valueLoss(
            tape,
            { values: values!, oldValues: exact(tape, value.pick(inputs.values)), returns: exact(tape, value.pick(expected.returns)) },
            { cliprangeValue: params.cliprange_value },
          ),
        params.vf_coef / sum(value.lengths),
      );
      expectClose(pg.loss, expected.pg_loss, "pg_loss");
      expectClose(vf.loss / params.vf_coef, expected.vf_loss, "vf_loss");
      expectClose(pg.loss + vf.loss, expected.loss, "loss");
      expectAll(pg.gradient, policy.pick(expected.grad_new_logps), "policy gradient");
      expectAll(vf.gradients[0]!, value.pick(expected.grad_vpred), "value gradient");
      expectClose(sum(vf.others.clipped!) / sum(value.lengths), expected.vf_clipfrac, "vf_clipfrac");
    });
  }
});

/** TRL's masks: actions up to the end, and values one position further. */
function trlMasks(inputs: Case): { policyMask: Table; valueMask: Table } {
  const upTo = (extra: number): Table =>
    inputs.values.map((row: number[], s: number) => row.map((_, t) => (t <= inputs.last_index[s] + extra ? 1 : 0)));
  return { policyMask: upTo(0), valueMask: upTo(1) };
}

describe("TRL PPO: rewards per token, GAE and whitening on ragged rows", () => {
  const expectClose = closeTo(1e-6);
  const expectAll = (got: ArrayLike<number>, wanted: readonly number[], what: string) => {
    expect(got.length).toBe(wanted.length);
    wanted.forEach((value, i) => {
      expectClose(got[i], value, `${what} ${i}`);
    });
  };
  const lifted = ppoCases.filter((c) => c.source === "trl-lifted");
  test("the cases", () => {
    expect(lifted.map(({ name }) => name)).toEqual(["k1", "k3", "gamma99", "whiten", "lam1", "wide"]);
    // Some rows end before the width and some do not, so that both places of the score occur.
    const ends = lifted[0].inputs.last_index as number[];
    expect(ends.some((end) => end === 7) && ends.some((end) => end < 7)).toBe(true);
  });
  for (const { name, params, inputs, expect: expected } of lifted) {
    test(name, () => {
      const { policyMask, valueMask } = trlMasks(inputs);
      const { pick, offsets } = ragged(valueMask);
      const mask = pick(policyMask);
      const { rewards } = tokenRewards(
        { scores: inputs.scores, logps: pick(inputs.old_logps), refLogps: pick(inputs.ref_logps), offsets, mask },
        { klCoef: params.kl_coef, klEstimator: params.kl_estimator, scorePlacement: "trl" },
      );
      const whitened = params.whiten_rewards ? whiten(rewards, { shiftMean: false }) : rewards;
      expectAll(whitened, pick(expected.rewards), "reward");
      const { advantages, returns } = gae({
        rewards: whitened,
        values: pick(inputs.values),
        offsets,
        gamma: params.gamma,
        lambda: params.lam,
      });
      expectAll(returns, pick(expected.returns), "return");
      expectAll(whiten(advantages, { mask }), pick(expected.advantages), "advantage");
    });
  }
});
