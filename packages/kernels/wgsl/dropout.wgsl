// Dropout by counter.  Preludes: grid, threefry.

struct Params { N: u32, rate: f32, seed_lo: u32, seed_hi: u32, stream: u32 }
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (N)
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // (N)

@compute @workgroup_size(ELEMENTWISE)
fn dropout_apply(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= params.N) {
    return;
  }
  let u = uniform_draw(vec2u(params.seed_lo, params.seed_hi), vec2u(params.stream, n));
  y[n] = select(0.0, x[n] / (1.0 - params.rate), u >= params.rate);
}
