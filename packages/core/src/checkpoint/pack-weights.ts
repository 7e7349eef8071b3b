/**
 * Matrices to low precision and back, on the host. Everything rounds to nearest; the layout is that of @trimtab/kernels' weight formats.
 *
 *   f16, bf16: ties to even; f16 keeps subnormals, and weights that would round to infinity are refused
 *   int8, int4: code = round(w / scale), ties to even, scale = absmax / 127 or / 7 of each 64 weights of a row; -128 and -8 are not used
 *   nf4: the nearest of 16 levels to w / absmax, a tie to the lower one, absmax of each 64 weights of a row (Dettmers et al. 2023, QLoRA)
 *
 * Departures from bitsandbytes: blocks begin anew with each row (they are the same where rows are multiples of 64), absmax stays in f32 (no double
 * quantization), and the first code of a byte is in its low half. Nothing of this reaches a file.
 */
import { codeWords, packedRowWords, WEIGHT_FORMATS, type WeightFormat, type WeightFormatName } from "@trimtab/kernels";
import { ConfigError } from "../errors";
import { narrowBf16, narrowF16, widenBf16, widenF16 } from "./half";

/** Whole rows of `columns` weights to packed rows, end to end. Throws ConfigError where a weight is beyond the format's range. */
export function packRows(name: WeightFormatName, values: Float32Array, columns: number): Uint32Array<ArrayBuffer> {
  const format = WEIGHT_FORMATS[name];
  const rows = values.length / columns;
  const packed = new Uint32Array(rows * packedRowWords(format, columns));
  if (format.bits === 16) packHalves(format, values, columns, packed);
  else packBlocks(format, values, columns, packed);
  return packed;
}

/** The f32 values of packed rows of `columns` weights. */
export function unpackRows(name: WeightFormatName, packed: Uint32Array, columns: number): Float32Array<ArrayBuffer> {
  const format = WEIGHT_FORMATS[name];
  const { bits, blockLength } = format;
  const words = packedRowWords(format, columns);
  const rows = packed.length / words;
  const values = new Float32Array(rows * columns);
  if (bits === 16) {
    const halves = new Uint16Array(packed.buffer, packed.byteOffset, 2 * packed.length);
    const widen = name === "f16" ? widenF16 : widenBf16;
    for (let r = 0; r < rows; r++) values.set(widen(halves.subarray(2 * r * words, 2 * r * words + columns)), r * columns);
    return values;
  }
  const scales = new Float32Array(packed.buffer, packed.byteOffset, packed.length);
  const table = valuesOfCodes(format);
  const perWord = 32 / bits;
  for (let r = 0; r < rows; r++) {
    const scalesAt = r * words + codeWords(format, columns);
    for (let k = 0; k < columns; k++) {
      const word = packed[r * words + Math.floor(k / perWord)] as number;
      const code = (word >>> (bits * (k % perWord))) & (2 ** bits - 1);
      values[r * columns + k] = (table[code] as number) * (scales[scalesAt + Math.floor(k / blockLength)] as number);
    }
  }
  return values;
}

/** What each code stands for, before its scale. */
function valuesOfCodes({ bits, levels }: WeightFormat): readonly number[] {
  return levels ?? Array.from({ length: 2 ** bits }, (_, code) => (code >= 2 ** (bits - 1) ? code - 2 ** bits : code));
}

function packHalves({ name, largest }: WeightFormat, values: Float32Array, columns: number, packed: Uint32Array): void {
  const narrow = name === "f16" ? narrowF16 : narrowBf16;
  const infinity = name === "f16" ? 0x7c00 : 0x7f80;
  const halves = narrow(values);
  const at = halves.findIndex((half) => (half & 0x7fff) >= infinity);
  if (at >= 0) {
    throw new ConfigError(
      `dtype: every weight must be within ±${largest} in ${name}, got ${values[at]}. Keep this model in ${name === "f16" ? "bfloat16" : "float32"}.`,
    );
  }
  const into = new Uint16Array(packed.buffer);
  const rows = values.length / columns;
  const pitch = into.length / rows;
  for (let r = 0; r < rows; r++) into.set(halves.subarray(r * columns, (r + 1) * columns), r * pitch);
}

function packBlocks(format: WeightFormat, values: Float32Array, columns: number, packed: Uint32Array): void {
  const { bits, blockLength, largest, levels, zero } = format;
  const words = packedRowWords(format, columns);
  const scalesAt = codeWords(format, columns);
  const scales = new Float32Array(packed.buffer);
  const perWord = 32 / bits;
  const mask = 2 ** bits - 1;
  const midpoints = levels?.slice(1).map((level, i) => (level + (levels[i] as number)) / 2);
  for (let r = 0, row = 0; row < packed.length; r++, row += words) {
    for (let begin = 0; begin < columns; begin += blockLength) {
      const end = Math.min(columns, begin + blockLength);
      let absmax = 0;
      for (let k = begin; k < end; k++) absmax = Math.max(absmax, Math.abs(values[r * columns + k] as number));
      const scale = Math.fround(absmax / largest);
      scales[row + scalesAt + begin / blockLength] = scale;
      for (let k = begin; k < end; k++) {
        const ratio = scale === 0 ? 0 : (values[r * columns + k] as number) / scale;
        const code = midpoints ? nearestLevel(midpoints, ratio) : Math.max(-largest, Math.min(largest, roundToEven(ratio))) & mask;
        const at = row + Math.floor(k / perWord);
        packed[at] = (packed[at] as number) | (code << (bits * (k % perWord)));
      }
    }
    for (let k = columns; k < scalesAt * perWord; k++) {
      const at = row + Math.floor(k / perWord);
      packed[at] = (packed[at] as number) | (zero << (bits * (k % perWord)));
    }
  }
}

/** How many midpoints lie below the value: the nearest level, the lower one of two that are as near. */
function nearestLevel(midpoints: readonly number[], value: number): number {
  let code = 0;
  // A halving search over 16 levels: 8, 4, 2, 1.
  for (let step = 8; step > 0; step >>= 1) if (value > (midpoints[code + step - 1] as number)) code += step;
  return code;
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
