// Causal attention over ragged rows, flash-style: tiles of 32 rows, no (T, T) matrix.  Preludes: math, segments, rows, heads, registers.
//
// Every product is one of two: scores (32, 32) = A (32, D) · Bᵀ, or gradients (32, D) += P (32, 32) · B (32, D), with A and B staged 32
// channels at a time. Of the 8 x 8 threads, (tx, ty) owns rows 4 ty .. 4 ty + 3, scores of columns tx + 8 c, and 4 channels 4 tx of a chunk.

// The prelude binds qkv (N, (H + 2 K) D) at 0 and, for the backward pass, dout (N, H D) at 2.
@group(0) @binding(2) var<storage, read_write> o: array<f32>;  // (N, H D)
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;  // (N, H)

@group(0) @binding(0) var<storage, read> saved_o: array<f32>;  // (N, H D)
@group(0) @binding(2) var<storage, read> dout_rows: array<f32>;  // (N, H D)
@group(0) @binding(3) var<storage, read> saved_lse: array<f32>;  // (N, H)
@group(0) @binding(4) var<storage, read_write> delta: array<f32>;  // (N, H)
@group(0) @binding(4) var<storage, read> saved_delta: array<f32>;  // (N, H)
@group(0) @binding(5) var<storage, read_write> dqkv: array<f32>;  // (N, (H + 2 K) D)

override CHUNKS: u32 = 4u;  // ⌈D / 32⌉, at most REGISTERS / 4
const ROWS: u32 = 32u;
const THREADS: u32 = 64u;
const STRIDE: u32 = 9u;  // 8 vec4 of a chunk, and one against bank conflicts
var<workgroup> tile_a: array<vec4f, ROWS * STRIDE>;
var<workgroup> tile_b: array<vec4f, ROWS * STRIDE>;
var<workgroup> tile_p: array<vec4f, ROWS * STRIDE>;  // [row][tx]: component c is column tx + 8 c
var<workgroup> bounds: array<u32, ROWS>;
var<workgroup> row_partials: array<vec4f, THREADS>;  // of a thread's 4 rows

fn stage_qkv_a(first: u32, head: u32, chunk: u32, thread: u32) {
  @unroll(4) for (var s = 0u; s < 4u; s++) {
    let row = 8u * s + thread / 8u;
    tile_a[row * STRIDE + thread % 8u] = qkv_at(first + row, head, chunk * 32u + thread % 8u * 4u);
  }
}

fn stage_qkv_b(first: u32, head: u32, chunk: u32, thread: u32) {
  @unroll(4) for (var s = 0u; s < 4u; s++) {
    let row = 8u * s + thread / 8u;
    tile_b[row * STRIDE + thread % 8u] = qkv_at(first + row, head, chunk * 32u + thread % 8u * 4u);
  }
}

fn stage_dout_a(first: u32, head: u32, chunk: u32, thread: u32) {
  @unroll(4) for (var s = 0u; s < 4u; s++) {
    let row = 8u * s + thread / 8u;
    tile_a[row * STRIDE + thread % 8u] = dout_at(first + row, head, chunk * 32u + thread % 8u * 4u);
  }
}

fn stage_dout_b(first: u32, head: u32, chunk: u32, thread: u32) {
  @unroll(4) for (var s = 0u; s < 4u; s++) {
    let row = 8u * s + thread / 8u;
    tile_b[row * STRIDE + thread % 8u] = dout_at(first + row, head, chunk * 32u + thread % 8u * 4u);
  }
}

// sum + m v, by fused multiply-adds alone
fn add_product(sum: vec4f, m: mat4x4f, v: vec4f) -> vec4f {
  return fma(m[0], vec4f(v.x), fma(m[1], vec4f(v.y), fma(m[2], vec4f(v.z), fma(m[3], vec4f(v.w), sum))));
}

// sum, and [i][c] row 4 ty + i of tile_a · row tx + 8 c of tile_b
fn score_products(sum: mat4x4f, tx: u32, ty: u32) -> mat4x4f {
  var scores = sum;
  for (var l = 0u; l < 8u; l++) {
    let b = transpose(mat4x4f(
      tile_b[tx * STRIDE + l], tile_b[(tx + 8u) * STRIDE + l], tile_b[(tx + 16u) * STRIDE + l], tile_b[(tx + 24u) * STRIDE + l]));
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      scores[i] = add_product(scores[i], b, tile_a[(4u * ty + i) * STRIDE + l]);
    }
  }
  return scores;
}

// [i] = row 4 ty + i of tile_p · channels 4 tx .. of tile_b
fn channel_products(tx: u32, ty: u32) -> mat4x4f {
  var products = mat4x4f();
  for (var l = 0u; l < 8u; l++) {
    let b = mat4x4f(
      tile_b[l * STRIDE + tx], tile_b[(l + 8u) * STRIDE + tx], tile_b[(l + 16u) * STRIDE + tx], tile_b[(l + 24u) * STRIDE + tx]);
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      products[i] = add_product(products[i], b, tile_p[(4u * ty + i) * STRIDE + l]);
    }
  }
  return products;
}

@compute @workgroup_size(THREADS)
fn attention_forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % 8u;
  let ty = thread / 8u;
  let head = group.y;
  let key_head = params.H + head * params.K / params.H;
  let first = group.x * ROWS;
  if (thread < ROWS) {
    bounds[thread] = first_seen(segment_of(first + thread).x, first + thread);
  }
  workgroupBarrier();
  let begin = first_seen(segment_of(first).x, first);
  var sums: array<vec4f, REGISTERS>;
  var row_max = vec4f(LOWEST);
  var totals = vec4f();  // this thread's share of Σ exp, of its 4 rows
  for (var key = begin; key < min(first + ROWS, params.N); key += ROWS) {
    var scores = mat4x4f();
    @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      if (CHUNKS > 1u || key == begin) {
        stage_qkv_a(first, head, chunk, thread);
      }
      stage_qkv_b(key, key_head, chunk, thread);
      workgroupBarrier();
      scores = score_products(scores, tx, ty);
      workgroupBarrier();
    }
    let columns = key + tx + vec4u(0u, 8u, 16u, 24u);
    var largest = vec4f();
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      let row = 4u * ty + i;
      let is_seen = (columns >= vec4u(bounds[row])) & (columns <= vec4u(first + row));
      scores[i] = select(vec4f(LOWEST), soft_cap4(scores[i] * params.scale, params.cap), is_seen);
      largest[i] = max(max(scores[i].x, scores[i].y), max(scores[i].z, scores[i].w));
    }
    row_partials[thread] = largest;
    workgroupBarrier();
    let before = row_max;
    for (var t = 0u; t < 8u; t++) {
      row_max = max(row_max, row_partials[8u * ty + t]);
    }
    let shrink = exp(before - row_max);
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      let p = select(vec4f(), exp(scores[i] - row_max[i]), scores[i] > vec4f(LOWEST));
      tile_p[(4u * ty + i) * STRIDE + tx] = p;
      totals[i] = totals[i] * shrink[i] + (p.x + p.y + p.z + p.w);
      @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        sums[4u * chunk + i] *= shrink[i];
      }
    }
    @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      stage_qkv_b(key, key_head + params.K, chunk, thread);
      workgroupBarrier();
      let products = channel_products(tx, ty);
      @unroll(4) for (var i = 0u; i < 4u; i++) {
        sums[4u * chunk + i] += products[i];
      }
      workgroupBarrier();
    }
  }
  row_partials[thread] = totals;
  workgroupBarrier();
  var row_totals = vec4f();
  for (var t = 0u; t < 8u; t++) {
    row_totals += row_partials[8u * ty + t];
  }
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    let n = first + 4u * ty + i;
    let total = row_totals[i];
    if (n < params.N) {
      let inverse = select(0.0, 1.0 / total, total > 0.0);
      @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        @unroll(4) for (var j = 0u; j < 4u; j++) {
          let d = chunk * 32u + 4u * tx + j;
          if (d < params.D) {
            o[(n * params.H + head) * params.D + d] = sums[4u * chunk + i][j] * inverse;
          }
        }
      }
      if (tx == 0u) {
        lse[n * params.H + head] = select(0.0, row_max[i] + log(total), total > 0.0);
      }
    }
  }
}

// delta = Σ_d do · o
@compute @workgroup_size(THREADS)
fn attention_backward_delta(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let index = (group.y * groups.x + group.x) * THREADS + thread;
  if (index >= params.N * params.H) {
    return;
  }
  var sum = 0.0;
  for (var d = 0u; d < params.D; d++) {
    sum += dout_rows[index * params.D + d] * saved_o[index * params.D + d];
  }
  delta[index] = sum;
}

// dS = P (do vᵀ - δ) (1 - (s / cap)²), dq = scale dS k: a workgroup owns 32 query rows of a head.
@compute @workgroup_size(THREADS)
fn attention_backward_query(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % 8u;
  let ty = thread / 8u;
  let head = group.y;
  let key_head = params.H + head * params.K / params.H;
  let first = group.x * ROWS;
  if (thread < ROWS) {
    bounds[thread] = first_seen(segment_of(first + thread).x, first + thread);
  }
  workgroupBarrier();
  let begin = first_seen(segment_of(first).x, first);
  var row_lse = vec4f();
  var row_delta = vec4f();
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    let n = first + 4u * ty + i;
    if (n < params.N) {
      row_lse[i] = saved_lse[n * params.H + head];
      row_delta[i] = saved_delta[n * params.H + head];
    }
  }
  var sums: array<vec4f, REGISTERS>;
  for (var key = begin; key < min(first + ROWS, params.N); key += ROWS) {
    var scores = mat4x4f();
    var dp = mat4x4f();
    @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      stage_qkv_a(first, head, chunk, thread);
      stage_qkv_b(key, key_head, chunk, thread);
      workgroupBarrier();
      scores = score_products(scores, tx, ty);
      workgroupBarrier();
      stage_dout_a(first, head, chunk, thread);
      stage_qkv_b(key, key_head + params.K, chunk, thread);
      workgroupBarrier();
      dp = score_products(dp, tx, ty);
      workgroupBarrier();
    }
    let columns = key + tx + vec4u(0u, 8u, 16u, 24u);
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      let row = 4u * ty + i;
      let is_seen = (columns >= vec4u(bounds[row])) & (columns <= vec4u(first + row));
      let score = soft_cap4(scores[i] * params.scale, params.cap);
      let p = select(vec4f(), exp(min(score - row_lse[i], vec4f())), is_seen);
      tile_p[row * STRIDE + tx] = params.scale * p * (dp[i] - row_delta[i]) * soft_cap_slope4(score, params.cap);
    }
    @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      stage_qkv_b(key, key_head, chunk, thread);
      workgroupBarrier();
      let products = channel_products(tx, ty);
      @unroll(4) for (var i = 0u; i < 4u; i++) {
        sums[4u * chunk + i] += products[i];
      }
      workgroupBarrier();
    }
  }
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      write_gradient(first + 4u * ty + i, head, chunk, tx, sums[4u * chunk + i]);
    }
  }
}

// dv = Pᵀ do, dk = scale dSᵀ q: a workgroup owns 32 key rows of a key head and goes through the query heads that use it.
@compute @workgroup_size(THREADS)
fn attention_backward_key(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % 8u;
  let ty = thread / 8u;
  let key_head = params.H + group.y;
  let first = group.x * ROWS;
  if (thread < ROWS) {
    bounds[thread] = last_seeing(segment_of(first + thread).y, first + thread);
  }
  workgroupBarrier();
  let last = min(first + ROWS, params.N) - 1u;
  let end = last_seeing(segment_of(last).y, last);
  var dk: array<vec4f, REGISTERS>;
  var dv: array<vec4f, REGISTERS>;
  // Query head h uses key head ⌊h K / H⌋.
  let head_begin = (group.y * params.H + params.K - 1u) / params.K;
  let head_end = ((group.y + 1u) * params.H + params.K - 1u) / params.K;
  for (var head = head_begin; head < head_end; head++) {
    for (var query = first; query < end; query += ROWS) {
      var scores = mat4x4f();
      var dp = mat4x4f();
      @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        stage_qkv_a(first, key_head, chunk, thread);
        stage_qkv_b(query, head, chunk, thread);
        workgroupBarrier();
        scores = score_products(scores, tx, ty);
        workgroupBarrier();
        stage_qkv_a(first, key_head + params.K, chunk, thread);
        stage_dout_b(query, head, chunk, thread);
        workgroupBarrier();
        dp = score_products(dp, tx, ty);
        workgroupBarrier();
      }
      let columns = query + tx + vec4u(0u, 8u, 16u, 24u);
      var column_lse = vec4f();
      var column_delta = vec4f();
      @unroll(4) for (var c = 0u; c < 4u; c++) {
        if (columns[c] < params.N) {
          column_lse[c] = saved_lse[columns[c] * params.H + head];
          column_delta[c] = saved_delta[columns[c] * params.H + head];
        }
      }
      @unroll(4) for (var i = 0u; i < 4u; i++) {
        let row = 4u * ty + i;
        let is_seeing = (columns >= vec4u(first + row)) & (columns < vec4u(bounds[row]));
        let score = soft_cap4(scores[i] * params.scale, params.cap);
        let p = select(vec4f(), exp(min(score - column_lse, vec4f())), is_seeing);
        tile_p[row * STRIDE + tx] = p;
        scores[i] = params.scale * p * (dp[i] - column_delta) * soft_cap_slope4(score, params.cap);
      }
      @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        stage_dout_b(query, head, chunk, thread);
        workgroupBarrier();
        let products = channel_products(tx, ty);
        @unroll(4) for (var i = 0u; i < 4u; i++) {
          dv[4u * chunk + i] += products[i];
        }
        workgroupBarrier();
      }
      @unroll(4) for (var i = 0u; i < 4u; i++) {
        tile_p[(4u * ty + i) * STRIDE + tx] = scores[i];
      }
      @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        stage_qkv_b(query, head, chunk, thread);
        workgroupBarrier();
        let products = channel_products(tx, ty);
        @unroll(4) for (var i = 0u; i < 4u; i++) {
          dk[4u * chunk + i] += products[i];
        }
        workgroupBarrier();
      }
    }
  }
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    @unroll(CHUNKS) for (var chunk = 0u; chunk < CHUNKS; chunk++) {
      write_gradient(first + 4u * ty + i, key_head, chunk, tx, dk[4u * chunk + i]);
      write_gradient(first + 4u * ty + i, key_head + params.K, chunk, tx, dv[4u * chunk + i]);
    }
  }
}

// Channels 4 tx .. of one chunk of a row of dqkv.
fn write_gradient(n: u32, head: u32, chunk: u32, tx: u32, value: vec4f) {
  @unroll(4) for (var j = 0u; j < 4u; j++) {
    let d = chunk * 32u + 4u * tx + j;
    if (n < params.N && d < params.D) {
      dqkv[(n * (params.H + 2u * params.K) + head) * params.D + d] = value[j];
    }
  }
}
