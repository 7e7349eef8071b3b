// The rows that attention reads, four channels at a time: D is a multiple of 4.  Uses the parameters of attention-rows.wgsl.

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;

// Channels d .. d + 3 of one head of a row, zero outside, without a branch: many reads are under way at once. `d` is a multiple of 4; heads of qkv count its query, key and value heads.
fn qkv_at(row: u32, head: u32, d: u32) -> vec4f {
  let at = ((row * (params.H + 2u * params.K) + head) * params.D + d) / 4u;
  return select(vec4f(), qkv[at], row < params.N && d < params.D);
}

fn dout_at(row: u32, head: u32, d: u32) -> vec4f {
  let at = ((row * params.H + head) * params.D + d) / 4u;
  return select(vec4f(), dout[at], row < params.N && d < params.D);
}
