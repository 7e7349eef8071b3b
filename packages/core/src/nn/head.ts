/** The output head of a language model: its weights, and the cap on its logits where it has one. */
import { unary } from "../autograd/elementwise";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";
import { linear } from "./linear";
import type { Parameter } from "./parameters";

export interface Head extends Parameter {
  /** Logits become cap · tanh(logit / cap); undefined is no cap. */
  readonly softCap?: number | undefined;
}

/** hidden (N, C), head (V, C) -> logits (N, V): an array over the vocabulary, for the few positions of a decoding step. */
export function logits(tape: Tape, hidden: Tensor, head: Head): Tensor {
  const raw = linear(tape, hidden, head, { kind: "logits" });
  return head.softCap === undefined ? raw : unary(tape, "soft_cap", raw, head.softCap);
}
