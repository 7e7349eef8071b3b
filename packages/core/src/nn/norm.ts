/** Normalisation layers: RMS norm, layer norm, and the RMS norm of queries and keys. */
import { ops, UNARY_KINDS } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { type Parameter, scratchGrad } from "./parameters";

/** x (N, C), w (C) -> (N, C), y = (offset + w) x̂ */
export function rmsNorm(tape: Tape, x: Tensor, w: Parameter, eps: number, offset = 0): Tensor {
  const scale = shifted(tape, w, offset);
  const y = tape.alloc(x.shape);
  const rstd = tape.alloc([x.shape[0] as number]);
  tape.run(ops.rmsNorm.forward, { x, w: scale, y, rstd }, { eps });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    scratchGrad(tape, [w], ([dw]) => {
      tape.accumulateGrad(x, (dx, accumulate) => tape.run(ops.rmsNorm.backward, { dy, x, w: scale, rstd, dx, dw }, { accumulate }));
    });
  });
  return y;
}

/** x (N, C), w (C), b (C) -> (N, C) */
export function layerNorm(tape: Tape, x: Tensor, w: Parameter, b: Parameter, eps: number): Tensor {
  const rows = x.shape[0] as number;
  const y = tape.alloc(x.shape);
  const mean = tape.alloc([rows]);
  const rstd = tape.alloc([rows]);
  tape.run(ops.layerNorm.forward, { x, w: w.value, b: b.value, y, mean, rstd }, { eps });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    scratchGrad(tape, [w, b], ([dw, db]) => {
      tape.accumulateGrad(x, (dx, accumulate) =>
        tape.run(ops.layerNorm.backward, { dy, x, w: w.value, mean, rstd, dx, dw, db }, { accumulate }),
      );
    });
  });
  return y;
}

/** How many parts of a fused row are normed, and with what. */
export interface HeadNormOptions {
  /** Query parts and key parts: as many as heads, or one each. */
  readonly H: number;
  readonly K: number;
  readonly eps: number;
  readonly offset?: number | undefined;
}

/** RMS norm of each query part with wq (A) and each key part with wk (B); x (N, H A + 2 K B) -> same shape, y = (offset + w) x̂. */
export function headNorm(tape: Tape, x: Tensor, wq: Parameter, wk: Parameter, { H, K, eps, offset = 0 }: HeadNormOptions): Tensor {
  const [q, k] = [shifted(tape, wq, offset), shifted(tape, wk, offset)];
  const y = tape.alloc(x.shape);
  const rstd = tape.alloc([x.shape[0] as number, H + K]);
  tape.run(ops.headNorm.forward, { x, wq: q, wk: k, y, rstd }, { H, K, eps });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    scratchGrad(tape, [wq, wk], ([dwq, dwk]) => {
      tape.addGrad(x, (dx) => tape.run(ops.headNorm.backward, { dy, x, wq: q, wk: k, rstd, dx, dwq, dwk }, { H, K }));
    });
  });
  return y;
}

/** offset + w; its gradient is that of w. */
function shifted(tape: Tape, w: Parameter, offset: number): Tensor {
  if (offset === 0) return w.value;
  const y = tape.alloc(w.shape);
  tape.run(ops.unary.forward, { x: w.value, y }, { kind: UNARY_KINDS.affine, a: 1, b: offset });
  return y;
}
