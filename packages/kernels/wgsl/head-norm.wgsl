// RMS norm of each query and key head of rows [q heads | k heads | v heads]; value heads are copied.  Prelude: grid.

struct ForwardParams { N: u32, D: u32, H: u32, K: u32, eps: f32 }
struct BackwardParams { N: u32, D: u32, H: u32, K: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: BackwardParams;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(1) var<storage, read> wq: array<f32>;  // (D)
@group(0) @binding(2) var<storage, read> wk: array<f32>;  // (D)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>;  // (N, H + K)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(1) var<storage, read> saved_x: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(2) var<storage, read> saved_wq: array<f32>;  // (D)
@group(0) @binding(3) var<storage, read> saved_wk: array<f32>;  // (D)
@group(0) @binding(4) var<storage, read> saved_rstd: array<f32>;  // (N, H + K)
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(5) var<storage, read_write> query_partials: array<f32>;  // (blocks, D)
@group(0) @binding(6) var<storage, read_write> key_partials: array<f32>;  // (blocks, D)

// A workgroup holds HEADS heads with LANES threads each.
const LANES: u32 = 16u;
const HEADS: u32 = 4u;
const THREADS: u32 = LANES * HEADS;
var<workgroup> partial_sums: array<f32, THREADS>;

// The sum over a head's LANES threads, for all HEADS heads at once.
fn head_sum(thread: u32, value: f32) -> f32 {
  partial_sums[thread] = value;
  workgroupBarrier();
  let begin = thread / LANES * LANES;
  var sum = 0.0;
  for (var i = 0u; i < LANES; i++) {
    sum += partial_sums[begin + i];
  }
  return sum;
}

@compute @workgroup_size(THREADS)
fn head_norm_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let heads = forward.H + 2u * forward.K;
  let index = linear_group(group, groups) * HEADS + thread / LANES;
  let lane = thread % LANES;
  let head = index % heads;
  let is_inside = index < forward.N * heads;
  let is_normed = is_inside && head < forward.H + forward.K;
  let at = index * forward.D;
  var squares = 0.0;
  if (is_normed) {
    for (var d = lane; d < forward.D; d += LANES) {
      squares += x[at + d] * x[at + d];
    }
  }
  let r = 1.0 / sqrt(head_sum(thread, squares) / f32(forward.D) + forward.eps);
  if (is_inside) {
    for (var d = lane; d < forward.D; d += LANES) {
      if (!is_normed) {
        y[at + d] = x[at + d];
      } else if (head < forward.H) {
        y[at + d] = wq[d] * x[at + d] * r;
      } else {
        y[at + d] = wk[d] * x[at + d] * r;
      }
    }
  }
  if (is_normed && lane == 0u) {
    rstd[index / heads * (forward.H + forward.K) + head] = r;
  }
}

fn weight_of(head: u32, d: u32) -> f32 {
  if (head < backward.H) {
    return saved_wq[d];
  }
  return saved_wk[d];
}

// Per head as in rms-norm: dx = rstd (w dy - x̂ mean(w dy x̂)); the gradient of value heads is copied.
@compute @workgroup_size(THREADS)
fn head_norm_backward_input(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let heads = backward.H + 2u * backward.K;
  let index = linear_group(group, groups) * HEADS + thread / LANES;
  let lane = thread % LANES;
  let head = index % heads;
  let is_inside = index < backward.N * heads;
  let is_normed = is_inside && head < backward.H + backward.K;
  let at = index * backward.D;
  var r = 0.0;
  var projection = 0.0;
  if (is_normed) {
    r = saved_rstd[index / heads * (backward.H + backward.K) + head];
    for (var d = lane; d < backward.D; d += LANES) {
      projection += weight_of(head, d) * dy[at + d] * saved_x[at + d] * r;
    }
  }
  let mean = head_sum(thread, projection) / f32(backward.D);
  if (is_inside) {
    for (var d = lane; d < backward.D; d += LANES) {
      if (is_normed) {
        dx[at + d] = r * (weight_of(head, d) * dy[at + d] - saved_x[at + d] * r * mean);
      } else {
        dx[at + d] = dy[at + d];
      }
    }
  }
}

// dwq and dwk = Σ dy x̂ over one block of rows per workgroup row and the heads; column_sums_combine adds the blocks.
@compute @workgroup_size(64)
fn head_norm_backward_weight(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let d = id.x;
  if (d >= backward.D) {
    return;
  }
  let height = (backward.N + groups.y - 1u) / groups.y;
  var query = 0.0;
  var key = 0.0;
  for (var n = id.y * height; n < min(backward.N, (id.y + 1u) * height); n++) {
    for (var head = 0u; head < backward.H + backward.K; head++) {
      let at = (n * (backward.H + 2u * backward.K) + head) * backward.D + d;
      let product = dy[at] * saved_x[at] * saved_rstd[n * (backward.H + backward.K) + head];
      if (head < backward.H) {
        query += product;
      } else {
        key += product;
      }
    }
  }
  query_partials[id.y * backward.D + d] = query;
  key_partials[id.y * backward.D + d] = key;
}
