/** Log-probability, entropy and log-sum-exp of target tokens from hidden states, without an (N, V) array. */
import { ops } from "@trimtab/kernels";
import type { Head } from "../nn/head";
import { allocate, type Tensor } from "../tensor/tensor";
import type { TablePart } from "../tensor/token-table";
import type { Tape } from "./tape";

export interface TokenLogprobs {
  /** log p(target), (N) */
  readonly logp: Tensor;
  /** Entropy of the whole distribution in nats, (N) */
  readonly entropy: Tensor;
  /** log Σ exp(logits / temperature), (N) */
  readonly lse: Tensor;
  /** 1 where the target is the most likely token, else 0; no gradient. (N) */
  readonly hit: Tensor;
}

/** hidden (N, C), head (V, C), targets u32 (N) -> each (N). Gradients may arrive at logp, entropy and lse. */
export function tokenLogprob(tape: Tape, hidden: Tensor, head: Head, targets: Tensor, temperature = 1): TokenLogprobs {
  const rows = hidden.shape[0] as number;
  const scalars = { inverse_temperature: 1 / temperature, cap: head.softCap ?? 0 };
  const results = computeLogprobs(tape, hidden, head, targets, temperature);
  const { logp, entropy, lse } = results;
  tape.record([logp, entropy, lse], () => {
    const coefficients = allocate(tape.device, [rows, 4], "f32", "activations");
    tape.run(ops.tokenLogprob.coefficients, {
      dlogp: tape.gradOrZero(logp),
      dentropy: tape.grad(entropy),
      dlse: tape.grad(lse),
      entropy,
      lse,
      coefficients,
    });
    for (const { value, grad, firstRow } of head.parts) {
      const inputs = { coefficients, hidden, head: value, targets, dhead: grad };
      tape.addGrad(hidden, (dhidden) => tape.run(ops.tokenLogprob.backward, { ...inputs, dhidden }, { ...scalars, first: firstRow }));
    }
    tape.device.free(coefficients.buffer);
  });
  return results;
}

/** The forward pass alone, by parts of the head where it has several. */
export function computeLogprobs(tape: Tape, hidden: Tensor, head: Head, targets: Tensor, temperature: number): TokenLogprobs {
  const rows = hidden.shape[0] as number;
  const scalars = { inverse_temperature: 1 / temperature, cap: head.softCap ?? 0 };
  const results = { logp: tape.alloc([rows]), entropy: tape.alloc([rows]), lse: tape.alloc([rows]), hit: tape.alloc([rows]) };
  const [first] = head.parts as readonly [TablePart];
  if (head.parts.length === 1) {
    tape.run(ops.tokenLogprob.forward, { hidden, head: first.value, targets, ...results }, scalars);
    return results;
  }
  const statistics = allocate(tape.device, [rows, 4], "f32", "activations");
  for (const { value, firstRow } of head.parts) {
    tape.run(ops.tokenLogprob.statistics, { hidden, head: value, targets, statistics }, { ...scalars, first: firstRow });
  }
  tape.run(ops.tokenLogprob.results, { statistics, ...results });
  tape.device.free(statistics.buffer);
  return results;
}
