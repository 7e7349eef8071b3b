// The right operand of a product in low precision: packed rows in one of the formats of src/weight-formats.ts.

@group(0) @binding(1) var<storage, read> b: array<u32>;

// The format's id.
override FORMAT: u32 = 1u;
const BF16: u32 = 2u;
const INT8: u32 = 3u;
const NF4: u32 = 4u;
const INT4: u32 = 5u;

const NF4_LEVELS = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0);

fn level(codes: u32, shift: u32) -> f32 {
  return NF4_LEVELS[(codes >> shift) & 15u];
}

// Weights (row, column) .. (row, column + 3); zero outside the matrix. `column` is a multiple of 4. Codes behind a row's last are those of zero.
fn read_b(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  if (row >= rows || column >= columns) {
    return vec4f();
  }
  let groups = (columns + 15u) / 16u;
  if (FORMAT <= BF16) {
    let at = (row * 8u * groups) + column / 2u;
    let low = b[at];
    let high = b[at + 1u];
    if (FORMAT == BF16) {
      return bitcast<vec4f>(vec4u(low << 16u, low & 0xffff0000u, high << 16u, high & 0xffff0000u));
    }
    return vec4f(unpack2x16float(low), unpack2x16float(high));
  }
  let scales = (columns + 63u) / 64u;
  if (FORMAT == INT8) {
    let start = row * (4u * groups + scales);
    let scale = bitcast<f32>(b[start + 4u * groups + column / 64u]);
    let codes = bitcast<i32>(b[start + column / 4u]);
    return vec4f(vec4i(codes << 24u, codes << 16u, codes << 8u, codes) >> vec4u(24u)) * scale;
  }
  let start = row * (2u * groups + scales);
  let scale = bitcast<f32>(b[start + 2u * groups + column / 64u]);
  // Four codes of the eight that a word holds, in the low half.
  let codes = b[start + column / 8u] >> (4u * (column & 4u));
  if (FORMAT == NF4) {
    return vec4f(level(codes, 0u), level(codes, 4u), level(codes, 8u), level(codes, 12u)) * scale;
  }
  return vec4f((vec4i(bitcast<i32>(codes)) << vec4u(28u, 24u, 20u, 16u)) >> vec4u(28u)) * scale;
}
