/** The likeliest tokens beside those drawn, for rows that report them: their logits are read back and looked through on the host. */
import { gatherRows, rowIndex } from "../autograd/gather";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import type { TokenLogprob } from "./options";
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

/** The `count` likeliest tokens of logits (V), the likeliest first, of equals the lower id; `drawn` is a token whose log-probability is known. */
export function likeliest(logits: Float32Array, count: number, temperature: number, drawn: TokenLogprob): TokenLogprob[] {
  const logitOf = (token: number) => logits[token] as number;
  const top: number[] = [];
  for (let token = 0; token < logits.length; token++) {
    if (top.length === count && logitOf(token) <= logitOf(top[count - 1] as number)) continue;
    const at = top.findIndex((other) => logitOf(token) > logitOf(other));
    top.splice(at < 0 ? top.length : at, 0, token);
    if (top.length > count) top.pop();
  }
  // Differences of log-probabilities are those of logits over the temperature; greedy rows report softmax(logits).
  return top.map((token) => ({ token, logp: drawn.logp + (logitOf(token) - logitOf(drawn.token)) / (temperature || 1) }));
}
