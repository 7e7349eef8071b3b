/**
 * Implicit Q-learning over tokens (ILQL: Snell et al. 2022; IQL: Kostrikov et al. 2021, equations 5 to 7; CQL: Kumar et al. 2020): every token is an action, the text before it the state.
 *
 *   y_t     = r_t + γ V(s_{t+1}), V = 0 after the last token                          Bellman target, a constant
 *   Q term  = Σ_i (Q_i(s_t, a_t) - y_t)²                                              both heads towards one target
 *   V term  = |τ - 1(u < 0)| u²,  u = min_i Q̂_i(s_t, a_t) - V(s_t)                    expectile regression; Q̂ are the target network's
 *   CQL term  = -Σ_i log softmax(Q_i(s_t, ·))(a_t) = Σ_i (log Σ_a exp Q_i(s_t, a) - Q_i(s_t, a_t))
 *   policy term = -w_t log π(a_t | s_t),  w_t = exp(awacBeta u), a constant           at awacBeta = 0 plain likelihood
 *   L_t = Q term + V term + cqlScale · CQL term + awacScale · policy term
 *
 * An expectile of τ > ½ leans towards the best of the actions that the data holds in a state, without ever asking for a value of one that it does
 * not hold. Matches trlX's ILQLConfig.loss. Departure: the exponent of w is clamped to ±20, as importance ratios are.
 */
import { add, affine, binary, mul, sub, unary } from "../autograd/elementwise";
import { gather } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { boundedExp } from "./policy/ratios";

/** Values of M tokens of S rows laid end to end, each (M). Gradients go to `qs`, `values`, `qLogps` and `logps` only. */
export interface QLearningInputs {
  /** Q_i(s_t, a_t) of each head. */
  readonly qs: readonly Tensor[];
  /** Q̂_i(s_t, a_t) of the target network's heads. */
  readonly targetQs: readonly Tensor[];
  /** V(s_t) */
  readonly values: Tensor;
  /** r_t */
  readonly rewards: Tensor;
  /** log softmax(Q_i(s_t, ·))(a_t) of each head; none leaves the CQL term out. */
  readonly qLogps: readonly Tensor[];
  /** log π(a_t | s_t); without it there is no policy term. */
  readonly logps?: Tensor | undefined;
  /** Row s has the tokens [offsets[s], offsets[s + 1]). (S + 1) */
  readonly offsets: Uint32Array;
}

export interface QLearningOptions {
  /** Expectile, between 0 and 1: ½ is the mean of the data's actions, 1 the best of them. */
  readonly tau: number;
  /** Discount per token. */
  readonly gamma: number;
  readonly cqlScale: number;
  readonly awacScale: number;
  readonly awacBeta: number;
}

/** L_t, its terms without their scales, and what they were made of; each (M). Absent terms were not asked for. */
export interface QLearningResult {
  readonly losses: Tensor;
  readonly qLosses: Tensor;
  readonly valueLosses: Tensor;
  readonly cqlLosses: Tensor | undefined;
  readonly policyLosses: Tensor | undefined;
  /** min_i Q̂_i */
  readonly targetQs: Tensor;
  /** y */
  readonly bellmanTargets: Tensor;
}

/** Unreduced: Σ_t w_t L_t is the caller's. */
export function qLearningLoss(tape: Tape, inputs: QLearningInputs, options: QLearningOptions): QLearningResult {
  const { qs, values, qLogps, logps } = inputs;
  const { tau, cqlScale, awacScale, awacBeta } = options;
  const bellmanTargets = bellmanTarget(tape, inputs, options.gamma);
  const targetQs = smallest(tape, inputs.targetQs);
  const qLosses = sumOf(
    tape,
    qs.map((q) => unary(tape, "square", sub(tape, q, bellmanTargets))),
  );
  const advantages = sub(tape, targetQs, values);
  const valueLosses = expectileLoss(tape, advantages, tau);
  const cqlLosses = qLogps.length > 0 ? affine(tape, sumOf(tape, qLogps), -1) : undefined;
  const weights = { ...boundedExp(tape, affine(tape, { ...advantages }, awacBeta)) };
  const policyLosses = logps && affine(tape, mul(tape, weights, logps), -1);
  let losses = add(tape, qLosses, valueLosses);
  if (cqlLosses) losses = add(tape, losses, affine(tape, cqlLosses, cqlScale));
  if (policyLosses) losses = add(tape, losses, affine(tape, policyLosses, awacScale));
  return { losses, qLosses, valueLosses, cqlLosses, policyLosses, targetQs, bellmanTargets };
}

/** |τ - 1(u < 0)| u². u (M) -> (M); the gradient is 2 |τ - 1(u < 0)| u. */
export function expectileLoss(tape: Tape, u: Tensor, tau: number): Tensor {
  const zeros = tape.constant(new Float32Array(u.shape[0] as number));
  const isNegative = { ...binary(tape, "greater", zeros, { ...u }) };
  return mul(tape, affine(tape, isNegative, 1 - 2 * tau, tau), unary(tape, "square", u));
}

/** r_t + γ V(s_{t+1}); the state after a row's last token is worth nothing. No gradient flows through it. (M) */
export function bellmanTarget(
  tape: Tape,
  { rewards, values, offsets }: Pick<QLearningInputs, "rewards" | "values" | "offsets">,
  gamma: number,
): Tensor {
  const count = rewards.shape[0] as number;
  const next = Uint32Array.from({ length: count }, (_, t) => Math.min(t + 1, count - 1));
  const continues = new Float32Array(count).fill(1);
  for (let s = 0; s + 1 < offsets.length; s++)
    if ((offsets[s + 1] as number) > (offsets[s] as number)) continues[(offsets[s + 1] as number) - 1] = 0;
  const nextValues = binary(tape, "keep", gather(tape, { ...values }, next), tape.constant(continues));
  return { ...add(tape, { ...rewards }, affine(tape, nextValues, gamma)) };
}

/** The smallest of several, elementwise, as a constant. */
function smallest(tape: Tape, tensors: readonly Tensor[]): Tensor {
  const detached = tensors.map((tensor) => ({ ...tensor }));
  return { ...detached.reduce((least, tensor) => binary(tape, "min", least, tensor)) };
}

function sumOf(tape: Tape, tensors: readonly Tensor[]): Tensor {
  return tensors.reduce((sum, tensor) => add(tape, sum, tensor));
}
