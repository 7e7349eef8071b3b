/** Sums over ragged segments and their adjoint. Items are segments, or rows. */

/** f64 lanes: a segment may be long and its sum is a loss. */
export function segment_sum(x: usize, offsets: usize, y: usize, N: u32, S: u32, begin: u32, end: u32): void {
  for (let s = begin; s < end; s++) {
    const last = load<u32>(offsets + (s << 2), 4);
    let n = load<u32>(offsets + (s << 2));
    let lanes = f64x2.splat(0);
    for (; n + 4 <= last; n += 4) {
      const v = v128.load(x + (n << 2));
      lanes = f64x2.add(lanes, f64x2.promote_low_f32x4(v));
      lanes = f64x2.add(lanes, f64x2.promote_low_f32x4(v128.shuffle<f64>(v, v, 1, 1)));
    }
    let total = f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1);
    for (; n < last; n++) total += <f64>load<f32>(x + (n << 2));
    store<f32>(y + (s << 2), <f32>total);
  }
}

export function segment_broadcast(y: usize, offsets: usize, x: usize, S: u32, N: u32, begin: u32, end: u32): void {
  // The last segment that starts at or before `begin`.
  let low: u32 = 0;
  let high = S;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (load<u32>(offsets + (middle << 2), 4) > begin) high = middle;
    else low = middle + 1;
  }
  let n = begin;
  for (let s = low; n < end; s++) {
    const first = s < S ? load<u32>(offsets + (s << 2)) : end;
    for (const stop = min<u32>(end, first); n < stop; n++) store<f32>(x + (n << 2), 0);
    if (s >= S) return;
    const value = load<f32>(y + (s << 2));
    for (const stop = min<u32>(end, load<u32>(offsets + (s << 2), 4)); n < stop; n++) store<f32>(x + (n << 2), value);
  }
}
