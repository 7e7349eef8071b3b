// RMS norm of parts of rows [H query parts of A | K key parts of B | K value parts of B]; value parts are copied.  Prelude: grid.

struct ForwardParams { N: u32, A: u32, B: u32, H: u32, K: u32, eps: f32 }
struct BackwardParams { N: u32, A: u32, B: u32, H: u32, K: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: BackwardParams;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (N, H A + 2 K B)
@group(0) @binding(1) var<storage, read> wq: array<f32>;  // (A)
@group(0) @binding(2) var<storage, read> wk: array<f32>;  // (B)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // (N, H A + 2 K B)
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>;  // (N, H + K)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N, H A + 2 K B)
@group(0) @binding(1) var<storage, read> saved_x: array<f32>;  // (N, H A + 2 K B)
@group(0) @binding(2) var<storage, read> saved_wq: array<f32>;  // (A)
@group(0) @binding(3) var<storage, read> saved_wk: array<f32>;  // (B)
@group(0) @binding(4) var<storage, read> saved_rstd: array<f32>;  // (N, H + K)
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;  // (N, H A + 2 K B)
@group(0) @binding(5) var<storage, read_write> query_partials: array<f32>;  // (blocks, A)
@group(0) @binding(6) var<storage, read_write> key_partials: array<f32>;  // (blocks, B)

// A workgroup holds THREADS / LANES parts with LANES threads each.
override LANES: u32 = 16u;
const THREADS: u32 = 64u;
var<workgroup> partial_sums: array<f32, THREADS>;

// The sum over a part's LANES threads, for all parts of the workgroup at once.
fn part_sum(thread: u32, value: f32) -> f32 {
  partial_sums[thread] = value;
  workgroupBarrier();
  let begin = thread / LANES * LANES;
  var sum = 0.0;
  for (var i = 0u; i < LANES; i++) {
    sum += partial_sums[begin + i];
  }
  return sum;
}

// Part `index` of all rows' parts: its first element, its size, and its place in its row.
struct Part { at: u32, size: u32, place: u32 }

fn part_of(index: u32, A: u32, B: u32, H: u32, K: u32) -> Part {
  let parts = H + 2u * K;
  let place = index % parts;
  let row = index / parts * (H * A + 2u * K * B);
  if (place < H) {
    return Part(row + place * A, A, place);
  }
  return Part(row + H * A + (place - H) * B, B, place);
}

@compute @workgroup_size(THREADS)
fn head_norm_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let parts = forward.H + 2u * forward.K;
  let index = linear_group(group, groups) * (THREADS / LANES) + thread / LANES;
  let lane = thread % LANES;
  let part = part_of(index, forward.A, forward.B, forward.H, forward.K);
  let is_inside = index < forward.N * parts;
  let is_normed = is_inside && part.place < forward.H + forward.K;
  var squares = 0.0;
  if (is_normed) {
    for (var d = lane; d < part.size; d += LANES) {
      squares += x[part.at + d] * x[part.at + d];
    }
  }
  let r = 1.0 / sqrt(part_sum(thread, squares) / f32(part.size) + forward.eps);
  if (is_inside) {
    for (var d = lane; d < part.size; d += LANES) {
      if (!is_normed) {
        y[part.at + d] = x[part.at + d];
      } else if (part.place < forward.H) {
        y[part.at + d] = wq[d] * x[part.at + d] * r;
      } else {
        y[part.at + d] = wk[d] * x[part.at + d] * r;
      }
    }
  }
  if (is_normed && lane == 0u) {
    rstd[index / parts * (forward.H + forward.K) + part.place] = r;
  }
}

fn weight_of(place: u32, d: u32) -> f32 {
  if (place < backward.H) {
    return saved_wq[d];
  }
  return saved_wk[d];
}

// Per part as in rms-norm: dx = rstd (w dy - x̂ mean(w dy x̂)); the gradient of value parts is copied.
@compute @workgroup_size(THREADS)
fn head_norm_backward_input(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let parts = backward.H + 2u * backward.K;
  let index = linear_group(group, groups) * (THREADS / LANES) + thread / LANES;
  let lane = thread % LANES;
  let part = part_of(index, backward.A, backward.B, backward.H, backward.K);
  let is_inside = index < backward.N * parts;
  let is_normed = is_inside && part.place < backward.H + backward.K;
  var r = 0.0;
  var projection = 0.0;
  if (is_normed) {
    r = saved_rstd[index / parts * (backward.H + backward.K) + part.place];
    for (var d = lane; d < part.size; d += LANES) {
      projection += weight_of(part.place, d) * dy[part.at + d] * saved_x[part.at + d] * r;
    }
  }
  let mean = part_sum(thread, projection) / f32(part.size);
  if (is_inside) {
    for (var d = lane; d < part.size; d += LANES) {
      if (is_normed) {
        dx[part.at + d] = r * (weight_of(part.place, d) * dy[part.at + d] - saved_x[part.at + d] * r * mean);
      } else {
        dx[part.at + d] = dy[part.at + d];
      }
    }
  }
}

// Σ dy x̂ of channel d over the parts `begin` .. `end` of a row that begin at `at` and are `size` apart.
fn row_product(n: u32, at: u32, size: u32, begin: u32, end: u32, d: u32) -> f32 {
  var sum = 0.0;
  for (var place = begin; place < end; place++) {
    let i = at + (place - begin) * size + d;
    sum += dy[i] * saved_x[i] * saved_rstd[n * (backward.H + backward.K) + place];
  }
  return sum;
}

// dwq and dwk = Σ dy x̂ over one block of rows per workgroup row and the parts; column_sums_combine adds the blocks.
@compute @workgroup_size(64)
fn head_norm_backward_weight(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let d = id.x;
  if (d >= max(backward.A, backward.B)) {
    return;
  }
  let width = backward.H * backward.A + 2u * backward.K * backward.B;
  let height = (backward.N + groups.y - 1u) / groups.y;
  var query = 0.0;
  var key = 0.0;
  for (var n = id.y * height; n < min(backward.N, (id.y + 1u) * height); n++) {
    if (d < backward.A) {
      query += row_product(n, n * width, backward.A, 0u, backward.H, d);
    }
    if (d < backward.B) {
      key += row_product(n, n * width + backward.H * backward.A, backward.B, backward.H, backward.H + backward.K, d);
    }
  }
  if (d < backward.A) {
    query_partials[id.y * backward.A + d] = query;
  }
  if (d < backward.B) {
    key_partials[id.y * backward.B + d] = key;
  }
}
