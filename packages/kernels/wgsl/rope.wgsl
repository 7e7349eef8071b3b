// Rotary position embedding, in place: pairs (i, i + R) of the first `heads` heads turn by their position's angle.  Prelude: grid.

struct Params { T: u32, R: u32, N: u32, P: u32, heads: u32, D: u32, direction: f32 }
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(0) var<storage, read> cosines: array<f32>;  // (T, R)
@group(0) @binding(1) var<storage, read> sines: array<f32>;  // (T, R)
@group(0) @binding(2) var<storage, read> positions: array<u32>;  // (N)
@group(0) @binding(3) var<storage, read_write> x: array<f32>;  // (N, P)

// One thread per pair.
@compute @workgroup_size(ELEMENTWISE)
fn rope_rotate(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let index = element_index(group, groups, lane);
  let pairs = params.heads * params.R;
  if (index >= params.N * pairs) {
    return;
  }
  let n = index / pairs;
  let head = index % pairs / params.R;
  let i = index % params.R;
  let low = n * params.P + params.D * head + i;
  let high = low + params.R;
  let c = cosines[positions[n] * params.R + i];
  let s = params.direction * sines[positions[n] * params.R + i];
  let turned = vec2f(x[low] * c - x[high] * s, x[high] * c + x[low] * s);
  x[low] = turned.x;
  x[high] = turned.y;
}
