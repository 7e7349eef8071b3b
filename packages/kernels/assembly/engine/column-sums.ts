/** db += Σ dy over rows: gradients of biases, and sums of partial sums. Items are groups of sixteen columns. */

/** y (n) = y + a + b + c + d, in this order. */
function addFour(a: usize, b: usize, c: usize, d: usize, y: usize, n: u32): void {
  for (const end = y + ((n & ~7) << 2); y < end; y += 32, a += 32, b += 32, c += 32, d += 32) {
    const s0 = f32x4.add(f32x4.add(v128.load(y), v128.load(a)), v128.load(b));
    const s1 = f32x4.add(f32x4.add(v128.load(y, 16), v128.load(a, 16)), v128.load(b, 16));
    v128.store(y, f32x4.add(f32x4.add(s0, v128.load(c)), v128.load(d)));
    v128.store(y, f32x4.add(f32x4.add(s1, v128.load(c, 16)), v128.load(d, 16)), 16);
  }
  for (const end = y + ((n & 7) << 2); y < end; y += 4, a += 4, b += 4, c += 4, d += 4) {
    store<f32>(y, load<f32>(y) + load<f32>(a) + load<f32>(b) + load<f32>(c) + load<f32>(d));
  }
}

/** y (n) += a */
function addOne(a: usize, y: usize, n: u32): void {
  for (const end = y + ((n & ~3) << 2); y < end; y += 16, a += 16) v128.store(y, f32x4.add(v128.load(y), v128.load(a)));
  for (const end = y + ((n & 3) << 2); y < end; y += 4, a += 4) store<f32>(y, load<f32>(y) + load<f32>(a));
}

/**
 * Four rows at a time along all columns of the range: memory is read in order, and the sums, which the first-level cache holds, are loaded once for four rows.
 * Down one column a line, every line of a wide matrix would be a jump.
 */
export function matmul_backward_bias(dy: usize, db: usize, M: u32, N: u32, begin: u32, end: u32): void {
  const row: usize = <usize>N << 2;
  const first = begin << 4;
  const count = min<u32>(N, end << 4) - first;
  const y = db + (first << 2);
  let x = dy + (first << 2);
  let m: u32 = 0;
  for (; m + 4 <= M; m += 4, x += 4 * row) addFour(x, x + row, x + 2 * row, x + 3 * row, y, count);
  for (; m < M; m++, x += row) addOne(x, y, count);
}
