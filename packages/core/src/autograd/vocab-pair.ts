/** Exact divergence of two distributions over the vocabulary, row by row, from hidden states and heads, without an (N, V) array. */
import { ops } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import type { Head } from "../nn/head";
import { allocate, type Tensor, windowOf } from "../tensor/tensor";
import type { TablePart } from "../tensor/token-table";
import type { Tape } from "./tape";
import { computeLogprobs } from "./token-logprob";

/** Between 0 and 1, nearer to either than this, f32 cannot tell the mixture from its larger part. */
const SMALLEST_SHARE = 1e-6;

/** A distribution over the vocabulary a row: softmax(hidden · headᵀ / temperature). */
export interface VocabSide {
  /** (N, C) */
  readonly hidden: Tensor;
  /** (V, C) */
  readonly head: Head;
  /** Default 1. */
  readonly temperature?: number | undefined;
}

export interface VocabPair {
  /** p: where gradients go; the head's accumulates unless it is frozen. */
  readonly learning: VocabSide;
  /** q: a constant, of another width if need be. */
  readonly fixed: VocabSide;
  /** 0: KL(q || p). 1: KL(p || q). Between: the generalised Jensen-Shannon divergence. */
  readonly beta: number;
}

/**
 * Divergence of each row in nats, (N), with gradients to the learning side only. With p = softmax(hidden · headᵀ / temperature) of the
 * learning side, q of the fixed one, m = (1 - beta) p + beta q:
 *
 *   beta = 0: KL(q || p)   (TRPO's KL(old || new); forward KL from teacher to student)
 *   beta = 1: KL(p || q)   (the exact KL to a reference policy; reverse KL of distillation)
 *   between:  beta KL(q || m) + (1 - beta) KL(p || m)
 *
 * This is GKD's divergence (arXiv 2306.13649, eq. 1, with TRL's `generalized_jsd_loss` for the ends), student = learning. It is never
 * negative and keeps its digits where p and q nearly agree: its gradient is 0 at p = q, and smooth enough around it for a central
 * difference to give Fisher products. Throws ConfigError unless beta is 0, 1, or at least 1e-6 away from both.
 */
export function vocabPair(tape: Tape, { learning, fixed, beta }: VocabPair): Tensor {
  if (beta !== 0 && beta !== 1 && !(beta >= SMALLEST_SHARE && beta <= 1 - SMALLEST_SHARE)) {
    throw new ConfigError(`vocabPair: beta must be 0, 1, or at least ${SMALLEST_SHARE} from both, got ${beta}. Use 0 or 1 for a KL.`);
  }
  const rows = learning.hidden.shape[0] as number;
  const pieces = commonPieces(learning.head, fixed.head);
  const hiddens = { hidden: learning.hidden, fixedHidden: fixed.hidden };
  const scalars = {
    inverse_temperature: 1 / (learning.temperature ?? 1),
    fixed_inverse_temperature: 1 / (fixed.temperature ?? 1),
    cap: learning.head.softCap ?? 0,
    fixed_cap: fixed.head.softCap ?? 0,
    beta,
  };
  const { divergence, centre, lse, fixedLse } = compute(tape, learning, fixed, pieces, scalars);
  tape.record([divergence], () => {
    const coefficients = allocate(tape.device, [rows, 4], "f32", "activations");
    tape.run(ops.vocabPair.coefficients, { ddivergence: tape.grad(divergence), centre, lse, fixedLse, coefficients });
    for (const { head, fixedHead, dhead } of pieces) {
      tape.addGrad(learning.hidden, (dhidden) =>
        tape.run(ops.vocabPair.backward, { coefficients, ...hiddens, head, fixedHead, dhidden, dhead }, scalars),
      );
    }
    tape.device.free(coefficients.buffer);
  });
  return divergence;
}

/** The forward pass: of heads in parts, first both sides' lse and then the sums, piece by piece. */
function compute(tape: Tape, learning: VocabSide, fixed: VocabSide, pieces: readonly Piece[], scalars: Readonly<Record<string, number>>) {
  const rows = learning.hidden.shape[0] as number;
  const hiddens = { hidden: learning.hidden, fixedHidden: fixed.hidden };
  const [divergence, centre] = [tape.alloc([rows]), tape.alloc([rows])];
  const [only] = pieces as readonly [Piece];
  if (pieces.length === 1) {
    const results = { divergence, centre, lse: tape.alloc([rows]), fixedLse: tape.alloc([rows]) };
    tape.run(ops.vocabPair.forward, { ...hiddens, head: only.head, fixedHead: only.fixedHead, ...results }, scalars);
    return results;
  }
  const results = { divergence, centre, lse: logSumExps(tape, learning), fixedLse: logSumExps(tape, fixed) };
  for (const { head, fixedHead, firstRow } of pieces) {
    tape.run(ops.vocabPair.sums, { ...hiddens, head, fixedHead, ...results }, { ...scalars, first: firstRow });
  }
  return results;
}

/** The same tokens of both heads. */
interface Piece {
  /** (tokens, C) and (tokens, D) */
  readonly head: Tensor;
  readonly fixedHead: Tensor;
  readonly dhead: Tensor | undefined;
  readonly firstRow: number;
}

/** Both heads cut wherever either is: one piece where neither is in parts. */
function commonPieces({ parts }: Head, { parts: fixedParts }: Head): Piece[] {
  const endOf = ({ firstRow, value }: TablePart) => firstRow + (value.shape[0] as number);
  const rowsOf = (tensor: Tensor, from: number, count: number) => {
    const width = tensor.shape[1] as number;
    return count === tensor.shape[0] ? tensor : windowOf(tensor, from * width, [count, width]);
  };
  return parts.flatMap((part) =>
    fixedParts.flatMap((fixed): Piece[] => {
      const firstRow = Math.max(part.firstRow, fixed.firstRow);
      const count = Math.min(endOf(part), endOf(fixed)) - firstRow;
      if (count <= 0) return [];
      const own = (tensor: Tensor) => rowsOf(tensor, firstRow - part.firstRow, count);
      return [
        {
          head: own(part.value),
          fixedHead: rowsOf(fixed.value, firstRow - fixed.firstRow, count),
          dhead: part.grad && own(part.grad),
          firstRow,
        },
      ];
    }),
  );
}

/** log Σ exp of a side's logits, (N). */
function logSumExps(tape: Tape, { hidden, head, temperature = 1 }: VocabSide): Tensor {
  const anyTargets = tape.constant(new Uint32Array(hidden.shape[0] as number));
  return computeLogprobs(tape, hidden, head, anyTargets, temperature).lse;
}
