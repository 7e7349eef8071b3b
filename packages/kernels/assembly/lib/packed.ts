/** Weights in low precision to f32, a group of 16 at a time; the formats are those of src/weight-formats.ts. */

/** Ids of the formats. */
export const F32: u32 = 0;
const F16: u32 = 1;
const BF16: u32 = 2;
const INT8: u32 = 3;
const NF4: u32 = 4;

/** Weights of a group, and the logarithm of the groups that share a scale. */
export const GROUP: u32 = 16;
const GROUPS_SHIFT: u32 = 2;
/** Bytes of a group in f32. */
const GROUP_BYTES: usize = 64;

/** Bytes of a group of codes. */
export function codeBytes(format: u32): usize {
  return format <= BF16 ? 32 : format == INT8 ? 16 : 8;
}

/** Four normal halves, sign-extended: shifted into place, their exponents lack 112. */
// @ts-ignore: decorator
@inline
function normalHalves(extended: v128): v128 {
  return i32x4.add(v128.and(i32x4.shl(extended, 13), i32x4.splat(0x8fffe000)), i32x4.splat(0x38000000));
}

/** Any four halves, sign-extended. A subnormal or zero is 2^-14 (1 + fraction) - 2^-14, so that no subnormal float slows the processor down. */
// @ts-ignore: decorator
@inline
function anyHalves(extended: v128): v128 {
  const magnitude = v128.and(i32x4.shl(extended, 13), i32x4.splat(0x0fffe000));
  const small = f32x4.sub(i32x4.add(magnitude, i32x4.splat(0x38800000)), f32x4.splat(0.00006103515625));
  const value = v128.bitselect(small, i32x4.add(magnitude, i32x4.splat(0x38000000)), i32x4.lt_s(magnitude, i32x4.splat(0x00800000)));
  return v128.or(value, v128.and(extended, i32x4.splat(0x80000000)));
}

/** True where one of eight halves is subnormal or zero. */
// @ts-ignore: decorator
@inline
function smallHalves(halves: v128): v128 {
  return i16x8.eq(v128.and(halves, i16x8.splat(0x7c00)), i16x8.splat(0));
}

/** Eight integers times their scale. */
// @ts-ignore: decorator
@inline
function storeEight(dst: usize, codes: v128, scale: v128): void {
  v128.store(dst, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes)), scale));
  v128.store(dst, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes)), scale), 16);
}

/** The sixteen 4-bit codes of eight bytes, a byte each, in order. */
// @ts-ignore: decorator
@inline
function nibbles(src: usize): v128 {
  const bytes = v128.load64_zero(src);
  const mask = i8x16.splat(15);
  const low = v128.and(bytes, mask);
  const high = v128.and(i16x8.shr_u(bytes, 4), mask);
  return i8x16.shuffle(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** The first bytes of the sixteen levels of nf4, then the second, third and last. */
const LEVELS: usize = memory.data<i8>(
  [
    0, -79, 48, -96, 77, 63, 113, 0, -1, -29, -35, 58, -72, -85, -77, 0,
    0, 57, 107, 50, -94, 53, 120, 0, -6, -54, 4, 3, -92, 7, 19, 0,
    -128, 50, 6, -54, -111, 61, -70, 0, -94, 36, 124, -83, -31, 16, 57, -128,
    -65, -65, -65, -66, -66, -66, -67, 0, 61, 62, 62, 62, 62, 63, 63, 63,
  ],
  16,
);

/** Byte `at` of each level. */
// @ts-ignore: decorator
@inline
function levelBytes(codes: v128, at: usize): v128 {
  const table = v128.load(LEVELS + 16 * at);
  return ASC_FEATURE_RELAXED_SIMD ? i8x16.relaxed_swizzle(table, codes) : i8x16.swizzle(table, codes);
}

/** Sixteen levels of nf4: each byte of the floats comes from a table of its own. */
// @ts-ignore: decorator
@inline
function storeLevels(dst: usize, codes: v128, scale: v128): void {
  const b0 = levelBytes(codes, 0), b1 = levelBytes(codes, 1), b2 = levelBytes(codes, 2), b3 = levelBytes(codes, 3);
  const low01 = i8x16.shuffle(b0, b1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const high01 = i8x16.shuffle(b0, b1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const low23 = i8x16.shuffle(b2, b3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const high23 = i8x16.shuffle(b2, b3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  v128.store(dst, f32x4.mul(v128.shuffle<i16>(low01, low23, 0, 8, 1, 9, 2, 10, 3, 11), scale));
  v128.store(dst, f32x4.mul(v128.shuffle<i16>(low01, low23, 4, 12, 5, 13, 6, 14, 7, 15), scale), 16);
  v128.store(dst, f32x4.mul(v128.shuffle<i16>(high01, high23, 0, 8, 1, 9, 2, 10, 3, 11), scale), 32);
  v128.store(dst, f32x4.mul(v128.shuffle<i16>(high01, high23, 4, 12, 5, 13, 6, 14, 7, 15), scale), 48);
}

/**
 * dst (count, 16) = the groups that begin `step` bytes apart at src. The scale of group i lies at scales + (i >> shift) · scaleStep: along a row
 * four groups share one, down a column each row has its own.
 */
function unpackGroups(format: u32, src: usize, step: usize, scales: usize, scaleStep: usize, shift: u32, dst: usize, count: u32): void {
  if (format == F16) {
    for (let i: u32 = 0; i < count; i++, src += step, dst += GROUP_BYTES) {
      const a = v128.load(src), b = v128.load(src, 16);
      if (v128.any_true(v128.or(smallHalves(a), smallHalves(b)))) {
        v128.store(dst, anyHalves(i32x4.extend_low_i16x8_s(a)));
        v128.store(dst, anyHalves(i32x4.extend_high_i16x8_s(a)), 16);
        v128.store(dst, anyHalves(i32x4.extend_low_i16x8_s(b)), 32);
        v128.store(dst, anyHalves(i32x4.extend_high_i16x8_s(b)), 48);
      } else {
        v128.store(dst, normalHalves(i32x4.extend_low_i16x8_s(a)));
        v128.store(dst, normalHalves(i32x4.extend_high_i16x8_s(a)), 16);
        v128.store(dst, normalHalves(i32x4.extend_low_i16x8_s(b)), 32);
        v128.store(dst, normalHalves(i32x4.extend_high_i16x8_s(b)), 48);
      }
    }
  } else if (format == BF16) {
    for (let i: u32 = 0; i < count; i++, src += step, dst += GROUP_BYTES) {
      const a = v128.load(src), b = v128.load(src, 16);
      v128.store(dst, i32x4.shl(i32x4.extend_low_i16x8_u(a), 16));
      v128.store(dst, i32x4.shl(i32x4.extend_high_i16x8_u(a), 16), 16);
      v128.store(dst, i32x4.shl(i32x4.extend_low_i16x8_u(b), 16), 32);
      v128.store(dst, i32x4.shl(i32x4.extend_high_i16x8_u(b), 16), 48);
    }
  } else if (format == INT8) {
    for (let i: u32 = 0; i < count; i++, src += step, dst += GROUP_BYTES) {
      const scale = v128.load32_splat(scales + (i >> shift) * scaleStep);
      const codes = v128.load(src);
      storeEight(dst, i16x8.extend_low_i8x16_s(codes), scale);
      storeEight(dst + 32, i16x8.extend_high_i8x16_s(codes), scale);
    }
  } else if (format == NF4) {
    for (let i: u32 = 0; i < count; i++, src += step, dst += GROUP_BYTES) {
      storeLevels(dst, nibbles(src), v128.load32_splat(scales + (i >> shift) * scaleStep));
    }
  } else {
    const eight = i8x16.splat(8);
    for (let i: u32 = 0; i < count; i++, src += step, dst += GROUP_BYTES) {
      const scale = v128.load32_splat(scales + (i >> shift) * scaleStep);
      const codes = i8x16.sub(v128.xor(nibbles(src), eight), eight);
      storeEight(dst, i16x8.extend_low_i8x16_s(codes), scale);
      storeEight(dst + 32, i16x8.extend_high_i8x16_s(codes), scale);
    }
  }
}

/** dst = weights first .. first + count of one row; writes whole groups. `first` is a multiple of 64; scales begin `scales` bytes into the row. */
export function unpackAlong(format: u32, row: usize, scales: usize, first: u32, count: u32, dst: usize): void {
  const step = codeBytes(format);
  unpackGroups(format, row + (first / GROUP) * step, step, row + scales + ((first / GROUP >> GROUPS_SHIFT) << 2), 4, GROUPS_SHIFT, dst, (count + GROUP - 1) / GROUP);
}

/** dst (count, 16) = weights first .. first + 15 of `count` rows, `ld` bytes apart. `first` is a multiple of 16. */
export function unpackDown(format: u32, rows: usize, ld: usize, scales: usize, first: u32, count: u32, dst: usize): void {
  const group = first / GROUP;
  unpackGroups(format, rows + group * codeBytes(format), ld, rows + scales + ((group >> GROUPS_SHIFT) << 2), ld, 0, dst, count);
}
