/** Reference of block-wise 8-bit numbers. */
import { blockwise, QUANTIZED_BLOCK } from "../ops/blockwise";
import { implement } from "./implement";

export const blockwiseReference = [
  implement<"x" | "codes" | "q" | "scales", "W" | "B">(blockwise.quantize, ({ x, codes, q, scales }, { W, B }) => {
    q.fill(0);
    for (let b = 0; b < B; b++) {
      const begin = b * QUANTIZED_BLOCK;
      const end = Math.min(4 * W, begin + QUANTIZED_BLOCK);
      let scale = 0;
      for (let n = begin; n < end; n++) {
        const value = x[n]!;
        if (Math.abs(value) > Math.abs(scale) || (value === -scale && value > 0)) scale = value;
      }
      scales[b] = scale;
      for (let n = begin; n < end; n++) {
        const code = nearest(codes, scale === 0 ? 0 : x[n]! / scale);
        q[n >>> 2]! += code * 2 ** (8 * (n & 3));
      }
    }
  }),
  implement<"q" | "scales" | "codes" | "x", "W">(blockwise.dequantize, ({ q, scales, codes, x }, { W }) => {
    for (let n = 0; n < 4 * W; n++) {
      const code = Math.floor(q[n >>> 2]! / 2 ** (8 * (n & 3))) % 256;
      x[n] = scales[Math.floor(n / QUANTIZED_BLOCK)]! * codes[code]!;
    }
  }),
];

/** Index of the nearest of ascending codes; of two equally near the smaller. */
function nearest(codes: Float64Array, value: number): number {
  let best = 0;
  while (best + 1 < codes.length && Math.abs(value - codes[best + 1]!) < Math.abs(value - codes[best]!)) best += 1;
  return best;
}
