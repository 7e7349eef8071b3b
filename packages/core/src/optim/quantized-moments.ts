/**
 * Moments in 8 bits (Dettmers et al. 2022, as bitsandbytes' AdamW8bit): each block of 256 values has a scale, each value the nearest of 256 codes of a
 * dynamic tree, of both signs for first moments, of one for second ones. They are brought to f32, updated and brought back a piece at a time.
 *
 * Departures: the scale carries the sign of the largest value, so that a state that was saved in f32 comes back bit for bit; small tensors are
 * quantized as well.
 */
import { type Device, hostMath, ops, QUANTIZED_BLOCK } from "@trimtab/kernels";
import { allocate, type Tensor, upload, windowOf } from "../tensor/tensor";

/** Values that are in f32 at a time. */
const PIECE = 2 ** 18;

/** A stretch of values in 8 bits. */
interface Packed {
  /** u32 (length / 4) */
  readonly q: Tensor;
  /** (⌈length / 256⌉) */
  readonly scales: Tensor;
}

/** Part of a stretch while it is in f32. */
export interface Piece {
  readonly stretch: number;
  /** First value, within the stretch. */
  readonly begin: number;
  readonly m: Tensor;
  readonly v: Tensor;
}

export class QuantizedMoments {
  readonly #device: Device;
  readonly #lengths: readonly number[];
  readonly #m: readonly Packed[];
  readonly #v: readonly Packed[];
  readonly #codes: { readonly m: Tensor; readonly v: Tensor };
  /** Where a piece is in f32. */
  readonly #room: { readonly m: Tensor; readonly v: Tensor };

  /** Zeros, for stretches of these lengths, multiples of 4. */
  constructor(device: Device, lengths: readonly number[]) {
    this.#device = device;
    this.#lengths = lengths;
    const make = (length: number, dtype: "f32" | "u32" = "f32") => allocate(device, [length], dtype, "optimizer");
    const packed = (length: number): Packed => ({ q: make(length / 4, "u32"), scales: make(Math.ceil(length / QUANTIZED_BLOCK)) });
    this.#m = lengths.map(packed);
    this.#v = lengths.map(packed);
    const codes = (isSigned: boolean) => upload(device, dynamicCodes(isSigned), [256], "optimizer");
    this.#codes = { m: codes(true), v: codes(false) };
    const longest = Math.min(PIECE, Math.max(4, ...lengths));
    this.#room = { m: make(longest), v: make(longest) };
    for (const room of [this.#room.m, this.#room.v]) device.dispatch(ops.fill.set, { tensors: { y: room }, scalars: { value: 0 } });
    for (const piece of this.#pieces()) this.#store(piece);
  }

  /** Hands each piece in f32 to `update`, which may change it. */
  update(update: (piece: Piece) => void): void {
    for (const piece of this.#pieces()) {
      this.#move(piece, ops.blockwise.dequantize);
      update(piece);
      this.#store(piece);
    }
  }

  /** Reads everything in f32; `take` says where the values of a piece go. */
  async read(take: (piece: Piece, m: Float32Array, v: Float32Array) => void): Promise<void> {
    for (const piece of this.#pieces()) {
      this.#move(piece, ops.blockwise.dequantize);
      const [m, v] = await Promise.all([this.#device.read(piece.m), this.#device.read(piece.v)]);
      take(piece, m as Float32Array, v as Float32Array);
    }
  }

  /** Replaces what is held by what `fill` writes to each piece. */
  replace(fill: (piece: Piece) => void): void {
    for (const piece of this.#pieces()) {
      fill(piece);
      this.#store(piece);
    }
  }

  dispose(): void {
    const packed = [...this.#m, ...this.#v].flatMap(({ q, scales }) => [q, scales]);
    for (const { buffer } of [...packed, this.#codes.m, this.#codes.v, this.#room.m, this.#room.v]) this.#device.free(buffer);
  }

  *#pieces(): Generator<Piece> {
    for (const [stretch, length] of this.#lengths.entries()) {
      for (let begin = 0; begin < length; begin += PIECE) {
        const shape = [Math.min(PIECE, length - begin)];
        yield { stretch, begin, m: { ...this.#room.m, shape }, v: { ...this.#room.v, shape } };
      }
    }
  }

  #store(piece: Piece): void {
    this.#move(piece, ops.blockwise.quantize);
  }

  #move({ stretch, begin, m, v }: Piece, entry: (typeof ops.blockwise)["quantize"]): void {
    const length = m.shape[0] as number;
    const parts = [
      { x: m, codes: this.#codes.m, packed: this.#m[stretch] as Packed },
      { x: v, codes: this.#codes.v, packed: this.#v[stretch] as Packed },
    ];
    for (const { x, codes, packed } of parts) {
      const q = windowOf(packed.q, begin / 4, [length / 4]);
      const scales = windowOf(packed.scales, begin / QUANTIZED_BLOCK, [Math.ceil(length / QUANTIZED_BLOCK)]);
      this.#device.dispatch(entry, { tensors: { x, codes, q, scales } });
    }
  }
}

/** The 256 codes of a dynamic tree, ascending: bitsandbytes' `create_dynamic_map(signed, 7, 8)`. */
export function dynamicCodes(isSigned: boolean): Float32Array {
  const codes = [0, 1];
  for (let exponent = 0; exponent < 7; exponent++) {
    const count = 2 ** (isSigned ? exponent : exponent + 1);
    for (let i = 0; i < count; i++) {
      const mean = 0.1 + (0.9 * (i + 0.5)) / count;
      const code = mean * hostMath.pow(10, exponent - 6);
      codes.push(code, ...(isSigned ? [-code] : []));
    }
  }
  return Float32Array.from(codes).sort();
}
