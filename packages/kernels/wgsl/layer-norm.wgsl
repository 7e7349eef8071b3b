// y = w · (x - mean) · rstd + b, population variance.  Preludes: grid, reduce.

struct ForwardParams { N: u32, C: u32, eps: f32 }
struct BackwardParams { N: u32, C: u32, accumulate: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: BackwardParams;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (N, C)
@group(0) @binding(1) var<storage, read> w: array<f32>;  // (C)
@group(0) @binding(2) var<storage, read> b: array<f32>;  // (C)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // (N, C)
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> rstd: array<f32>;  // (N)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N, C)
@group(0) @binding(1) var<storage, read> saved_x: array<f32>;  // (N, C)
@group(0) @binding(2) var<storage, read> saved_w: array<f32>;  // (C)
@group(0) @binding(3) var<storage, read> saved_mean: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read> saved_rstd: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;  // (N, C)
@group(0) @binding(5) var<storage, read_write> weight_partials: array<f32>;  // (blocks, C)
@group(0) @binding(6) var<storage, read_write> bias_partials: array<f32>;  // (blocks, C)

@compute @workgroup_size(WORKGROUP)
fn layer_norm_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= forward.N) {
    return;
  }
  let row = n * forward.C;
  var sum = 0.0;
  for (var c = lane; c < forward.C; c += WORKGROUP) {
    sum += x[row + c];
  }
  let m = workgroup_sum(lane, sum) / f32(forward.C);
  var squares = 0.0;
  for (var c = lane; c < forward.C; c += WORKGROUP) {
    squares += (x[row + c] - m) * (x[row + c] - m);
  }
  let r = 1.0 / sqrt(workgroup_sum(lane, squares) / f32(forward.C) + forward.eps);
  for (var c = lane; c < forward.C; c += WORKGROUP) {
    y[row + c] = w[c] * ((x[row + c] - m) * r) + b[c];
  }
  if (lane == 0u) {
    mean[n] = m;
    rstd[n] = r;
  }
}

// With x̂ = (x - mean) rstd: dx = rstd (w dy - mean(w dy) - x̂ mean(w dy x̂))
@compute @workgroup_size(WORKGROUP)
fn layer_norm_backward_input(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= backward.N) {
    return;
  }
  let row = n * backward.C;
  let m = saved_mean[n];
  let r = saved_rstd[n];
  var sum = 0.0;
  var projection = 0.0;
  for (var c = lane; c < backward.C; c += WORKGROUP) {
    let g = saved_w[c] * dy[row + c];
    sum += g;
    projection += g * (saved_x[row + c] - m) * r;
  }
  let mean_g = workgroup_sum(lane, sum) / f32(backward.C);
  let mean_projection = workgroup_sum(lane, projection) / f32(backward.C);
  for (var c = lane; c < backward.C; c += WORKGROUP) {
    let normed = (saved_x[row + c] - m) * r;
    let gradient = r * (saved_w[c] * dy[row + c] - mean_g - normed * mean_projection);
    dx[row + c] = select(0.0, dx[row + c], backward.accumulate != 0u) + gradient;
  }
}

// dw = Σ_n dy x̂ and db = Σ_n dy over one block of rows per workgroup row; column_sums_combine adds the blocks.
@compute @workgroup_size(64)
fn layer_norm_backward_weight(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (id.x >= backward.C) {
    return;
  }
  let height = (backward.N + groups.y - 1u) / groups.y;
  var weight = 0.0;
  var bias = 0.0;
  for (var n = id.y * height; n < min(backward.N, (id.y + 1u) * height); n++) {
    let at = n * backward.C + id.x;
    weight += dy[at] * (saved_x[at] - saved_mean[n]) * saved_rstd[n];
    bias += dy[at];
  }
  weight_partials[id.y * backward.C + id.x] = weight;
  bias_partials[id.y * backward.C + id.x] = bias;
}
