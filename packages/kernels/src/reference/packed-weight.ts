/** Reference of packed weights: every code decoded by itself, then plain dot products. */
import { packedWeight } from "../ops/packed-weight";
import { codeWords, weightFormat } from "../weight-formats";
import { implement } from "./implement";

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

const floatOf = (bits: number): number => {
  word[0] = bits;
  return single[0] as number;
};

/** IEEE half precision: sign, five bits of exponent, ten of fraction. */
function halfOf(code: number): number {
  const sign = code & 0x8000 ? -1 : 1;
  const exponent = (code >> 10) & 31;
  const fraction = (code & 1023) / 1024;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

/** w (rows, columns) of packed rows of `words` words. */
export function unpack(w: ArrayLike<number>, rows: number, columns: number, words: number, id: number): Float64Array {
  const format = weightFormat(id);
  const { name, bits, blockLength, levels } = format;
  const scalesAt = codeWords(format, columns);
  const perWord = 32 / bits;
  return Float64Array.from({ length: rows * columns }, (_, i) => {
    const column = i % columns;
    const row = Math.floor(i / columns) * words;
    const shift = bits * (column % perWord);
    const code = ((w[row + Math.floor(column / perWord)] as number) >>> shift) & (2 ** bits - 1);
    if (name === "f16") return halfOf(code);
    if (name === "bf16") return floatOf(code << 16);
    const signed = code >= 2 ** (bits - 1) ? code - 2 ** bits : code;
    return (levels ? (levels[code] as number) : signed) * floatOf(w[row + scalesAt + Math.floor(column / blockLength)] as number);
  });
}

export const packedWeightReference = [
  implement<"x" | "w" | "y", "M" | "K" | "N" | "W" | "format", "bias" | "addend">(
    packedWeight.forward,
    ({ x, w, bias, addend, y }, { M, K, N, W, format }) => {
      const values = unpack(w, N, K, W, format);
      for (let m = 0; m < M; m++) {
        for (let n = 0; n < N; n++) {
          let sum = 0;
          for (let k = 0; k < K; k++) sum += x[m * K + k]! * values[n * K + k]!;
          y[m * N + n] = sum + (bias?.[n] ?? 0) + (addend?.[m * N + n] ?? 0);
        }
      }
    },
  ),
  implement<"dy" | "w" | "dx", "M" | "N" | "K" | "W" | "format">(packedWeight.backwardInput, ({ dy, w, dx }, { M, N, K, W, format }) => {
    const values = unpack(w, N, K, W, format);
    dx.fill(0);
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        for (let k = 0; k < K; k++) dx[m * K + k]! += dy[m * N + n]! * values[n * K + k]!;
      }
    }
  }),
  implement<"ids" | "w" | "y", "N" | "V" | "W" | "K" | "format">(packedWeight.rows, ({ ids, w, y }, { V, W, K, format }) => {
    const values = unpack(w, V, K, W, format);
    ids.forEach((id, n) => {
      for (let k = 0; k < K; k++) y[n * K + k] = id < V ? values[id * K + k]! : Number.NaN;
    });
  }),
];
