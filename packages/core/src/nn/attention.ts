/** Rotary positions and causal attention on fused rows [query heads | key heads | value heads]. */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Tensor } from "../tensor/tensor";

export interface HeadLayout {
  /** Query heads, key/value heads, channels per head. */
  readonly H: number;
  readonly K: number;
  readonly D: number;
}

/** Heads, and the scores they make. */
export interface AttentionShape extends HeadLayout {
  /** Of q · k. */
  readonly scale: number;
  /** Scores become cap · tanh(score / cap); 0 is no cap. */
  readonly cap: number;
  /** Rows that a row sees, itself included; 0 is all of its sequence. */
  readonly window: number;
}

/** By which angles the rows of a batch turn. */
export interface Rotation {
  /** (T, R) */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** u32 (N), rows of the tables. */
  readonly positions: Tensor;
}

/** Rotates the first 2 R channels of the query and key heads of qkv (N, (H + 2 K) D) in place; without a rotation nothing turns. */
export function rope(tape: Tape, qkv: Tensor, rotation: Rotation | undefined, { H, K, D }: HeadLayout): void {
  if (!rotation) return;
  const scalars = { heads: H + K, D };
  const { cos, sin, positions } = rotation;
  tape.run(ops.rope.rotate, { cos, sin, positions, x: qkv }, { ...scalars, direction: 1 });
  tape.record([qkv], () => {
    tape.run(ops.rope.rotate, { cos, sin, positions, x: tape.grad(qkv) }, { ...scalars, direction: -1 });
  });
}

/** Causal attention within each ragged row; qkv (N, (H + 2 K) D), offsets u32 (S + 1) -> (N, H D). */
export function attention(tape: Tape, qkv: Tensor, offsets: Tensor, shape: AttentionShape): Tensor {
  const rows = qkv.shape[0] as number;
  const { H, K, D, scale, cap, window } = shape;
  const scalars = { S: (offsets.shape[0] as number) - 1, H, K, D, scale, cap, window };
  const o = tape.alloc([rows, H * D]);
  const lse = tape.alloc([rows, H]);
  tape.run(ops.attention.forward, { qkv, offsets, o, lse }, scalars);
  tape.record([o], () => {
    const dO = tape.grad(o) as Tensor;
    tape.addGrad(qkv, (dqkv) => tape.run(ops.attention.backward, { do: dO, qkv, o, lse, offsets, dqkv }, scalars));
  });
  return o;
}
