/** Reference of rotary position embedding. */
import { rope } from "../ops/rope";
import { implement } from "./implement";

/** Turns pairs (i, i + R) of the D channels at x[at] by row `position` of the tables, in place. */
export function rotateHead(
  x: Float64Array,
  at: number,
  cos: Float64Array,
  sin: Float64Array,
  R: number,
  position: number,
  direction: number,
): void {
  for (let i = 0; i < R; i++) {
    const c = cos[position * R + i]!;
    const s = direction * sin[position * R + i]!;
    const [low, high] = [x[at + i]!, x[at + i + R]!];
    x[at + i] = low * c - high * s;
    x[at + i + R] = high * c + low * s;
  }
}

export const ropeReference = [
  implement<"cos" | "sin" | "positions" | "x", "R" | "N" | "P" | "heads" | "D" | "direction">(
    rope.rotate,
    ({ cos, sin, positions, x }, { R, N, P, heads, D, direction }) => {
      for (let n = 0; n < N; n++) {
        for (let head = 0; head < heads; head++) rotateHead(x, n * P + head * D, cos, sin, R, positions[n]!, direction);
      }
    },
  ),
];
