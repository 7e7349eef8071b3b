/** The value of one token a row under a head over the vocabulary, without the other tokens' values. */
import { ops } from "@trimtab/kernels";
import type { Parameter } from "../nn/parameters";
import type { Tensor } from "../tensor/tensor";
import type { RowIndex } from "./gather";
import type { Tape } from "./tape";

export interface VocabGather {
  /** (N, C) */
  readonly hidden: Tensor;
  /** (V, C); its gradient accumulates unless it is frozen. */
  readonly head: Pick<Parameter, "value" | "grad">;
  /** One token a row, (N): `rowIndex(tape, targets)`, which several heads may share. */
  readonly targets: RowIndex;
}

/**
 * y[n] = hidden[n] · head[targets[n]], (N): Q(s, a) of ILQL's heads. The gradient of a head's row is summed by one writer in a fixed order.
 * Where log-probabilities of the same head are wanted as well, `tokenLogprob` gives both: y = logp + lse.
 */
export function vocabGather(tape: Tape, { hidden, head, targets }: VocabGather): Tensor {
  const y = tape.alloc([hidden.shape[0] as number]);
  tape.run(ops.vocabGather.forward, { hidden, head: head.value, targets: targets.ids, y });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    tape.addGrad(hidden, (dhidden) => tape.run(ops.vocabGather.backwardHidden, { dy, head: head.value, targets: targets.ids, dhidden }));
    if (head.grad) tape.run(ops.vocabGather.backwardHead, { dy, hidden, ...targets.sorted, dhead: head.grad });
  });
  return y;
}
