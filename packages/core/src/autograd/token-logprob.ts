/** Log-probability, entropy and log-sum-exp of target tokens from hidden states, without an (N, V) array. */
import { ops } from "@trimtab/kernels";
import type { Head } from "../nn/head";
import { allocate, type Tensor } from "../tensor/tensor";
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
export function tokenLogprob(
  tape: Tape,
  hidden: Tensor,
  head: Pick<Head, "value" | "grad" | "softCap">,
  targets: Tensor,
  temperature = 1,
): TokenLogprobs {
  const rows = hidden.shape[0] as number;
  const scalars = { inverse_temperature: 1 / temperature, cap: head.softCap ?? 0 };
  const [logp, entropy, lse, hit] = [tape.alloc([rows]), tape.alloc([rows]), tape.alloc([rows]), tape.alloc([rows])];
  tape.run(ops.tokenLogprob.forward, { hidden, head: head.value, targets, logp, entropy, lse, hit }, scalars);
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
    tape.addGrad(hidden, (dhidden) =>
      tape.run(ops.tokenLogprob.backward, { coefficients, hidden, head: head.value, targets, dhidden, dhead: head.grad }, scalars),
    );
    tape.device.free(coefficients.buffer);
  });
  return { logp, entropy, lse, hit };
}
