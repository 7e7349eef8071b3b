/** One optimiser step of a policy and its value function on some rows of an experience: what PPO and A2C share. */
import type { Tape } from "../autograd/tape";
import type { Batch } from "../data/batch";
import { entropyBonus } from "../losses/entropy-bonus";
import { nllLoss } from "../losses/nll";
import { type Roots, weighted } from "../losses/objective";
import { type PolicyInputs, segmentsOf } from "../losses/policy/inputs";
import type { PolicyResult } from "../losses/policy/result";
import { valueLoss } from "../losses/policy/value-loss";
import type { Decoder } from "../models/decoder";
import { batchLogprobs } from "../models/logprobs";
import type { UpdatedTokens } from "../rl/critic-metrics";
import type { Metrics } from "../rl/metrics";
import { gatherCounting } from "../rl/rollout";
import type { Experience } from "../rl/scored-rollout";
import { type Critic, policyAndValues, valuesOnly } from "./critic";
import type { CriticSettings } from "./critic-options";
import { type MicroBatch, optimiserStep, total, type Updating } from "./optimiser-step";
import type { PretrainingBatches } from "./pretraining-mix";
import { rolloutBatches } from "./rollout-batches";

/** The policy's objective on a micro-batch; a token of weight 0 is not the policy's. */
export type Surrogate = (tape: Tape, inputs: PolicyInputs) => Pick<PolicyResult, "roots" | "loss">;

export interface CriticStep {
  readonly rows: readonly number[];
  readonly experience: Experience;
  readonly policy: Decoder;
  readonly critic: Critic;
  readonly surrogate: Surrogate;
  /** Range around the recorded values within which the value loss has its ordinary gradient; 0 = no clip. */
  readonly cliprangeValue: number;
  /** Texts whose likelihood is part of the loss (PPO-ptx). */
  readonly pretraining?: PretrainingBatches | undefined;
  /** Of the policy, and of the value function. */
  readonly updating: readonly [policy: Updating, value: Updating];
}

/** What is read back of a micro-batch of completions; of one of texts, only `ptx`. */
const COMPLETIONS = { policy: 1, value: 1, valueClipped: 1, ptx: 0 };
const TEXTS = { policy: 0, value: 0, valueClipped: 0, entropies: 0, logps: 0, ptx: 1 };

/**
 * loss = Σ L_t / T + vfCoef Σ ½ (V_t - R_t)² / T' - entropyCoef Σ H_t / T - ptxCoef Σ log π(text) / T'', over the T tokens of the step that the policy
 * chose, the T' positions where the value function learns and the T'' tokens of text. The step's tokens come back for the metrics.
 */
export async function criticUpdate(
  { rows, experience, policy, critic, surrogate, cliprangeValue, pretraining, updating }: CriticStep,
  settings: CriticSettings,
): Promise<{ skipped: boolean; metrics: Metrics; tokens: UpdatedTokens }> {
  const { advantages, oldLogps, values: oldValues, returns } = experience as Required<Experience>;
  const { vfCoef, entropyCoef, temperature } = settings;
  const { pieces, tokens, valueTokens } = piecesOf(rows, experience, policy, settings);

  const completions = pieces.map(
    ({ batch, gather, isPolicys }): MicroBatch<keyof typeof TEXTS> => ({
      reads: { ...COMPLETIONS, entropies: batch.targets.length, logps: batch.targets.length },
      forward(tape, report) {
        const { logp, entropy, values } = policyAndValues(tape, policy, critic, batch, temperature); // (M)
        const constant = (perToken: Float32Array) => tape.constant(gather(perToken));
        const { roots, loss } = surrogate(tape, {
          logps: logp,
          oldLogps: constant(oldLogps),
          advantages: constant(advantages),
          weights: tape.constant(isPolicys.map((one) => one / tokens)),
          segments: segmentsOf(tape, batch.targetOffsets),
        });
        const value = valueLoss(tape, { values, oldValues: constant(oldValues), returns: constant(returns) }, { cliprangeValue });
        report.copy("policy", loss);
        report.sum("value", value.losses);
        if (value.clipped) report.sum("valueClipped", value.clipped);
        report.copy("entropies", entropy);
        report.copy("logps", logp);
        return [
          ...roots,
          ...weighted(tape, value.losses, vfCoef / valueTokens),
          ...(entropyCoef === 0
            ? []
            : entropyBonus(
                tape,
                entropy,
                isPolicys.map((one) => (entropyCoef * one) / tokens),
              )),
        ];
      },
    }),
  );
  const texts = (pretraining?.batches ?? []).map(
    (batch): MicroBatch<keyof typeof TEXTS> => ({
      reads: TEXTS,
      forward(tape, report): Roots {
        const { logp } = batchLogprobs(tape, policy, batch);
        report.sum("ptx", logp);
        return nllLoss(tape, logp, (pretraining as PretrainingBatches).weight);
      },
    }),
  );

  const { outcomes, reports } = await optimiserStep(policy.device, updating, [...completions, ...texts], settings);
  const of = reports.slice(0, pieces.length);
  const chosen = (name: "entropies" | "logps") =>
    pieces.flatMap(({ isPolicys }, i) => [...(of[i] as (typeof of)[number])[name]].filter((_, t) => isPolicys[t]));
  const recorded = (perToken: Float32Array) =>
    pieces.flatMap(({ gather, isPolicys }) => [...gather(perToken)].filter((_, t) => isPolicys[t]));
  const entropies = chosen("entropies");
  const entropy = entropies.reduce((sum, h) => sum + h, 0) / tokens;
  const policyLoss = total(of, "policy");
  const meanValueLoss = total(of, "value") / valueTokens;
  const ptxLoss = pretraining && -total(reports.slice(pieces.length), "ptx") * pretraining.weight;
  return {
    skipped: outcomes.some(({ skipped }) => skipped),
    tokens: { logps: chosen("logps"), oldLogps: recorded(oldLogps), advantages: recorded(advantages), entropies },
    metrics: {
      loss: policyLoss + vfCoef * meanValueLoss - entropyCoef * entropy + (ptxLoss ?? 0),
      grad_norm: outcomes[0]?.gradNorm as number,
      value_grad_norm: outcomes[1]?.gradNorm as number,
      entropy,
      "loss/policy_avg": policyLoss,
      "loss/value_avg": meanValueLoss,
      ...(cliprangeValue > 0 ? { "val/clipfrac_avg": total(of, "valueClipped") / valueTokens } : {}),
      ...(pretraining && ptxLoss !== undefined ? { "loss/ptx": ptxLoss / pretraining.coefficient } : {}),
    },
  };
}

/** One step of the value function alone: a shared trunk is left as it is. Returns the value loss before the step. */
export async function valueUpdate(
  { rows, experience, policy, critic, cliprangeValue }: Pick<CriticStep, "rows" | "experience" | "policy" | "critic" | "cliprangeValue">,
  updating: Updating,
  settings: CriticSettings,
): Promise<number> {
  const { values: oldValues, returns } = experience as Required<Experience>;
  const { pieces, valueTokens } = piecesOf(rows, experience, policy, settings);
  const { reports } = await optimiserStep(
    policy.device,
    [updating],
    pieces.map(({ batch, gather }) => ({
      reads: { value: 1 },
      forward(tape, report) {
        const values = valuesOnly(tape, policy, critic, batch);
        const constant = (perToken: Float32Array) => tape.constant(gather(perToken));
        const { losses } = valueLoss(tape, { values, oldValues: constant(oldValues), returns: constant(returns) }, { cliprangeValue });
        report.sum("value", losses);
        return weighted(tape, losses, settings.vfCoef / valueTokens);
      },
    })),
    settings,
  );
  return total(reports, "value") / valueTokens;
}

interface Piece {
  readonly batch: Batch;
  /** Values (N) at the batch's targets. (M) */
  readonly gather: (perToken: Float32Array) => Float32Array;
  /** 1 where the policy chose the target, 0 at a position that only the value function learns at. (M) */
  readonly isPolicys: Float32Array;
}

/** The rows as micro-batches whose targets are the positions where the value function learns, and the step's denominators (at least 1). */
function piecesOf(rows: readonly number[], { rollout, valueMask }: Experience, { config }: Decoder, settings: CriticSettings) {
  const valued = valueMask ? { ...rollout, mask: Uint8Array.from(valueMask) } : rollout;
  const isPolicys = Float32Array.from(rollout.mask);
  const pieces = rolloutBatches(valued, rows, config.vocabSize, settings).map(({ rows: taken, batch }): Piece => {
    const gather = (perToken: Float32Array) => gatherCounting(valued, taken, perToken);
    return { batch, gather, isPolicys: gather(isPolicys) };
  });
  const sum = (of: (piece: Piece) => number) =>
    Math.max(
      1,
      pieces.reduce((so, piece) => so + of(piece), 0),
    );
  return {
    pieces,
    tokens: sum((piece) => piece.isPolicys.reduce((a, b) => a + b, 0)),
    valueTokens: sum(({ batch }) => batch.targets.length),
  };
}
