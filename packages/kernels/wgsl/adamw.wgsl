// Global-norm clipping and AdamW over flat buffers.  Preludes: grid, reduce.

struct SumParams { N: u32 }
struct CombineParams { count: u32 }
struct ClipParams { O: u32, Q: u32, max_norm: f32 }
struct StepParams {
  N: u32,
  Q: u32,
  lr: f32,
  beta1: f32,
  beta2: f32,
  eps: f32,
  weight_decay: f32,
  correction1: f32,
  correction2: f32,
}
@group(1) @binding(0) var<uniform> summed: SumParams;
@group(1) @binding(0) var<uniform> combine: CombineParams;
@group(1) @binding(0) var<uniform> clip: ClipParams;
@group(1) @binding(0) var<uniform> update: StepParams;

@group(0) @binding(0) var<storage, read> g: array<f32>;  // (N)
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;  // (groups)
@group(0) @binding(0) var<storage, read> saved_partials: array<f32>;  // (groups)
@group(0) @binding(1) var<storage, read_write> sum: array<f32>;  // (1)
@group(0) @binding(0) var<storage, read> squares: array<f32>;  // (1)
@group(0) @binding(1) var<storage, read_write> stats: array<f32>;  // (norm, coefficient)
@group(0) @binding(1) var<storage, read> saved_stats: array<f32>;  // (norm, coefficient)
@group(0) @binding(2) var<storage, read_write> p: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read_write> m: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> v: array<f32>;  // (N)

// partials[i] = Σ g² over the i-th of num_workgroups equal parts
@compute @workgroup_size(WORKGROUP)
fn adamw_sum_squares_partial(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let part = (summed.N + groups.x - 1u) / groups.x;
  let end = min(summed.N, (group.x + 1u) * part);
  var total = 0.0;
  for (var n = group.x * part + lane; n < end; n += WORKGROUP) {
    total += g[n] * g[n];
  }
  total = workgroup_sum(lane, total);
  if (lane == 0u) {
    partials[group.x] = total;
  }
}

@compute @workgroup_size(WORKGROUP)
fn adamw_sum_squares_combine(@builtin(local_invocation_index) lane: u32) {
  var total = 0.0;
  for (var i = lane; i < combine.count; i += WORKGROUP) {
    total += saved_partials[i];
  }
  total = workgroup_sum(lane, total);
  if (lane == 0u) {
    sum[0] += total;
  }
}

@compute @workgroup_size(1)
fn adamw_clip() {
  let total = squares[0];
  let norm = sqrt(total);
  var coefficient = 1.0;
  if (clip.max_norm != 0.0) {
    coefficient = min(1.0, clip.max_norm / (norm + 1e-6));
  }
  // By its bits: WGSL compilers may assume that a float is finite.
  if ((bitcast<u32>(total) & 0x7f800000u) == 0x7f800000u) {
    coefficient = 0.0;
  }
  stats[0] = norm;
  stats[1] = coefficient;
}

@compute @workgroup_size(ELEMENTWISE)
fn adamw_step(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  let coefficient = saved_stats[1];
  if (n >= update.N || coefficient == 0.0) {
    return;
  }
  let clipped = coefficient * g[n];
  let first = update.beta1 * m[n] + (1.0 - update.beta1) * clipped;
  let second = update.beta2 * v[n] + (1.0 - update.beta2) * clipped * clipped;
  let decayed = p[n] - update.lr * update.weight_decay * p[n];
  m[n] = first;
  v[n] = second;
  p[n] = decayed - update.lr * (first / update.correction1) / (sqrt(second / update.correction2) + update.eps);
}
