/** Block-wise 8-bit numbers: blocks of 256 values with a scale, each value the index of the nearest code. */

const BLOCK: u32 = 256;

/** Index of the nearest of K ascending codes; of two equally near the smaller. */
// @ts-ignore: decorator
@inline
function nearest(codes: usize, K: u32, value: f32): u32 {
  let low: u32 = 0;
  let high: u32 = K - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (load<f32>(codes + (middle << 2)) < value) low = middle + 1;
    else high = middle;
  }
  if (low == 0) return 0;
  const above = load<f32>(codes + (low << 2)) - value;
  const below = value - load<f32>(codes + ((low - 1) << 2));
  return below <= above ? low - 1 : low;
}

/** Items are blocks. */
export function blockwise_quantize(x: usize, codes: usize, q: usize, scales: usize, W: u32, K: u32, B: u32, begin: u32, end: u32): void {
  for (let b = begin; b < end; b++) {
    const first = b * BLOCK;
    const last = min<u32>(4 * W, first + BLOCK);
    let scale: f32 = 0;
    for (let n = first; n < last; n++) {
      const value = load<f32>(x + (n << 2));
      if (abs<f32>(value) > abs<f32>(scale) || (value == -scale && value > 0)) scale = value;
    }
    store<f32>(scales + (b << 2), scale);
    for (let n = first; n < last; n++) {
      const value = scale == 0 ? <f32>0 : load<f32>(x + (n << 2)) / scale;
      store<u8>(q + n, <u8>nearest(codes, K, value));
    }
  }
}

/** Items are blocks. */
export function blockwise_dequantize(q: usize, scales: usize, codes: usize, x: usize, W: u32, B: u32, K: u32, begin: u32, end: u32): void {
  for (let b = begin; b < end; b++) {
    const first = b * BLOCK;
    const last = min<u32>(4 * W, first + BLOCK);
    const scale = load<f32>(scales + (b << 2));
    for (let n = first; n < last; n++) store<f32>(x + (n << 2), scale * load<f32>(codes + (<usize>load<u8>(q + n) << 2)));
  }
}
