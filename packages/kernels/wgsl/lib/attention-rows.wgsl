// The parameters of attention, and which rows of its ragged batch see which.  Prelude: segments.

struct Params { N: u32, S: u32, H: u32, K: u32, D: u32, scale: f32, cap: f32, window: u32 }
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(1) var<storage, read> offsets: array<u32>;  // (S + 1)

// Begin and end of the sequence that holds `row`; (row + 1, row), which holds nothing, outside every sequence.
fn segment_of(row: u32) -> vec2u {
  let s = segment_ending_after(row, params.S);
  if (row >= params.N || s == params.S || offsets[s] > row) {
    return vec2u(row + 1u, row);
  }
  return vec2u(offsets[s], offsets[s + 1u]);
}

// The first row that `row` of a sequence from `begin` sees; no later row sees an earlier one.
fn first_seen(begin: u32, row: u32) -> u32 {
  if (params.window > 0u && row >= begin + params.window) {
    return row + 1u - params.window;
  }
  return begin;
}

// One past the last row that sees `row` of a sequence up to `end`; no earlier row is seen from further on.
fn last_seeing(end: u32, row: u32) -> u32 {
  if (params.window > 0u) {
    return min(end, row + params.window);
  }
  return end;
}
