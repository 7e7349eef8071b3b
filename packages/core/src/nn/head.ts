/** The output head of a language model: its weights, and the cap on its logits where it has one. */
import { ops } from "@trimtab/kernels";
import { unary } from "../autograd/elementwise";
import type { Tape } from "../autograd/tape";
import { allocate, type Tensor } from "../tensor/tensor";
import type { TablePart, TokenTable } from "../tensor/token-table";
import { linear } from "./linear";

export interface Head extends TokenTable {
  /** Logits become cap · tanh(logit / cap); undefined is no cap. */
  readonly softCap?: number | undefined;
}

/** hidden (N, C), head (V, C) -> logits (N, V): an array over the vocabulary, for the few positions of a decoding step. */
export function logits(tape: Tape, hidden: Tensor, { parts, softCap }: Head): Tensor {
  const [first] = parts as readonly [TablePart];
  const raw = parts.length === 1 ? linear(tape, hidden, first, { kind: "logits" }) : joinedLogits(tape, hidden, parts);
  return softCap === undefined ? raw : unary(tape, "soft_cap", raw, softCap);
}

/** The logits of each part in its columns; one part's are held apart at a time. */
function joinedLogits(tape: Tape, hidden: Tensor, parts: readonly TablePart[]): Tensor {
  const { device } = tape;
  const rows = hidden.shape[0] as number;
  const y = tape.alloc([rows, parts.reduce((sum, { value }) => sum + (value.shape[0] as number), 0)], "f32", "logits");
  const withColumns = (part: TablePart, use: (own: Tensor) => void) => {
    const own = allocate(device, [rows, part.value.shape[0] as number], "f32", "logits");
    use(own);
    device.free(own.buffer);
  };
  for (const part of parts) {
    withColumns(part, (own) => {
      tape.run(ops.matmul.forward, { x: hidden, w: part.value, y: own });
      tape.run(ops.columns.place, { x: own, y }, { first: part.firstRow });
    });
  }
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    for (const part of parts) {
      withColumns(part, (own) => {
        tape.run(ops.columns.take, { x: dy, y: own }, { first: part.firstRow });
        if (part.grad) tape.run(ops.matmul.backwardWeight, { dy: own, x: hidden, dw: part.grad });
        tape.addGrad(hidden, (dx) => tape.run(ops.matmul.backwardInput, { dy: own, w: part.value, dx }));
      });
    }
  });
  return y;
}
