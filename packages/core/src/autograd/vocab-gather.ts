/** The value of one token a row under a head over the vocabulary, without the other tokens' values. */
import { ops } from "@trimtab/kernels";
import type { Tensor } from "../tensor/tensor";
import type { TablePart, TokenTable } from "../tensor/token-table";
import { mul } from "./elementwise";
import { type RowIndex, tableRows } from "./gather";
import { reshaped } from "./reshape";
import { segmentSum } from "./segment";
import type { Tape } from "./tape";

export interface VocabGather {
  /** (N, C) */
  readonly hidden: Tensor;
  /** (V, C); its gradient accumulates unless it is frozen. */
  readonly head: TokenTable;
  /** One token a row, (N): `rowIndex(tape, targets)`, which several heads may share. */
  readonly targets: RowIndex;
}

/**
 * y[n] = hidden[n] · head[targets[n]], (N): Q(s, a) of ILQL's heads. The gradient of a head's row is summed by one writer in a fixed order.
 * Where log-probabilities of the same head are wanted as well, `tokenLogprob` gives both: y = logp + lse.
 */
export function vocabGather(tape: Tape, { hidden, head, targets }: VocabGather): Tensor {
  if (head.parts.length > 1) return gatheredDots(tape, hidden, tableRows(tape, head, targets));
  const { value, grad } = head.parts[0] as TablePart;
  const y = tape.alloc([hidden.shape[0] as number]);
  tape.run(ops.vocabGather.forward, { hidden, head: value, targets: targets.ids, y });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    tape.addGrad(hidden, (dhidden) => tape.run(ops.vocabGather.backwardHidden, { dy, head: value, targets: targets.ids, dhidden }));
    if (grad) tape.run(ops.vocabGather.backwardHead, { dy, hidden, ...targets.sorted, dhead: grad });
  });
  return y;
}

/** x and y (N, C) -> x[n] · y[n], (N). */
function gatheredDots(tape: Tape, x: Tensor, y: Tensor): Tensor {
  const [rows, width] = x.shape as [number, number];
  const offsets = tape.constant(Uint32Array.from({ length: rows + 1 }, (_, n) => n * width));
  return segmentSum(tape, reshaped(tape, mul(tape, x, y), [rows * width]), offsets);
}
