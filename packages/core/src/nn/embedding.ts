/** Row lookup in a table of parameters: token embeddings and learned positions. */
import { ops } from "@trimtab/kernels";
import type { RowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Parameter } from "./parameters";

/** table (V, C), ids (N) -> (N, C) */
export function embedding(tape: Tape, table: Parameter, index: RowIndex): Tensor {
  const y = tape.alloc([index.ids.shape[0] as number, table.shape[1] as number]);
  tape.run(ops.embedding.forward, { table: table.value, ids: index.ids, y });
  tape.record([y], () => {
    if (table.grad) tape.run(ops.embedding.backward, { dy: tape.grad(y), ...index.sorted, dtable: table.grad });
  });
  return y;
}
