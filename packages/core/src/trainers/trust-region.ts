/**
 * One step of a policy inside a trust region: the natural gradient by conjugate gradients, cut back until the exact KL and the surrogate hold.
 *
 *   maximise  L(θ) = Σ_t w_t r_t(θ) A_t   subject to   Σ_t w_t KL(π_old(· | s_t) ‖ π_θ(· | s_t)) ≤ δ,   Σ_t w_t = 1
 *   x ≈ (F + damping I)⁻¹ ∇L,   θ_j = θ_old + c^j √(2 δ / x·Hx) x
 *
 * Schulman et al. 2015 (TRPO), equation 14 and appendix C; without the search, the natural policy gradient (Kakade 2001). Matches spinningup's
 * trpo. Departure: ∇L is brought to length 1 before it is solved for, which changes neither the direction nor the length of the step, but makes
 * the 1e-8 in the denominators relative.
 */
import { Tape } from "../autograd/tape";
import { tokenLogprob } from "../autograd/token-logprob";
import type { Batch } from "../data/batch";
import { ratioLoss } from "../losses/policy/policy-gradient";
import { boundedExp, logRatios } from "../losses/policy/ratios";
import { dotProduct } from "../losses/policy/result";
import type { Decoder } from "../models/decoder";
import { targetHidden } from "../models/logprobs";
import { conjugateGradient } from "../optim/conjugate-gradient";
import { fisherProduct } from "../optim/fisher-product";
import type { ParameterSpace } from "../optim/flat-vector";
import { lineSearch } from "../optim/line-search";
import type { Tensor } from "../tensor/tensor";
import { OldPolicy } from "./old-policy";
import { forwardOnly, gradientsOnly, total } from "./optimiser-step";

/** A micro-batch of a step; per-target values are (M). */
export interface TrustRegionBatch {
  readonly batch: Batch;
  readonly advantages: Float32Array;
  /** w_t; those of all batches of a step sum to 1. */
  readonly weights: Float32Array;
}

export interface TrustRegionSettings {
  readonly temperature: number;
  readonly gradientCheckpointing: boolean;
  /** δ */
  readonly delta: number;
  readonly damping: number;
  readonly cgIterations: number;
  /** False takes the full step: the natural policy gradient. */
  readonly lineSearch: boolean;
  readonly backtrackIterations: number;
  readonly backtrackCoefficient: number;
}

export interface TrustRegionOutcome {
  /** "rejected": no length was good enough. "skipped": the gradient was 0 or not finite. Both left the parameters as they were, bit for bit. */
  readonly lineSearch: "accepted" | "rejected" | "skipped";
  /** Lengths that were refused. */
  readonly backtracks: number;
  /** Exact KL(old ‖ new); 0 where the parameters are the old ones. */
  readonly kl: number;
  /** L before the step, and how much of it was gained. */
  readonly surrogate: number;
  readonly improvement: number;
  /** ‖θ_new - θ_old‖ */
  readonly stepNorm: number;
  /** ‖∇L‖ */
  readonly gradNorm: number;
  /** x · Hx of the solution for the gradient as it is. */
  readonly curvature: number;
  /** ‖∇L - Hx‖ / ‖∇L‖ after the last round, as the recurrence has it. */
  readonly residual: number;
  /** Mean entropy of the old policy, in nats. */
  readonly entropy: number;
}

/** Takes the step over the parameters of `space`. `fisher` are the batches that the Fisher matrix is measured on; its weights, too, sum to 1. */
export async function trustRegionStep(
  decoder: Decoder,
  space: ParameterSpace,
  batches: readonly TrustRegionBatch[],
  fisher: readonly Omit<TrustRegionBatch, "advantages">[],
  settings: TrustRegionSettings,
): Promise<TrustRegionOutcome> {
  const { delta, damping, cgIterations: iterations } = settings;
  const { oldLogps, ...start } = await surrogateGradient(decoder, space, batches, settings);
  const still = { ...start, backtracks: 0, kl: 0, improvement: 0, stepNorm: 0, curvature: 0, residual: 0 };
  if (!(start.gradNorm > 0 && Number.isFinite(start.gradNorm))) return { ...still, lineSearch: "skipped" };

  const [direction, step, product] = [space.zeros(), space.zeros(), space.zeros()];
  const recorded = fisher === batches ? batches : [...batches, ...fisher];
  const firstFisher = recorded.length - fisher.length;
  const old = new OldPolicy(
    decoder,
    recorded.map(({ batch }) => batch),
    settings.temperature,
  );
  try {
    space.addScaled(direction, 1 / start.gradNorm, space.grads);
    const gradient = async () => {
      space.clear(space.grads);
      fisher.forEach((piece, i) => {
        klGradient(decoder, piece, (tape, hidden) => old.divergence(tape, hidden, firstFisher + i), settings);
      });
      return space.grads;
    };
    const hessian = fisherProduct(space, { values: space.values, gradient }, { damping });
    const residual = await conjugateGradient(space, hessian, direction, step, { iterations });
    await hessian(step, product);
    const xHx = await space.dot(step, product);
    const stepLength = Math.sqrt((2 * delta) / (xHx + 1e-8));
    const found = { ...still, residual, curvature: xHx * start.gradNorm * start.gradNorm };
    if (!Number.isFinite(stepLength)) return { ...found, lineSearch: "rejected" };
    space.scale(step, stepLength);

    const { accepted, backtracks, fraction } = await lineSearch(
      space,
      space.values,
      step,
      () => measure(decoder, batches, oldLogps, old, settings),
      ({ kl, surrogate }) =>
        settings.lineSearch ? kl <= delta && surrogate >= start.surrogate : Number.isFinite(kl) && Number.isFinite(surrogate),
      settings.lineSearch ? settings : { backtrackIterations: 1 },
    );
    if (!accepted) return { ...found, lineSearch: "rejected", backtracks };
    const stepNorm = fraction * Math.sqrt(await space.dot(step, step));
    const improvement = accepted.surrogate - start.surrogate;
    return { ...found, lineSearch: "accepted", backtracks, kl: accepted.kl, improvement, stepNorm };
  } finally {
    for (const vector of [direction, step, product]) space.free(vector);
    old.dispose();
  }
}

/** Writes ∇L at the old policy, where every ratio is 1, to `space.grads`, and reads what the step is measured against. */
async function surrogateGradient(
  decoder: Decoder,
  space: ParameterSpace,
  batches: readonly TrustRegionBatch[],
  settings: TrustRegionSettings,
) {
  space.clear(space.grads);
  const reports = await gradientsOnly<"loss" | "entropy" | "logps">(
    decoder.device,
    batches.map((piece) => ({
      reads: { loss: 1, entropy: 1, logps: piece.batch.targets.length },
      forward(tape, report) {
        const { logp, entropy } = tokenLogprob(
          tape,
          targetHidden(tape, decoder, piece.batch),
          decoder.head,
          tape.constant(piece.batch.targets),
          settings.temperature,
        );
        const { losses, weights, loss } = surrogateLoss(tape, piece, logp, logp);
        report.copy("loss", loss);
        report.copy("entropy", dotProduct(tape, entropy, weights));
        report.copy("logps", logp);
        return [[losses, weights]];
      },
    })),
    settings,
  );
  // Losses descend, L ascends.
  space.scale(space.grads, -1);
  return {
    gradNorm: Math.sqrt(await space.dot(space.grads, space.grads)),
    surrogate: -total(reports, "loss"),
    entropy: total(reports, "entropy"),
    oldLogps: reports.map(({ logps }) => logps),
  };
}

/** L and the exact KL of the policy as it is now. */
async function measure(
  decoder: Decoder,
  batches: readonly TrustRegionBatch[],
  oldLogps: readonly Float32Array[],
  old: OldPolicy,
  { temperature }: TrustRegionSettings,
): Promise<{ readonly surrogate: number; readonly kl: number }> {
  const reports = await forwardOnly<"loss" | "kl">(
    decoder.device,
    batches.map((piece, i) => ({
      reads: { loss: 1, kl: 1 },
      forward(tape, report) {
        const hidden = targetHidden(tape, decoder, piece.batch);
        const { logp } = tokenLogprob(tape, hidden, decoder.head, tape.constant(piece.batch.targets), temperature);
        const { loss, weights } = surrogateLoss(tape, piece, logp, tape.constant(oldLogps[i] as Float32Array));
        report.copy("loss", loss);
        report.copy("kl", dotProduct(tape, old.divergence(tape, hidden, i), weights));
      },
    })),
  );
  return { surrogate: -total(reports, "loss"), kl: total(reports, "kl") };
}

/** Adds ∇ Σ_t w_t KL(old ‖ now) of a micro-batch at the present parameters to their gradients. */
function klGradient(
  decoder: Decoder,
  { batch, weights }: Omit<TrustRegionBatch, "advantages">,
  divergenceOf: (tape: Tape, hidden: Tensor) => Tensor,
  { gradientCheckpointing }: TrustRegionSettings,
): void {
  const tape = new Tape(decoder.device, { checkpoint: gradientCheckpointing });
  try {
    tape.backward([[divergenceOf(tape, targetHidden(tape, decoder, batch)), tape.constant(weights)]]);
  } finally {
    tape.dispose();
  }
}

/** losses (M) of a micro-batch, their weights, and Σ w_t losses_t (1). */
function surrogateLoss(tape: Tape, piece: TrustRegionBatch, logps: Tensor, oldLogps: Tensor) {
  const ratios = boundedExp(tape, logRatios(tape, { logps, oldLogps }));
  const { losses } = ratioLoss(tape, { ratios, advantages: tape.constant(piece.advantages) });
  const weights = tape.constant(piece.weights);
  return { losses, weights, loss: dotProduct(tape, losses, weights) };
}
