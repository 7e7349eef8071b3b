/** Row lookup, for token embeddings, learned positions, and picking hidden rows. */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Parameter } from "./parameters";

/** Token ids with their sorted index on the device; the index is made only for a recording tape. */
export interface RowIndex {
  /** u32 (N) */
  readonly ids: Tensor;
  /** For the backward pass: which positions use which row. */
  readonly sorted: { readonly order: Tensor; readonly rows: Tensor; readonly starts: Tensor } | undefined;
}

/** Uploads ids, and where the tape records, the positions sorted by id (a stable counting order, so gradients have one order). */
export function rowIndex(tape: Tape, ids: Uint32Array): RowIndex {
  const uploaded = tape.constant(ids);
  if (!tape.recording) return { ids: uploaded, sorted: undefined };
  const order = Uint32Array.from(ids.keys()).sort((a, b) => (ids[a] as number) - (ids[b] as number) || a - b);
  const rows: number[] = [];
  const starts: number[] = [];
  order.forEach((position, i) => {
    const id = ids[position] as number;
    if (rows.at(-1) === id) return;
    rows.push(id);
    starts.push(i);
  });
  starts.push(order.length);
  return {
    ids: uploaded,
    sorted: { order: tape.constant(order), rows: tape.constant(Uint32Array.from(rows)), starts: tape.constant(Uint32Array.from(starts)) },
  };
}

/** table (V, C), ids (N) -> (N, C) */
export function embedding(tape: Tape, table: Parameter, index: RowIndex): Tensor {
  const y = tape.alloc([index.ids.shape[0] as number, table.shape[1] as number]);
  tape.run(ops.embedding.forward, { table: table.value, ids: index.ids, y });
  tape.record([y], () => {
    if (table.grad) tape.run(ops.embedding.backward, { dy: tape.grad(y), ...index.sorted, dtable: table.grad });
  });
  return y;
}

/** Rows of x (N, C) by index -> (M, C). */
export function gatherRows(tape: Tape, x: Tensor, index: RowIndex): Tensor {
  const y = tape.alloc([index.ids.shape[0] as number, x.shape[1] as number]);
  tape.run(ops.embedding.forward, { table: x, ids: index.ids, y });
  tape.record([y], () => {
    tape.run(ops.embedding.backward, { dy: tape.grad(y), ...index.sorted, dtable: tape.gradOrZero(x) });
  });
  return y;
}
