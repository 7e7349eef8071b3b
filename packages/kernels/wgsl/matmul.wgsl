// y = x · wᵀ + bias + addend;  dx = dy · w;  dw += dyᵀ · x.  Preludes: operands, tile.

struct ForwardParams { M: u32, K: u32, N: u32, has_bias: u32, has_addend: u32 }
struct BackwardParams { M: u32, N: u32, K: u32 }
struct SliceParams { rows: u32, columns: u32, depth: u32, slice: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: BackwardParams;
@group(1) @binding(0) var<uniform> sliced: SliceParams;

// a and b (the preludes') are x (M, K), w (N, K) forward; dy (M, N), w (N, K) to the input; dy (M, N), x (M, K) to the weight.
@group(0) @binding(2) var<storage, read> bias: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read> addend: array<f32>;  // (M, N)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // (M, N)
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;  // dx (M, K) or dw (N, K)
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;  // (slices, rows, columns)

override ACCUMULATE: bool = false;  // add to dx: it is summed over chunks of the depth
override A_ALONG_DEPTH: bool = true;
override B_ALONG_DEPTH: bool = true;

// Loops over what a thread writes end where the result does: compilers of emulated GPUs unroll a loop whose end they know, and take seconds over it.
@compute @workgroup_size(THREADS)
fn matmul_forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * 8u * GROUP_Y;
  let column = group.x * 4u * GROUP_X;
  let sum = tile_product(thread, row, column, 0u, forward.K, Operand(forward.M, forward.K, true), Operand(forward.N, forward.K, true));
  let first = column + 4u * thread_x(thread);
  var shift = vec4f();
  if (forward.has_bias != 0u) {
    @unroll(4, unless EMULATED) for (var j = 0u; j < 4u; j++) {
      if (first + j < forward.N) {
        shift[j] = bias[first + j];
      }
    }
  }
  let top = row + 8u * thread_y(thread);
  let end = min(top + 8u, forward.M);
  @unroll(8, unless EMULATED) for (var i = 0u; top + i < end; i++) {
    write_forward(top + i, first, sum[i] + shift);
  }
}

fn write_forward(m: u32, first: u32, value: vec4f) {
  if (m >= forward.M) {
    return;
  }
  let end = min(first + 4u, forward.N);
  @unroll(4, unless EMULATED) for (var j = 0u; first + j < end; j++) {
    if (first + j < end) {
      let at = m * forward.N + first + j;
      if (forward.has_addend != 0u) {
        y[at] = value[j] + addend[at];
      } else {
        y[at] = value[j];
      }
    }
  }
}

override SKINNY_ROWS: u32 = 8u;

// Rows of the skinny product: a constant to unroll, except on emulated GPUs, whose compilers take seconds over it.
fn skinny_rows() -> u32 {
  if (EMULATED) {
    return forward.M;
  }
  return SKINNY_ROWS;
}

const SKINNY_THREADS: u32 = 64u;
var<workgroup> skinny: array<vec4f, SKINNY_ROWS * SKINNY_THREADS>;

// The forward product for at most SKINNY_ROWS rows: a workgroup reads four rows of w once, its threads side by side along K.
@compute @workgroup_size(SKINNY_THREADS)
fn matmul_forward_skinny(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let first = 4u * (group.y * groups.x + group.x);
  var sum: array<vec4f, 8>;
  for (var k = 4u * thread; k < forward.K; k += 4u * SKINNY_THREADS) {
    let columns = block_b(first, k, Operand(forward.N, forward.K, true));
    @unroll(SKINNY_ROWS, unless EMULATED) for (var m = 0u; m < skinny_rows(); m++) {
      sum[m] += columns * read_a(m, k, forward.M, forward.K);
    }
  }
  @unroll(SKINNY_ROWS, unless EMULATED) for (var m = 0u; m < skinny_rows(); m++) {
    skinny[m * SKINNY_THREADS + thread] = sum[m];
  }
  workgroupBarrier();
  // Eight threads of a row add eight cells each; then one thread of every result adds theirs.
  let own = thread / 8u * SKINNY_THREADS + thread % 8u;
  if (thread / 8u < skinny_rows()) {
    var part = skinny[own];
    for (var i = 1u; i < 8u; i++) {
      part += skinny[own + 8u * i];
    }
    skinny[own] = part;
  }
  workgroupBarrier();
  let m = thread / 4u;
  let n = first + thread % 4u;
  if (m < forward.M && n < forward.N) {
    var value = 0.0;
    for (var i = 0u; i < 8u; i++) {
      value += skinny[m * SKINNY_THREADS + i][thread % 4u];
    }
    if (forward.has_bias != 0u) {
      value += bias[n];
    }
    if (forward.has_addend != 0u) {
      value += addend[m * forward.N + n];
    }
    y[m * forward.N + n] = value;
  }
}

@compute @workgroup_size(THREADS)
fn matmul_backward_input(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * 8u * GROUP_Y;
  let column = group.x * 4u * GROUP_X;
  let sum = tile_product(thread, row, column, 0u, backward.N, Operand(backward.M, backward.N, true), Operand(backward.K, backward.N, false));
  let first = column + 4u * thread_x(thread);
  @unroll(8, unless EMULATED) for (var i = 0u; i < 8u; i++) {
    write_gradient(row + 8u * thread_y(thread) + i, first, sum[i], backward.M, backward.K, ACCUMULATE);
  }
}

@compute @workgroup_size(THREADS)
fn matmul_backward_weight(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * 8u * GROUP_Y;
  let column = group.x * 4u * GROUP_X;
  let sum = tile_product(thread, row, column, 0u, backward.M, Operand(backward.N, backward.M, false), Operand(backward.K, backward.M, false));
  let first = column + 4u * thread_x(thread);
  @unroll(8, unless EMULATED) for (var i = 0u; i < 8u; i++) {
    write_gradient(row + 8u * thread_y(thread) + i, first, sum[i], backward.N, backward.K, true);
  }
}

fn write_gradient(r: u32, first: u32, value: vec4f, rows: u32, columns: u32, is_added: bool) {
  if (r >= rows) {
    return;
  }
  @unroll(4, unless EMULATED) for (var j = 0u; j < 4u; j++) {
    if (first + j < columns) {
      let at = r * columns + first + j;
      if (is_added) {
        gradient[at] += value[j];
      } else {
        gradient[at] = value[j];
      }
    }
  }
}

// Any of the three products over one slice of a long depth: enough workgroups for a small result. matmul_combine sums the slices.
@compute @workgroup_size(THREADS)
fn matmul_slices(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * 8u * GROUP_Y;
  let column = group.x * 4u * GROUP_X;
  let begin = group.z * sliced.slice;
  let sum = tile_product(
    thread, row, column, begin, min(begin + sliced.slice, sliced.depth),
    Operand(sliced.rows, sliced.depth, A_ALONG_DEPTH), Operand(sliced.columns, sliced.depth, B_ALONG_DEPTH));
  let first = column + 4u * thread_x(thread);
  @unroll(8, unless EMULATED) for (var i = 0u; i < 8u; i++) {
    let r = row + 8u * thread_y(thread) + i;
    if (r < sliced.rows) {
      @unroll(4, unless EMULATED) for (var j = 0u; j < 4u; j++) {
        if (first + j < sliced.columns) {
          partials[(group.z * sliced.rows + r) * sliced.columns + first + j] = sum[i][j];
        }
      }
    }
  }
}
