/** Matrices with a row for each token of the vocabulary, in as many parts as the device's buffers demand: embeddings and heads. */
import type { Tensor } from "./tensor";

/** Consecutive rows of a table. */
export interface TablePart {
  /** (rows, C) */
  readonly value: Tensor;
  /** Where its gradient accumulates; undefined where it is frozen. */
  readonly grad?: Tensor | undefined;
  /** What its first row is in the table: a multiple of 64. */
  readonly firstRow: number;
}

/** A matrix (V, C): a parameter, or whatever else has parts. */
export interface TokenTable {
  /** In the order of their rows: at least one, mostly no more. */
  readonly parts: readonly TablePart[];
}

/** A matrix (V, C) in one part. */
export const tableOf = (value: Tensor, grad?: Tensor): TokenTable => ({ parts: [{ value, grad, firstRow: 0 }] });
