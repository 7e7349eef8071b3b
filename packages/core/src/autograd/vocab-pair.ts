/** Exact divergence of two distributions over the vocabulary, row by row, from hidden states and heads, without an (N, V) array. */
import { ops } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import type { Head } from "../nn/head";
import { allocate, type Tensor } from "../tensor/tensor";
import type { Tape } from "./tape";

/** Between 0 and 1, nearer to either than this, f32 cannot tell the mixture from its larger part. */
const SMALLEST_SHARE = 1e-6;

export interface VocabPair {
  /** p: where gradients go. `hidden` (N, C), `head` (V, C), whose gradient accumulates unless it is frozen; logits / temperature (default 1). */
  readonly learning: { readonly hidden: Tensor; readonly head: Pick<Head, "value" | "grad" | "softCap">; readonly temperature?: number };
  /** q: a constant. `hidden` (N, D), `head` (V, D) of another width if need be. */
  readonly fixed: { readonly hidden: Tensor; readonly head: Pick<Head, "value" | "softCap">; readonly temperature?: number };
  /** 0: KL(q || p). 1: KL(p || q). Between: the generalised Jensen-Shannon divergence. */
  readonly beta: number;
}

/**
 * Divergence of each row in nats, (N), with gradients to the learning side only. With p = softmax(hidden · headᵀ / temperature) of the
 * learning side, q of the fixed one, m = (1 - beta) p + beta q:
 *
 *   beta = 0: KL(q || p)   (TRPO's KL(old || new); forward KL from teacher to student)
 *   beta = 1: KL(p || q)   (the exact KL to a reference policy; reverse KL of distillation)
 *   between:  beta KL(q || m) + (1 - beta) KL(p || m)
 *
 * This is GKD's divergence (arXiv 2306.13649, eq. 1, with TRL's `generalized_jsd_loss` for the ends), student = learning. It is never
 * negative and keeps its digits where p and q nearly agree: its gradient is 0 at p = q, and smooth enough around it for a central
 * difference to give Fisher products. Throws ConfigError unless beta is 0, 1, or at least 1e-6 away from both.
 */
export function vocabPair(tape: Tape, { learning, fixed, beta }: VocabPair): Tensor {
  if (beta !== 0 && beta !== 1 && !(beta >= SMALLEST_SHARE && beta <= 1 - SMALLEST_SHARE)) {
    throw new ConfigError(`vocabPair: beta must be 0, 1, or at least ${SMALLEST_SHARE} from both, got ${beta}. Use 0 or 1 for a KL.`);
  }
  const rows = learning.hidden.shape[0] as number;
  const sides = { hidden: learning.hidden, head: learning.head.value, fixedHidden: fixed.hidden, fixedHead: fixed.head.value };
  const scalars = {
    inverse_temperature: 1 / (learning.temperature ?? 1),
    fixed_inverse_temperature: 1 / (fixed.temperature ?? 1),
    cap: learning.head.softCap ?? 0,
    fixed_cap: fixed.head.softCap ?? 0,
    beta,
  };
  const [divergence, centre, lse, fixedLse] = [tape.alloc([rows]), tape.alloc([rows]), tape.alloc([rows]), tape.alloc([rows])];
  tape.run(ops.vocabPair.forward, { ...sides, divergence, centre, lse, fixedLse }, scalars);
  tape.record([divergence], () => {
    const coefficients = allocate(tape.device, [rows, 4], "f32", "activations");
    tape.run(ops.vocabPair.coefficients, { ddivergence: tape.grad(divergence), centre, lse, fixedLse, coefficients });
    tape.addGrad(learning.hidden, (dhidden) =>
      tape.run(ops.vocabPair.backward, { coefficients, ...sides, dhidden, dhead: learning.head.grad }, scalars),
    );
    tape.device.free(coefficients.buffer);
  });
  return divergence;
}
