/** Conformance of linear layers over packed weights, in every format. */
import { packedWeight } from "../../src/ops/packed-weight";
import { codeWords, packedRowWords, WEIGHT_FORMATS, type WeightFormat } from "../../src/weight-formats";
import type { Case, InputContext, StatedTolerance, Values } from "../case";
import type { GradientCheck } from "../gradient";
import type { Random } from "../random";

/** Rows of codes drawn over the format's whole range, and scales; every float is finite. */
export function packedRows(format: WeightFormat, rows: number, columns: number, random: Pick<Random, "integer" | "uniform">): Uint32Array {
  const { bits, blockLength, levels, name, zero } = format;
  const words = packedRowWords(format, columns);
  const perWord = 32 / bits;
  const packed = new Uint32Array(rows * words);
  const asFloats = new Float32Array(packed.buffer);
  const codeOf = (): number => {
    if (levels) return random.integer(levels.length);
    if (blockLength) return (random.integer(2 * format.largest + 1) - format.largest) & (2 ** bits - 1);
    // Exponents around 1; of halves, one in 256 is subnormal, as of weights with a deviation of 0.02.
    const sign = random.integer(2) << 15;
    if (name === "bf16") return sign | (random.integer(8 << 7) + (120 << 7));
    return sign | (random.integer(256) === 0 ? random.integer(0x400) : random.integer(8 << 10) + (9 << 10));
  };
  for (let r = 0; r < rows; r++) {
    const end = codeWords(format, columns) * perWord;
    for (let k = 0; k < end; k++) {
      const code = k < columns ? codeOf() : zero;
      const at = r * words + Math.floor(k / perWord);
      packed[at] = (packed[at]! | (code << (bits * (k % perWord)))) >>> 0;
    }
    for (let at = codeWords(format, columns); at < words; at++) asFloats[r * words + at] = (0.5 + random.uniform()) / format.largest;
  }
  return packed;
}

/** Either side of 4, 16, a block of scales, 256 and 16 columns; few and many rows. */
const shapes = [
  { M: 1, K: 1, N: 1 },
  { M: 1, K: 64, N: 8 },
  { M: 2, K: 67, N: 5 },
  { M: 3, K: 256, N: 17 },
  { M: 9, K: 31, N: 33 },
  { M: 33, K: 300, N: 19 },
  { M: 34, K: 16, N: 16 },
  { M: 70, K: 130, N: 68 },
  { M: 5, K: 520, N: 65 },
  { M: 130, K: 48, N: 300 },
];
/** What differs between formats, for those that share all else with the one that meets every shape: emulated GPUs compile for seconds. */
const fewShapes = [
  { M: 2, K: 68, N: 20 },
  { M: 34, K: 324, N: 36 },
];
const lookups = [
  { V: 1, K: 1, N: 1 },
  { V: 5, K: 67, N: 9 },
  { V: 33, K: 64, N: 7 },
  { V: 17, K: 300, N: 33 },
];

/** Most GPUs, and WGSL, may read subnormal halves as zero: at most 2^-14 a product. */
const subnormals: StatedTolerance = { rtol: 1e-5, atol: 5e-4, reason: "subnormal halves may be read as zero" };

export const packedWeightCases: Case[] = Object.values(WEIGHT_FORMATS).flatMap((format): Case[] => {
  const sized = <T extends { K: number }>(list: readonly T[]): Values[] =>
    list.map((values) => ({ ...values, W: packedRowWords(format, values.K), format: format.id }));
  const weights =
    (rows: "N" | "V") =>
    ({ values, random }: InputContext) => ({ w: packedRows(format, values[rows]!, values.K!, random) });
  const common = format.name === "f16" ? { tolerance: subnormals } : {};
  const sizes = sized(format.name === "nf4" ? shapes : fewShapes);
  return [
    { entry: packedWeight.forward, name: format.name, sizes, inputs: weights("N"), ...common },
    { entry: packedWeight.backwardInput, name: format.name, sizes, inputs: weights("N"), ...common },
    {
      entry: packedWeight.rows,
      name: format.name,
      sizes: sized(lookups),
      inputs: (context) => ({
        ...weights("V")(context),
        ids: Array.from({ length: context.values.N! }, () => context.random.integer(context.values.V!)),
      }),
      tolerance: format.name === "f16" ? subnormals : { rtol: 1e-7, atol: 0, scale: "element", reason: "one product of two floats" },
    },
  ];
});

const [M, K, N] = [3, 70, 5];

export const packedWeightGradients: GradientCheck[] = Object.values(WEIGHT_FORMATS).map((format) => ({
  name: `packed_weight_forward (${format.name})`,
  covers: ["packed_weight_backward_input"],
  forward: packedWeight.forward,
  values: { M, K, N, W: packedRowWords(format, K), format: format.id },
  inputs: (random) => ({
    x: Array.from({ length: M * K }, random.normal),
    w: packedRows(format, N, K, random),
    bias: Array.from({ length: N }, random.normal),
    addend: Array.from({ length: M * N }, random.normal),
  }),
  outputs: ["y"],
  backward: ({ inputs, upstream, compute }) => ({
    x: compute(packedWeight.backwardInput, { dy: upstream.y, w: inputs.w }).dx,
    addend: upstream.y,
  }),
}));
