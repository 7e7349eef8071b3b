// What one thread can do at most: multiply-adds with every operand in registers, and streams of vectors through memory.

// @ts-ignore: decorator
@inline
function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

/**
 * a = a x + y on 13 independent accumulators (the product depends on a, so that no compiler can hoist it): with
 * both factors they fill the 15 vector registers that V8 hands out, and fewer would wait for the latency of a multiply and an add.
 * 13 * 4 * 2 operations a turn.
 */
export function multiplyAdd(turns: i32, factor: f32): f32 {
  const x = f32x4.splat(factor);
  const y = f32x4.splat(factor * <f32>0.5);
  let a0 = x, a1 = y, a2 = x, a3 = y, a4 = x, a5 = y;
  let b0 = x, b1 = y, b2 = x, b3 = y, b4 = x, b5 = y, c = x;
  for (let i = 0; i < turns; i++) {
    a0 = madd(a0, x, y);
    a1 = madd(a1, x, y);
    a2 = madd(a2, x, y);
    a3 = madd(a3, x, y);
    a4 = madd(a4, x, y);
    a5 = madd(a5, x, y);
    b0 = madd(b0, x, y);
    b1 = madd(b1, x, y);
    b2 = madd(b2, x, y);
    b3 = madd(b3, x, y);
    b4 = madd(b4, x, y);
    b5 = madd(b5, x, y);
    c = madd(c, x, y);
  }
  let s = f32x4.add(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), f32x4.add(a4, a5));
  s = f32x4.add(s, f32x4.add(f32x4.add(f32x4.add(b0, b1), f32x4.add(b2, b3)), f32x4.add(b4, b5)));
  s = f32x4.add(s, c);
  return f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3);
}

/** Where a caller may put data: the first aligned byte that the module itself does not use. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}

/** Reads `length` bytes `passes` times, a multiple of 128. */
export function readStream(from: usize, length: usize, passes: i32): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (let pass = 0; pass < passes; pass++) {
    for (let at = from, end = from + length; at < end; at += 128) {
      a = v128.or(a, v128.load(at));
      b = v128.or(b, v128.load(at, 16));
      c = v128.or(c, v128.load(at, 32));
      d = v128.or(d, v128.load(at, 48));
      e = v128.or(e, v128.load(at, 64));
      f = v128.or(f, v128.load(at, 80));
      g = v128.or(g, v128.load(at, 96));
      h = v128.or(h, v128.load(at, 112));
    }
  }
  a = v128.or(v128.or(v128.or(a, b), v128.or(c, d)), v128.or(v128.or(e, f), v128.or(g, h)));
  return i32x4.extract_lane(a, 0) | i32x4.extract_lane(a, 1) | i32x4.extract_lane(a, 2) | i32x4.extract_lane(a, 3);
}

/** Writes `length` bytes `passes` times, a multiple of 64. */
export function writeStream(to: usize, length: usize, passes: i32): void {
  for (let pass = 0; pass < passes; pass++) {
    const value = i32x4.splat(pass);
    for (let at = to, end = to + length; at < end; at += 64) {
      v128.store(at, value);
      v128.store(at, value, 16);
      v128.store(at, value, 32);
      v128.store(at, value, 48);
    }
  }
}

/** Copies `length` bytes `passes` times, a multiple of 64. */
export function copyStream(from: usize, to: usize, length: usize, passes: i32): void {
  const distance = to - from;
  for (let pass = 0; pass < passes; pass++) {
    for (let at = from, end = from + length; at < end; at += 64) {
      v128.store(at + distance, v128.load(at));
      v128.store(at + distance, v128.load(at, 16), 16);
      v128.store(at + distance, v128.load(at, 32), 32);
      v128.store(at + distance, v128.load(at, 48), 48);
    }
  }
}
