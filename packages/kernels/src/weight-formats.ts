/** Formats of frozen matrices in less than four bytes a weight: codes, scales and how a row of them lies in 32-bit words. */

/** The names of the formats. */
export type WeightFormatName = "f16" | "bf16" | "int8" | "nf4" | "int4";

export interface WeightFormat {
  readonly name: WeightFormatName;
  /** The number that kernels know it by; 0 is f32. */
  readonly id: number;
  /** Bits of one code. */
  readonly bits: 4 | 8 | 16;
  /** Consecutive weights of a row that share a scale; 0 where codes are floats of their own. */
  readonly blockLength: number;
  /**
   * What codes stand for, times the scale: nf4's table, or undefined for two's complement (and for floats). A block's scale is its largest
   * magnitude over `largest`.
   */
  readonly levels: readonly number[] | undefined;
  /** The largest code's value: 127, 7, or 1 for a table; the largest finite value of a float. */
  readonly largest: number;
  /** The code of zero, which also fills a row up. */
  readonly zero: number;
}

/**
 * The 16 levels of NormalFloat4: quantiles of a normal distribution between -1 and 1, with an exact zero (Dettmers et al. 2023, QLoRA, appendix E;
 * the f32 values of bitsandbytes).
 */
export const NF4_LEVELS: readonly number[] = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
  0.7229568362236023, 1,
];

/** Weights that share a scale, as in bitsandbytes' 4-bit formats. */
const BLOCK = 64;

/**
 * Every format. A row of K weights is ⌈K / 16⌉ groups of 16 codes, the first code in the lowest bits of the first word, filled up with codes of
 * zero; then, where there are scales, ⌈K / 64⌉ of them, as f32 bits. Rows begin on words of their own.
 */
export const WEIGHT_FORMATS: Readonly<Record<WeightFormatName, WeightFormat>> = {
  f16: { name: "f16", id: 1, bits: 16, blockLength: 0, levels: undefined, largest: 65504, zero: 0 },
  bf16: { name: "bf16", id: 2, bits: 16, blockLength: 0, levels: undefined, largest: 2 ** 127 * (2 - 2 ** -7), zero: 0 },
  int8: { name: "int8", id: 3, bits: 8, blockLength: BLOCK, levels: undefined, largest: 127, zero: 0 },
  nf4: { name: "nf4", id: 4, bits: 4, blockLength: BLOCK, levels: NF4_LEVELS, largest: 1, zero: 7 },
  int4: { name: "int4", id: 5, bits: 4, blockLength: BLOCK, levels: undefined, largest: 7, zero: 0 },
};

/** Codes that always come together, so that kernels read whole words. */
const GROUP = 16;

/** 32-bit words of codes in a row of `columns` weights: where its scales begin. */
export const codeWords = ({ bits }: WeightFormat, columns: number): number => (Math.ceil(columns / GROUP) * GROUP * bits) / 32;

/** 32-bit words of a row of `columns` weights. */
export const packedRowWords = (format: WeightFormat, columns: number): number =>
  codeWords(format, columns) + (format.blockLength ? Math.ceil(columns / format.blockLength) : 0);

/** Throws RangeError for an id that no format has. */
export function weightFormat(id: number): WeightFormat {
  const format = Object.values(WEIGHT_FORMATS).find((candidate) => candidate.id === id);
  if (!format) throw new RangeError(`weightFormat: an id must be that of a format, got ${id}.`);
  return format;
}
