// y = w · x · rstd, rstd = 1 / √(mean(x²) + eps).  Preludes: grid, reduce.

struct ForwardParams { N: u32, C: u32, eps: f32 }
struct BackwardParams { N: u32, C: u32, accumulate: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: BackwardParams;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (N, C)
@group(0) @binding(1) var<storage, read> w: array<f32>;  // (C)
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // (N, C)
@group(0) @binding(3) var<storage, read_write> rstd: array<f32>;  // (N)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N, C)
@group(0) @binding(1) var<storage, read> saved_x: array<f32>;  // (N, C)
@group(0) @binding(2) var<storage, read> saved_w: array<f32>;  // (C)
@group(0) @binding(3) var<storage, read> saved_rstd: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;  // (N, C)
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;  // (blocks, C)

@compute @workgroup_size(WORKGROUP)
fn rms_norm_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= forward.N) {
    return;
  }
  let row = n * forward.C;
  var squares = 0.0;
  for (var c = lane; c < forward.C; c += WORKGROUP) {
    squares += x[row + c] * x[row + c];
  }
  let r = 1.0 / sqrt(workgroup_sum(lane, squares) / f32(forward.C) + forward.eps);
  for (var c = lane; c < forward.C; c += WORKGROUP) {
    y[row + c] = w[c] * x[row + c] * r;
  }
  if (lane == 0u) {
    rstd[n] = r;
  }
}

// With x̂ = x rstd: dx = rstd (w dy - x̂ mean(w dy x̂))
@compute @workgroup_size(WORKGROUP)
fn rms_norm_backward_input(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= backward.N) {
    return;
  }
  let row = n * backward.C;
  let r = saved_rstd[n];
  var projection = 0.0;
  for (var c = lane; c < backward.C; c += WORKGROUP) {
    projection += saved_w[c] * dy[row + c] * saved_x[row + c] * r;
  }
  let mean = workgroup_sum(lane, projection) / f32(backward.C);
  for (var c = lane; c < backward.C; c += WORKGROUP) {
    let gradient = r * (saved_w[c] * dy[row + c] - saved_x[row + c] * r * mean);
    dx[row + c] = select(0.0, dx[row + c], backward.accumulate != 0u) + gradient;
  }
}

// dw = Σ_n dy x̂ over one block of rows per workgroup row; column_sums_combine adds the blocks.
@compute @workgroup_size(64)
fn rms_norm_backward_weight(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (id.x >= backward.C) {
    return;
  }
  let height = (backward.N + groups.y - 1u) / groups.y;
  var sum = 0.0;
  for (var n = id.y * height; n < min(backward.N, (id.y + 1u) * height); n++) {
    let at = n * backward.C + id.x;
    sum += dy[at] * saved_x[at] * saved_rstd[n];
  }
  partials[id.y * backward.C + id.x] = sum;
}
