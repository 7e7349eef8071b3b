/** What a policy objective gives back: where gradients enter the tape, and sums for the metrics of the step. */
import { BINARY_KINDS, ops } from "@trimtab/kernels";
import type { Tape } from "../../autograd/tape";
import type { Tensor } from "../../tensor/tensor";
import type { Roots } from "../objective";

export interface PolicyResult {
  readonly roots: Roots;
  /** Σ w_t (L_t + β KL_t): this micro-batch's share of the step's loss. (1) */
  readonly loss: Tensor;
  /** Σ KL_t, with its importance ratio where that is a factor; only with a reference. (1) */
  readonly kl?: Tensor | undefined;
  /** VESPO: Σ_s φ_s. (1) */
  readonly phi?: Tensor | undefined;
}

/** Σ x_t y_t (1), for the metrics: no gradient flows through it. */
export function dotProduct(tape: Tape, x: Tensor, y: Tensor): Tensor {
  const z = tape.alloc(x.shape);
  tape.run(ops.binary.forward, { x, y, z }, { kind: BINARY_KINDS.mul });
  return sumOf(tape, z);
}

/** Σ x_t (1), for the metrics: no gradient flows through it. */
export function sumOf(tape: Tape, x: Tensor): Tensor {
  const y = tape.alloc([1]);
  tape.run(ops.segment.sum, { x, offsets: tape.constant(Uint32Array.of(0, x.shape[0] as number)), y });
  return y;
}
