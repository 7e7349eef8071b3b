/** The likeliest tokens of a position. */
import type { TokenLogprob } from "./options";

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
