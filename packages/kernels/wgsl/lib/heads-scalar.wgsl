// The rows that attention reads, channel by channel: for any D.  Uses the parameters of attention-rows.wgsl.

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> dout: array<f32>;

// Channels d .. d + 3 of one head of a row, zero outside. `d` is a multiple of 4; heads of qkv count its query, key and value heads.
fn qkv_at(row: u32, head: u32, d: u32) -> vec4f {
  var value = vec4f();
  if (row < params.N) {
    let at = (row * (params.H + 2u * params.K) + head) * params.D + d;
    if (d < params.D) { value.x = qkv[at]; }
    if (d + 1u < params.D) { value.y = qkv[at + 1u]; }
    if (d + 2u < params.D) { value.z = qkv[at + 2u]; }
    if (d + 3u < params.D) { value.w = qkv[at + 3u]; }
  }
  return value;
}

fn dout_at(row: u32, head: u32, d: u32) -> vec4f {
  var value = vec4f();
  if (row < params.N) {
    let at = (row * params.H + head) * params.D + d;
    if (d < params.D) { value.x = dout[at]; }
    if (d + 1u < params.D) { value.y = dout[at + 1u]; }
    if (d + 2u < params.D) { value.z = dout[at + 2u]; }
    if (d + 3u < params.D) { value.w = dout[at + 3u]; }
  }
  return value;
}
