/** Four-lane f32 arithmetic: the multiply-add switch, horizontal sums, transposes, and exp/log/tanh and kin good to about 2 ulp. */

/**
 * A number of a table in linear memory, in all lanes: one load. V8 builds a vector constant from several instructions wherever one is used, and a
 * polynomial in constants spends as long on them as on its arithmetic.
 */
// @ts-ignore: decorator
@inline
export function constant(table: usize, i: usize = 0): v128 {
  return v128.load32_splat(table + (i << 2));
}

export const ONE: usize = memory.data<f32>([1.0], 4);

/** a · b + c: fused in the relaxed build, two roundings in the strict one. The only place where the builds differ. */
// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

/** (l0 + l1) + (l2 + l3) */
// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

// @ts-ignore: decorator
@inline
export function maxLanes(v: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/** Lane i of the result is the sum of the lanes of argument i. */
// @ts-ignore: decorator
@inline
export function sumRows(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  // (l0 + l2) and (l1 + l3) of each argument, then their sum.
  const ab = f32x4.add(ab0, ab1);
  const cd = f32x4.add(cd0, cd1);
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Half of ln 2: up to here the polynomials of e^r hold. */
export const HALF_LN2: f32 = 0.34657359;

/** From the highest power down, as are the other polynomials. */
const EXP_TAIL: usize = memory.data<f32>([1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1], 4);

/** (e^r - 1 - r) / r² for |r| <= ln 2 / 2: Cephes' polynomial, in pairs, which shortens the chain of what waits for what. z = r². */
// @ts-ignore: decorator
@inline
function expTail(r: v128, z: v128): v128 {
  const p = fma(constant(EXP_TAIL), r, constant(EXP_TAIL, 1));
  const q = fma(constant(EXP_TAIL, 2), r, constant(EXP_TAIL, 3));
  const s = fma(constant(EXP_TAIL, 4), r, constant(EXP_TAIL, 5));
  return fma(fma(p, z, q), z, s);
}

/** e^r - 1 for |r| <= ln 2 / 2. */
// @ts-ignore: decorator
@inline
function expm1Core(r: v128): v128 {
  const z = f32x4.mul(r, r);
  return fma(expTail(r, z), z, r);
}

/** Bounds of x, 1 / ln 2, 1.5 · 2^23 + 126, and -ln 2 in two parts. */
const EXP: usize = memory.data<f32>([-87.0, 89.0, 1.44269504088896341, 12583038.0, -0.693359375, 2.12194440e-4], 4);

/**
 * e^x to about 1 ulp; 0 below -87 (where floats turn subnormal), infinity above 88.73, NaN for NaN. {@link expm1Core} after
 * a multiple of ln 2. pmin and pmax are one instruction where min and max are seven, and keep a NaN in their first operand.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, constant(EXP)), constant(EXP, 1));
  // Adding 1.5 · 2^23 + 126 rounds to an integer and leaves it plus 126 in the low bits.
  const magic = constant(EXP, 3);
  const shifted = fma(bounded, constant(EXP, 2), magic);
  const n = f32x4.sub(shifted, magic);
  const r = fma(n, constant(EXP, 5), fma(n, constant(EXP, 4), bounded));
  const p = f32x4.add(expm1Core(r), constant(ONE));
  // 2^(n - 1), then doubled: 2^128 is not a float, and n = -126 gives 0. The shift drops the bits of 1.5 · 2^23.
  const half = i32x4.shl(shifted, 23);
  const y = f32x4.mul(p, half);
  return f32x4.add(y, y);
}

/** Bounds of t, 1.5 · 2^23 + 127, and where 2^t is 0. */
const EXP2: usize = memory.data<f32>([-126.0, 126.0, 12583039.0, -127.0], 4);
/** Of 2^r - 1 on [-½, ½], least relative error. */
const EXP2_POWERS: usize = memory.data<f32>([1.5353362e-4, 1.3398874e-3, 9.618437e-3, 5.5503324e-2, 0.24022648, 0.6931472], 4);

/** 2^t to about 1 ulp for -127 <= t < 128; 0 where t rounds to -127. */
// @ts-ignore: decorator
@inline
function exp2Core(t: v128): v128 {
  const magic = constant(EXP2, 2);
  const shifted = f32x4.add(t, magic);
  const r = f32x4.sub(t, f32x4.sub(shifted, magic));
  const z = f32x4.mul(r, r);
  const high = fma(constant(EXP2_POWERS), z, fma(constant(EXP2_POWERS, 1), r, constant(EXP2_POWERS, 2)));
  const low = fma(constant(EXP2_POWERS, 3), r, constant(EXP2_POWERS, 4));
  const slope = fma(fma(high, z, low), r, constant(EXP2_POWERS, 5));
  return f32x4.mul(fma(slope, r, constant(ONE)), i32x4.shl(shifted, 23));
}

/** 2^t, t held within ±126: no argument is reduced in parts, so that t may have no more digits than its caller gives it. */
// @ts-ignore: decorator
@inline
export function boundedExp2(t: v128): v128 {
  return exp2Core(f32x4.pmin(f32x4.pmax(t, constant(EXP2)), constant(EXP2, 1)));
}

/** 2^t for t < 128, 0 below -126.5: of softmax, whose arguments are relative to the largest. */
// @ts-ignore: decorator
@inline
export function softmaxExp2(t: v128): v128 {
  return exp2Core(f32x4.pmax(t, constant(EXP2, 3)));
}

/** 1 / ln 2 */
export const LOG2E: f32 = 1.44269504088896341;

/** e^x - 1, without losing a small x. */
// @ts-ignore: decorator
@inline
export function expm14(x: v128): v128 {
  const isSmall = f32x4.lt(f32x4.abs(x), f32x4.splat(HALF_LN2));
  return v128.bitselect(expm1Core(x), f32x4.sub(exp4(x), constant(ONE)), isSmall);
}

/** e^r - 1 - r for |r| <= ln 2 / 2, to as many digits as r has. */
// @ts-ignore: decorator
@inline
export function expm1MinusSmall(r: v128): v128 {
  const z = f32x4.mul(r, r);
  return f32x4.mul(expTail(r, z), z);
}

const LOG: usize = memory.data<f32>(
  [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
  4,
);
/** √½ as bits. */
const LOG_OFFSET: usize = memory.data<i32>([0x3f3504f3], 4);

/** Natural logarithm; -infinity at 0, NaN below. Cephes' polynomial on [√½, √2]. */
// @ts-ignore: decorator
@inline
export function log4(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608.0)), x, tiny);
  // exponent and mantissa with the mantissa in [√½, √2)
  const offset = i32x4.sub(scaled, constant(LOG_OFFSET));
  const e = f32x4.sub(
    f32x4.convert_i32x4_s(i32x4.shr_s(offset, 23)),
    v128.and(tiny, f32x4.splat(23.0)),
  );
  const m = f32x4.sub(
    i32x4.add(v128.and(offset, i32x4.splat(0x007fffff)), constant(LOG_OFFSET)),
    constant(ONE),
  );
  const z = f32x4.mul(m, m);
  let p = fma(constant(LOG), m, constant(LOG, 1));
  for (let i: usize = 2; i < 9; i++) p = fma(p, m, constant(LOG, i));
  let y = f32x4.mul(f32x4.mul(p, m), z);
  y = f32x4.add(y, f32x4.mul(e, f32x4.splat(-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(z, f32x4.splat(0.5)));
  y = f32x4.add(f32x4.add(m, y), f32x4.mul(e, f32x4.splat(0.693359375)));
  // The exceptions: 0, negatives and NaN, +infinity.
  y = v128.bitselect(f32x4.splat(-Infinity), y, f32x4.eq(x, f32x4.splat(0.0)));
  const positive = f32x4.ge(x, f32x4.splat(0.0));
  y = v128.bitselect(y, f32x4.splat(NaN), positive);
  return v128.bitselect(x, y, f32x4.eq(x, f32x4.splat(Infinity)));
}

/** log(1 + u) for u > -1, without losing a small u. */
// @ts-ignore: decorator
@inline
export function log1p4(u: v128): v128 {
  const one = constant(ONE);
  const w = f32x4.add(one, u);
  const exact = f32x4.eq(w, one);
  const denominator = v128.bitselect(one, f32x4.sub(w, one), exact);
  return v128.bitselect(u, f32x4.div(f32x4.mul(log4(w), u), denominator), exact);
}

/** log(1 - e^x) for x < 0: through expm1 where e^x is near 1, through log1p where it is near 0; -infinity at 0, NaN above. */
// @ts-ignore: decorator
@inline
export function log1mexp4(x: v128): v128 {
  const isNear = f32x4.gt(x, f32x4.splat(-0.69314718));
  return v128.bitselect(log4(f32x4.neg(expm14(x))), log1p4(f32x4.neg(exp4(x))), isNear);
}

/** 1 / (1 + e^-x) */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const one = constant(ONE);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

const TANH: usize = memory.data<f32>([-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1], 4);
/** Where the polynomial ends. */
const TANH_NEAR: usize = memory.data<f32>([0.625], 4);

const DECAY_LIMIT: usize = memory.data<f32>([87.0], 4);

/** e^-x for x >= -87, e^87 below: d with σ(x) = 1 / (1 + d) and σ(-x) = d σ(x), both to their last digits, from one exponential. */
// @ts-ignore: decorator
@inline
export function decay4(x: v128): v128 {
  return exp4(f32x4.pmin(f32x4.neg(x), constant(DECAY_LIMIT)));
}

/** tanh x: Cephes' polynomial below 0.625, 1 - 2 / (e^2|x| + 1) above. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const magnitude = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = fma(constant(TANH), z, constant(TANH, 1));
  p = fma(p, z, constant(TANH, 2));
  p = fma(p, z, constant(TANH, 3));
  p = fma(p, z, constant(TANH, 4));
  const small = fma(f32x4.mul(p, z), x, x);
  const one = constant(ONE);
  const large = f32x4.sub(one, f32x4.div(f32x4.add(one, one), f32x4.add(exp4(f32x4.add(magnitude, magnitude)), one)));
  const signed = v128.or(large, v128.and(x, f32x4.splat(-0.0)));
  return v128.bitselect(small, signed, f32x4.lt(magnitude, constant(TANH_NEAR)));
}

/** cap tanh(x / cap) */
// @ts-ignore: decorator
@inline
export function softCap4(x: v128, cap: v128): v128 {
  return f32x4.mul(cap, tanh4(f32x4.div(x, cap)));
}

/** One-lane forms with the bits of the four-lane ones, for tails. */
// @ts-ignore: decorator
@inline
export function exp1(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}
// @ts-ignore: decorator
@inline
export function log1(x: f32): f32 {
  return f32x4.extract_lane(log4(f32x4.splat(x)), 0);
}

/** Loads 1 to 3 floats; the other lanes are 0. */
// @ts-ignore: decorator
@inline
export function loadTail(p: usize, count: u32): v128 {
  let v = v128.load32_zero(p);
  if (count > 1) v = f32x4.replace_lane(v, 1, load<f32>(p, 4));
  if (count > 2) v = f32x4.replace_lane(v, 2, load<f32>(p, 8));
  return v;
}

/** Stores the first 1 to 3 lanes. */
// @ts-ignore: decorator
@inline
export function storeTail(p: usize, v: v128, count: u32): void {
  store<f32>(p, f32x4.extract_lane(v, 0));
  if (count > 1) store<f32>(p, f32x4.extract_lane(v, 1), 4);
  if (count > 2) store<f32>(p, f32x4.extract_lane(v, 2), 8);
}

/** Σ x·y, four lanes and a tail, in a fixed order. */
export function dot(x: usize, y: usize, n: u32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  const end8 = x + ((n & ~7) << 2);
  for (; x < end8; x += 32, y += 32) {
    s0 = fma(v128.load(x), v128.load(y), s0);
    s1 = fma(v128.load(x, 16), v128.load(y, 16), s1);
  }
  if (n & 4) {
    s0 = fma(v128.load(x), v128.load(y), s0);
    x += 16;
    y += 16;
  }
  if (n & 3) s1 = fma(loadTail(x, n & 3), loadTail(y, n & 3), s1);
  return sumLanes(f32x4.add(s0, s1));
}

let touched: i32 = 0;

/**
 * Reads one number of every cache line of [p, p + bytes), all independent of each other: many misses in flight, where the arithmetic that follows
 * would wait for a few at a time. WebAssembly has no prefetch. The sum goes to a global of this instance, which keeps the loads alive.
 */
export function touch(p: usize, bytes: usize): void {
  let seen: i32 = 0;
  for (const end = p + bytes; p < end; p += 64) seen |= load<i32>(p);
  touched = seen;
}

/** {@link touch} of `bytes` in each of `rows` rows, ld bytes apart. */
export function touchRows(p: usize, ld: usize, rows: u32, bytes: usize): void {
  for (let r: u32 = 0; r < rows; r++, p += ld) touch(p, bytes);
}
