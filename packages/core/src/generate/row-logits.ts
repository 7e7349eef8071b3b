/** Logits of the rows that report the likeliest tokens beside those drawn: they are read back, and looked through on the host. */
import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { Row } from "./row";

/** logits (R, V) -> those of the rows that report likely tokens, (V) each. */
export async function readLogits(tape: Tape, logits: Tensor, rows: readonly Row[]): Promise<ReadonlyMap<Row, Float32Array>> {
  const asking = rows.filter(({ sampling }) => sampling.topLogprobs > 0);
  if (asking.length === 0) return new Map();
  const width = logits.shape[1] as number;
  const index = Uint32Array.from(asking, (row) => rows.indexOf(row));
  const data = (await tape.device.read(gatherRows(tape, logits, rowIndex(tape, index)))) as Float32Array;
  return new Map(asking.map((row, i) => [row, data.subarray(i * width, (i + 1) * width)]));
}
