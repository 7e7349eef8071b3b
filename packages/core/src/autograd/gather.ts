/** Differentiable lookup by row number, with repetitions: the gradient of a row is summed by one writer in a fixed order. */
import { ops } from "@trimtab/kernels";
import { reshape, type Tensor } from "../tensor/tensor";
import type { TokenTable } from "../tensor/token-table";
import type { Tape } from "./tape";

/** Row numbers with their sorted index on the device; the index is made only for a recording tape. */
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
  const { order, rows, starts } = countingSort(ids);
  return {
    ids: uploaded,
    sorted: { order: tape.constant(order), rows: tape.constant(rows), starts: tape.constant(starts) },
  };
}

/** The positions of `ids`, those of one id side by side and in their order; the distinct ids `rows` (U), and where each begins, `starts` (U + 1). */
function countingSort(ids: Uint32Array): { order: Uint32Array; rows: Uint32Array; starts: Uint32Array } {
  const most = ids.reduce((largest, id) => Math.max(largest, id), 0);
  /** Where the next position of an id goes, at first that of the id itself. */
  const next = new Uint32Array(most + 2);
  for (const id of ids) next[id + 1] = (next[id + 1] as number) + 1;
  const rows: number[] = [];
  const starts: number[] = [];
  for (let id = 0; id <= most; id++) {
    const [begin, count] = [next[id] as number, next[id + 1] as number];
    next[id + 1] = begin + count;
    if (count === 0) continue;
    rows.push(id);
    starts.push(begin);
  }
  const order = new Uint32Array(ids.length);
  ids.forEach((id, position) => {
    order[next[id] as number] = position;
    next[id] = (next[id] as number) + 1;
  });
  return { order, rows: Uint32Array.from(rows), starts: Uint32Array.from([...starts, ids.length]) };
}

/** Rows of a table (V, C) by index -> (M, C): embeddings. A gradient goes to those parts of the table that are trained. */
export function tableRows(tape: Tape, { parts }: TokenTable, index: RowIndex): Tensor {
  const y = tape.alloc([index.ids.shape[0] as number, parts[0]?.value.shape[1] as number]);
  for (const { value, firstRow } of parts) tape.run(ops.embedding.forward, { table: value, ids: index.ids, y }, { first: firstRow });
  tape.record([y], () => {
    const dy = tape.grad(y) as Tensor;
    for (const { grad, firstRow } of parts) {
      if (grad) tape.run(ops.embedding.backward, { dy, ...index.sorted, dtable: grad }, { first: firstRow });
    }
  });
  return y;
}

/** Rows of x (N, C) by index -> (M, C). */
export function gatherRows(tape: Tape, x: Tensor, index: RowIndex): Tensor {
  const y = tape.alloc([index.ids.shape[0] as number, x.shape[1] as number]);
  tape.run(ops.embedding.forward, { table: x, ids: index.ids, y }, WHOLE);
  tape.record([y], () => {
    tape.run(ops.embedding.backward, { dy: tape.grad(y), ...index.sorted, dtable: tape.gradOrZero(x) }, WHOLE);
  });
  return y;
}

/** x (N), index u32 (M) -> y (M), y[m] = x[index[m]]; an index may repeat or be left out. Throws ShapeError when x has more than one axis. */
export function gather(tape: Tape, x: Tensor, index: Uint32Array): Tensor {
  const y = tape.alloc([index.length]);
  const { ids, sorted } = rowIndex(tape, index);
  tape.run(ops.embedding.forward, { table: column(x), ids, y: column(y) }, WHOLE);
  tape.record([y], () => {
    const dy = column(tape.grad(y) as Tensor);
    tape.run(ops.embedding.backward, { dy, ...sorted, dtable: column(tape.gradOrZero(x)) }, WHOLE);
  });
  return y;
}

/** A table that is no part of a larger one. */
const WHOLE = { first: 0 };

/** (N) -> (N, 1) */
const column = (x: Tensor): Tensor => reshape(x, [x.shape[0] as number, 1]);
