/** One optimiser step of a policy on some rows of a rollout: the second half of a round, which GRPO, RLOO and REINFORCE share. */
import type { Batch } from "../data/batch";
import { entropyBonus } from "../losses/entropy-bonus";
import { segmentsOf } from "../losses/policy/inputs";
import {
  entropyThreshold,
  offPolicyMask,
  type SamplerCorrectionOptions,
  samplerCorrection,
  samplerFactors,
} from "../losses/policy/modifiers";
import type { PolicyObjective } from "../losses/policy/objectives";
import type { StepTotals, TokenWeight } from "../losses/token-weights";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import type { Metrics } from "../rl/metrics";
import { type PolicyMetricOptions, policyMetrics, type UpdatedRow } from "../rl/policy-metrics";
import { countingTokens, gatherCounting, type Rollout } from "../rl/rollout";
import type { Experience } from "../rl/scored-rollout";
import { forwardOnly, optimiserStep, total, type Updating } from "./optimiser-step";
import { type RolloutBatch, rolloutBatches } from "./rollout-batches";
import type { RolloutSettings } from "./rollout-options";

/** What a policy is improved on, and how. */
export interface PolicyPlan {
  readonly objective: PolicyObjective;
  /** w_t of every counting token. */
  readonly tokenWeight: TokenWeight;
  /** What counts as clipped, for the metrics. */
  readonly clip: PolicyMetricOptions;
  /** The entropy bonus: its weight per token, without the coefficient. */
  readonly entropyWeight: (totals: StepTotals, activeTokens: number) => number;
  /** Share of the step's tokens, the most uncertain ones, that learn from the surrogate; 1 = all. Below 1 a step needs one more forward pass. */
  readonly topEntropyQuantile: number;
  /** See {@link offPolicyMask}. */
  readonly offPolicyMaskThreshold: number | undefined;
  /** See {@link samplerCorrection}; needs recorded `oldLogps`. */
  readonly samplerCorrection: SamplerCorrectionOptions | undefined;
  /** The objective has a place of its own for the sampler's correction, and reports Σ φ (VESPO). */
  readonly foldsCorrection: boolean;
}

/** A plan's parts for a policy that learns from every token alike. */
export const plainPlan = {
  entropyWeight: (_: StepTotals, activeTokens: number) => 1 / Math.max(1, activeTokens),
  topEntropyQuantile: 1,
  offPolicyMaskThreshold: undefined,
  samplerCorrection: undefined,
  foldsCorrection: false,
} as const satisfies Partial<PolicyPlan>;

export interface PolicyStep {
  readonly skipped: boolean;
  /** Mean entropy over the tokens that take part in the surrogate. */
  readonly activeEntropy: number;
  /** The loss without the entropy bonus. */
  readonly policyLoss: number;
  readonly metrics: Metrics;
}

/** Takes the step, in as many micro-batches as the settings ask for. `entropyCoef` is that of this step; 0 = no bonus. */
export async function updatePolicy(
  rows: readonly number[],
  experience: Experience,
  decoder: Decoder,
  settings: RolloutSettings,
  plan: PolicyPlan,
  updating: Updating,
  entropyCoef = 0,
): Promise<PolicyStep> {
  const { rollout, advantages, oldLogps, refLogps } = experience;
  const totals = stepTotals(rollout, rows, settings);
  const pieces = rolloutBatches(rollout, rows, decoder.config.vocabSize, settings);
  const uncertain = plan.topEntropyQuantile < 1 ? await uncertainTokens(decoder, pieces, settings, plan.topEntropyQuantile) : undefined;
  const bonus = entropyCoef === 0 ? 0 : entropyCoef * plan.entropyWeight(totals, uncertain?.count ?? totals.tokens);

  const { outcome, reports } = await optimiserStep(
    decoder.device,
    [updating],
    pieces.map(({ rows: taken, batch }, i) => ({
      reads: { loss: 1, kl: 1, phi: 1, entropy: 1, logps: batch.targets.length },
      forward(tape, report) {
        const { logp, entropy } = batchLogprobs(tape, decoder, batch, settings.temperature); // (M)
        const gather = (values: Float32Array) => gatherCounting(rollout, taken, values);
        const mask = uncertain?.masks[i];
        const correction = plan.samplerCorrection && {
          inputs: { oldLogps: gather(oldLogps as Float32Array), samplerLogps: gather(rollout.samplerLogps), offsets: batch.targetOffsets },
          options: plan.samplerCorrection,
        };
        const factors = correction && !plan.foldsCorrection ? samplerCorrection(correction.inputs, correction.options) : undefined;
        const weakened = gather(advantages).map((a, t) => a * (mask?.[t] ?? 1) * (factors?.[t] ?? 1));
        const segments = segmentsOf(tape, batch.targetOffsets);
        const inputs = {
          logps: logp,
          oldLogps: oldLogps ? tape.constant(gather(oldLogps)) : logp,
          refLogps: refLogps && tape.constant(gather(refLogps)),
          advantages: tape.constant(weakened),
          weights: tape.constant(tokenWeightsOf(batch, totals, plan.tokenWeight)),
          segments,
          samplerFactors:
            correction && plan.foldsCorrection
              ? tape.constant(Float32Array.from(samplerFactors(correction.inputs, correction.options)))
              : undefined,
        };
        const behaviour = { ...inputs, behaviourLogps: tape.constant(gather(rollout.samplerLogps)) };
        const threshold = plan.offPolicyMaskThreshold;
        const kept = threshold === undefined ? inputs : { ...inputs, advantages: offPolicyMask(tape, behaviour, threshold) };
        const { roots, loss, kl, phi } = plan.objective(tape, kept);
        report.copy("loss", loss);
        if (kl) report.copy("kl", kl);
        if (phi) report.copy("phi", phi);
        report.sum("entropy", entropy);
        report.copy("logps", logp);
        return bonus === 0 ? roots : [...roots, ...entropyBonus(tape, entropy, mask ? mask.map((m) => m * bonus) : bonus)];
      },
    })),
    settings,
  );
  const counted = Math.max(1, totals.tokens);
  const entropy = total(reports, "entropy");
  const active = uncertain ?? { sum: entropy, count: totals.tokens };
  const policyLoss = total(reports, "loss");
  const updated = pieces.flatMap((piece, i) => updatedRows(piece, (reports[i] as { logps: Float32Array }).logps, experience));
  return {
    skipped: outcome.skipped,
    activeEntropy: active.sum / Math.max(1, active.count),
    policyLoss,
    metrics: {
      loss: policyLoss - bonus * active.sum,
      grad_norm: outcome.gradNorm,
      entropy: entropy / counted,
      ...(refLogps ? { kl: total(reports, "kl") / counted } : {}),
      ...(plan.foldsCorrection ? { "vespo/phi_seq_mean": total(reports, "phi") / Math.max(1, updated.length) } : {}),
      ...policyMetrics(updated, plan.clip),
    },
  };
}

function stepTotals(rollout: Rollout, rows: readonly number[], settings: RolloutSettings): StepTotals {
  const tokensOf = (of: readonly number[]) => of.reduce((sum, row) => sum + countingTokens(rollout, row), 0);
  return {
    sequences: rows.length,
    tokens: tokensOf(rows),
    generationTokens: tokensOf(rollout.ends.map((_, row) => row)) / settings.stepsPerPass,
    maxCompletionLength: settings.maxCompletionLength,
  };
}

/** w_t of a batch's targets. (M) */
function tokenWeightsOf({ targets, targetOffsets }: Batch, totals: StepTotals, weight: TokenWeight): Float32Array {
  const weights = new Float32Array(targets.length);
  for (let s = 0; s + 1 < targetOffsets.length; s++) {
    const [start, end] = [targetOffsets[s] as number, targetOffsets[s + 1] as number];
    weights.fill(weight(end - start, totals), start, end);
  }
  return weights;
}

/** The most uncertain share of the step's tokens: 1 for each of them (M per piece), their number and the sum of their entropies. */
async function uncertainTokens(decoder: Decoder, pieces: readonly RolloutBatch[], settings: RolloutSettings, quantile: number) {
  if (pieces.length === 0) return { masks: [], count: 0, sum: 0 };
  const reports = await forwardOnly<"entropy">(
    decoder.device,
    pieces.map(({ batch }) => ({
      reads: { entropy: batch.targets.length },
      forward: (tape, report) => report.copy("entropy", batchLogprobs(tape, decoder, batch, settings.temperature).entropy),
    })),
  );
  const entropies = reports.map((report) => Float64Array.from(report.entropy));
  const all = entropies.flatMap((values) => [...values]);
  const threshold = entropyThreshold(all, quantile);
  const kept = all.filter((entropy) => entropy >= threshold);
  return {
    masks: entropies.map((values) => values.map((entropy) => (entropy >= threshold ? 1 : 0))),
    count: kept.length,
    sum: kept.reduce((sum, entropy) => sum + entropy, 0),
  };
}

/** The log-probabilities of a micro-batch's completions, row by row. */
function updatedRows({ rows, batch }: RolloutBatch, logps: Float32Array, { rollout, advantages, oldLogps }: Experience): UpdatedRow[] {
  return rows.map((row, s) => {
    const own = logps.subarray(batch.targetOffsets[s], batch.targetOffsets[s + 1]);
    return {
      logps: own,
      oldLogps: oldLogps ? gatherCounting(rollout, [row], oldLogps) : own,
      samplerLogps: gatherCounting(rollout, [row], rollout.samplerLogps),
      advantages: gatherCounting(rollout, [row], advantages),
    };
  });
}
