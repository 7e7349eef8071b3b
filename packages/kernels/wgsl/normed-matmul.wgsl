// y = x̂ wᵀ + bias of rows that are normed on the way, or act(gate) · up of the [gate | up] so computed (GATED). A row's own factor 1 / √(mean(x²) + eps) is
// applied to the product, whose left operand is gain · x.  Preludes: math, operand-a-normed, operand-b-*, tile.

struct Params { M: u32, K: u32, N: u32, slice: u32, slices: u32, eps: f32, offset: f32, kind: u32, has_bias: u32 }
@group(1) @binding(0) var<uniform> params: Params;

// a and b (the preludes') are x (M, K) and w (N, K); N is 2 F where GATED.
@group(0) @binding(3) var<storage, read> bias: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // (M, N) or (M, F)
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;  // (slices, M, blocks of columns)
@group(0) @binding(4) var<storage, read_write> squares: array<f32>;  // (slices, M)
@group(0) @binding(0) var<storage, read> saved_partials: array<vec4f>;
@group(0) @binding(1) var<storage, read> saved_squares: array<f32>;

// Blocks of four columns of the product.
fn block_count() -> u32 {
  if (GATED) {
    return (params.N / 2u + 1u) / 2u;
  }
  return (params.N + 3u) / 4u;
}

fn factor_of(sum_of_squares: f32) -> f32 {
  return 1.0 / sqrt(sum_of_squares / f32(params.K) + params.eps);
}

fn biased(value: f32, n: u32) -> f32 {
  if (params.has_bias != 0u) {
    return value + bias[n];
  }
  return value;
}

fn activation(x: f32) -> f32 {
  if (params.kind == 0u) {
    return silu(x);
  }
  return gelu_tanh(x);
}

// Writes what row m of y has of the block of columns that begins at `first`.
fn write_block(m: u32, first: u32, value: vec4f) {
  if (m >= params.M) {
    return;
  }
  if (GATED) {
    let F = params.N / 2u;
    let end = min(first / 2u + 2u, F);
    @unroll(2, unless EMULATED) for (var j = 0u; first / 2u + j < end; j++) {
      let f = first / 2u + j;
      if (f < end) {
        y[m * F + f] = activation(biased(value[j], f)) * biased(value[2u + j], F + f);
      }
    }
    return;
  }
  let end = min(first + 4u, params.N);
  @unroll(4, unless EMULATED) for (var j = 0u; first + j < end; j++) {
    if (first + j < end) {
      y[m * params.N + first + j] = biased(value[j], first + j);
    }
  }
}

override SKINNY_ROWS: u32 = 8u;

// A constant to unroll, except on emulated GPUs, as in matmul.wgsl.
fn skinny_rows() -> u32 {
  if (EMULATED) {
    return params.M;
  }
  return SKINNY_ROWS;
}

const SKINNY_THREADS: u32 = 64u;
var<workgroup> skinny: array<vec4f, SKINNY_ROWS * SKINNY_THREADS>;
var<workgroup> skinny_squares: array<f32, SKINNY_ROWS * SKINNY_THREADS>;

// At most SKINNY_ROWS rows, as matmul_forward_skinny: a workgroup reads four rows of w once, and finds the squares of x on the way.
@compute @workgroup_size(SKINNY_THREADS)
fn normed_matmul_skinny(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let first = 4u * (group.y * groups.x + group.x);
  var sum: array<vec4f, 8>;
  var sum_of_squares: array<f32, 8>;
  for (var k = 4u * thread; k < params.K; k += 4u * SKINNY_THREADS) {
    let columns = block_b(first, k, Operand(params.N, params.K, true));
    let gains = gain_at(k);
    @unroll(SKINNY_ROWS, unless EMULATED) for (var m = 0u; m < skinny_rows(); m++) {
      let value = read_x(m, k, params.M, params.K);
      sum[m] += columns * (gains * value);
      sum_of_squares[m] += dot(value, value);
    }
  }
  @unroll(SKINNY_ROWS, unless EMULATED) for (var m = 0u; m < skinny_rows(); m++) {
    skinny[m * SKINNY_THREADS + thread] = sum[m];
    skinny_squares[m * SKINNY_THREADS + thread] = sum_of_squares[m];
  }
  workgroupBarrier();
  // Eight threads of a row add eight cells each; then one adds theirs.
  let own = thread / 8u * SKINNY_THREADS + thread % 8u;
  if (thread / 8u < skinny_rows()) {
    for (var i = 1u; i < 8u; i++) {
      skinny[own] += skinny[own + 8u * i];
      skinny_squares[own] += skinny_squares[own + 8u * i];
    }
  }
  workgroupBarrier();
  if (thread < skinny_rows()) {
    let at = thread * SKINNY_THREADS;
    var total = skinny[at];
    var total_squares = skinny_squares[at];
    for (var i = 1u; i < 8u; i++) {
      total += skinny[at + i];
      total_squares += skinny_squares[at + i];
    }
    write_block(thread, first, total * factor_of(total_squares));
  }
}

// Σ x² of row m over depths begin .. end.
fn squares_of(m: u32, begin: u32, end: u32) -> f32 {
  var sum = vec4f();
  for (var k = begin; k < end; k += 4u) {
    let value = read_x(m, k, params.M, params.K);
    sum += value * value;
  }
  return dot(sum, vec4f(1.0));
}

override TILE_ROWS: u32 = 8u * GROUP_Y;
var<workgroup> factors: array<f32, TILE_ROWS>;

// More rows, a tile of the result for each workgroup.
@compute @workgroup_size(THREADS)
fn normed_matmul_tile(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * TILE_ROWS;
  let column = group.x * 4u * GROUP_X;
  for (var r = thread; r < TILE_ROWS; r += THREADS) {
    factors[r] = factor_of(squares_of(row + r, 0u, params.K));
  }
  let sum = tile_product(thread, row, column, 0u, params.K, Operand(params.M, params.K, true), Operand(params.N, params.K, true));
  workgroupBarrier();
  let first = column + 4u * thread_x(thread);
  let top = row + 8u * thread_y(thread);
  let end = min(top + 8u, params.M);
  @unroll(8, unless EMULATED) for (var i = 0u; top + i < end; i++) {
    write_block(top + i, first, sum[i] * factors[8u * thread_y(thread) + i]);
  }
}

// A tile over one slice of a long depth, and the squares of that slice by the first column of workgroups.
@compute @workgroup_size(THREADS)
fn normed_matmul_slices(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * TILE_ROWS;
  let column = group.x * 4u * GROUP_X;
  let begin = group.z * params.slice;
  let end = min(begin + params.slice, params.K);
  if (group.x == 0u) {
    for (var r = thread; r < min(TILE_ROWS, params.M - row); r += THREADS) {
      squares[group.z * params.M + row + r] = squares_of(row + r, begin, end);
    }
  }
  let sum = tile_product(thread, row, column, begin, end, Operand(params.M, params.K, true), Operand(params.N, params.K, true));
  let quad = column / 4u + thread_x(thread);
  if (quad >= block_count()) {
    return;
  }
  let top = row + 8u * thread_y(thread);
  let last = min(top + 8u, params.M);
  @unroll(8, unless EMULATED) for (var i = 0u; top + i < last; i++) {
    let m = top + i;
    if (m < last) {
      partials[(group.z * params.M + m) * block_count() + quad] = sum[i];
    }
  }
}

// Adds up the slices in order, a block of columns of a row for each thread.
@compute @workgroup_size(ELEMENTWISE)
fn normed_matmul_combine(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  let blocks = block_count();
  let count = params.M * blocks;
  if (at >= count) {
    return;
  }
  let m = at / blocks;
  var sum = vec4f();
  var sum_of_squares = 0.0;
  for (var slice = 0u; slice < params.slices; slice++) {
    sum += saved_partials[slice * count + at];
    sum_of_squares += saved_squares[slice * params.M + m];
  }
  write_block(m, 4u * (at % blocks), sum * factor_of(sum_of_squares));
}
