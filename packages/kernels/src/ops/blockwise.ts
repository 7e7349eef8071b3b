/**
 * Block-wise 8-bit numbers (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"): blocks of 256 consecutive values share a scale, and
 * each value is the index of the nearest of K ascending codes in [-1, 1].
 *
 * The scale is the value of largest magnitude with its sign (the positive one where both signs have it), so that it has code 1 and what has been
 * quantized once is left as it is, bit for bit, when it is quantized again. The last block may be shorter.
 */
import { defineOp } from "../contract";

/** Values of a block. */
export const QUANTIZED_BLOCK = 256;

export const blockwise = defineOp({
  /** q holds four indices a word, the first lowest; of two codes equally near the smaller is taken. B = ⌈4 W / 256⌉. */
  quantize: {
    name: "blockwise_quantize",
    in: { x: "(4 * W)", codes: "(K)" },
    out: { q: "u32 (W)", scales: "(B)" },
    flops: ({ W }) => 40 * W,
  },
  /** x = scale · code */
  dequantize: {
    name: "blockwise_dequantize",
    in: { q: "u32 (W)", scales: "(B)", codes: "(K)" },
    out: { x: "(4 * W)" },
    flops: ({ W }) => 4 * W,
  },
});
