/** Conformance of block-wise 8-bit numbers. */
import { blockwise } from "../../src/ops/blockwise";
import type { Case, InputContext, Values } from "../case";

const sizes: Values[] = [1, 3, 63, 64, 65, 1000].map((W) => ({ W, B: Math.ceil(W / 64), K: 256 }));

/** 256 ascending codes from -1 to 1 with a 0, closer together around it. */
const codes = Array.from({ length: 256 }, (_, i) =>
  i === 255 ? 1 : Math.sign(i - 127) * (Math.abs(i - 127) / 127) ** 2 * (i < 127 ? 1 : 0.99),
);

/** Values a tenth of the way from one code to the next, so that no rounding changes which is nearest; a block's largest is its scale. */
function unambiguous({ values, random }: InputContext): Float32Array {
  const scales = [2.5, -0.75, 0, 3e-6];
  return Float32Array.from({ length: 4 * values.W! }, (_, n) => {
    const scale = scales[Math.floor(n / 256) % scales.length]!;
    if (n % 256 === 0) return scale;
    const code = 1 + Math.floor(random.uniform() * 253);
    return scale * (codes[code]! + 0.1 * (codes[code + 1]! - codes[code]!));
  });
}

const exact = { atol: 0, rtol: 1e-6, reason: "a product of two numbers" };

export const blockwiseCases: Case[] = [
  {
    entry: blockwise.quantize,
    name: "",
    sizes,
    inputs: (context) => ({ codes, x: unambiguous(context) }),
    tolerance: { q: { atol: 0, rtol: 0, reason: "indices" }, scales: { atol: 0, rtol: 0, reason: "one of the values" } },
  },
  {
    entry: blockwise.dequantize,
    name: "",
    sizes,
    inputs: (context) => {
      const { values, compute } = context;
      const { q, scales } = compute(blockwise.quantize, { codes, x: unambiguous(context) }, values) as {
        q: Float64Array;
        scales: Float64Array;
      };
      return { codes, q: Uint32Array.from(q), scales };
    },
    tolerance: exact,
  },
];
