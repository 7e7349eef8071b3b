/** Reference of rotary position embedding. */
import { rope } from "../ops/rope";
import { implement } from "./implement";

export const ropeReference = [
  implement<"cos" | "sin" | "positions" | "x", "R" | "N" | "P" | "heads" | "D" | "direction">(
    rope.rotate,
    ({ cos, sin, positions, x }, { R, N, P, heads, D, direction }) => {
      for (let n = 0; n < N; n++) {
        for (let head = 0; head < heads; head++) {
          for (let i = 0; i < R; i++) {
            const low = n * P + head * D + i;
            const high = low + R;
            const c = cos[positions[n]! * R + i]!;
            const s = direction * sin[positions[n]! * R + i]!;
            const [a, b] = [x[low]!, x[high]!];
            x[low] = a * c - b * s;
            x[high] = b * c + a * s;
          }
        }
      }
    },
  ),
];
