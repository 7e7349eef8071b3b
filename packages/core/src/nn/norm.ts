/** Normalisation layers: RMS norm, layer norm, and the per-head norm of Qwen3. */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { type Parameter, scratchGrad } from "./parameters";

/** x (N, C), w (C) -> (N, C) */
export function rmsNorm(tape: Tape, x: Tensor, w: Parameter, eps: number): Tensor {
  const y = tape.alloc(x.shape);
  const rstd = tape.alloc([x.shape[0] as number]);
  tape.run(ops.rmsNorm.forward, { x, w: w.value, y, rstd }, { eps });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    scratchGrad(tape, [w], ([dw]) => {
      tape.addGrad(x, (dx) => tape.run(ops.rmsNorm.backward, { dy, x, w: w.value, rstd, dx, dw }));
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
      tape.addGrad(x, (dx) => tape.run(ops.layerNorm.backward, { dy, x, w: w.value, mean, rstd, dx, dw, db }));
    });
  });
  return y;
}

/** RMS norm of each query head with wq (D) and each key head with wk (D); x (N, (H + 2 K) D) -> same shape. */
export function headNorm(tape: Tape, x: Tensor, wq: Parameter, wk: Parameter, heads: { H: number; K: number }, eps: number): Tensor {
  const { H, K } = heads;
  const y = tape.alloc(x.shape);
  const rstd = tape.alloc([x.shape[0] as number, H + K]);
  tape.run(ops.headNorm.forward, { x, wq: wq.value, wk: wk.value, y, rstd }, { H, K, eps });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    scratchGrad(tape, [wq, wk], ([dwq, dwk]) => {
      tape.addGrad(x, (dx) => tape.run(ops.headNorm.backward, { dy, x, wq: wq.value, wk: wk.value, rstd, dx, dwq, dwk }, { H, K }));
    });
  });
  return y;
}
