// Causal attention over ragged rows for GPUs with subgroups: neighbouring threads own a row of a head.  Preludes: math, segments, rows, heads; this one comes first.
enable subgroups;
//
// PARTS threads of a subgroup share a row: each holds every PARTS-th vec4 of its channels in registers. Rows of the other side are staged SPAN at a time and
// whole, and all threads read the same one at the same time. A score is the sum of the row's threads, by shuffles: what the tiles of attention.wgsl
// exchange through workgroup memory stays in registers, and two barriers serve SPAN rows.

// The prelude binds qkv (N, (H + 2 K) D) at 0 and, for the backward pass, dout (N, H D) at 2.
@group(0) @binding(2) var<storage, read_write> o: array<f32>;  // (N, H D)
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;  // (N, H)

@group(0) @binding(3) var<storage, read> saved_lse: array<f32>;  // (N, H)
@group(0) @binding(4) var<storage, read> saved_delta: array<f32>;  // (N, H)
@group(0) @binding(5) var<storage, read_write> dqkv: array<f32>;  // (N, (H + 2 K) D)

override PARTS: u32 = 2u;  // 1, 2 or 4: every subgroup has at least 4 threads
override VECTORS: u32 = 8u;  // vec4 of a row that one thread holds
const MOST_VECTORS: u32 = 8u;
const ROWS: u32 = 32u;  // of a workgroup, as in attention.wgsl
override THREADS: u32 = ROWS * PARTS;
override SPAN: u32 = 32u / PARTS;
override WIDTH: u32 = PARTS * VECTORS;  // vec4 of a staged row
var<workgroup> staged_a: array<vec4f, SPAN * WIDTH>;  // keys, or queries
var<workgroup> staged_b: array<vec4f, SPAN * WIDTH>;  // values, or do
var<workgroup> leaders: array<atomic<u32>, PARTS>;  // a bit for each thread of the workgroup

struct Place { row: u32, part: u32 }

// A thread's row of the workgroup, and its part of that. The threads of a row must be neighbours in a subgroup, and WGSL does not say which threads of a
// workgroup are: the first one of each row takes the next row.
fn place_of(thread: u32, id: u32) -> Place {
  let part = id % PARTS;
  let leader = subgroupShuffle(thread, id - part);
  if (part == 0u) {
    atomicOr(&leaders[thread / 32u], 1u << (thread % 32u));
  }
  workgroupBarrier();
  var row = countOneBits(atomicLoad(&leaders[leader / 32u]) & ((1u << (leader % 32u)) - 1u));
  for (var word = 0u; word < leader / 32u; word++) {
    row += countOneBits(atomicLoad(&leaders[word]));
  }
  return Place(row, part);
}

fn stage_keys(first: u32, key_head: u32, thread: u32) {
  for (var at = thread; at < SPAN * WIDTH; at += THREADS) {
    staged_a[at] = qkv_at(first + at / WIDTH, key_head, 4u * (at % WIDTH));
    staged_b[at] = qkv_at(first + at / WIDTH, key_head + params.K, 4u * (at % WIDTH));
  }
}

fn stage_queries(first: u32, head: u32, thread: u32) {
  for (var at = thread; at < SPAN * WIDTH; at += THREADS) {
    staged_a[at] = qkv_at(first + at / WIDTH, head, 4u * (at % WIDTH));
    staged_b[at] = dout_at(first + at / WIDTH, head, 4u * (at % WIDTH));
  }
}

// The sum over all channels, given this thread's: over the threads of its row.
fn row_sum(channels: vec4f) -> f32 {
  var sum = channels.x + channels.y + channels.z + channels.w;
  if (PARTS > 1u) {
    sum += subgroupShuffleXor(sum, 1u);
  }
  if (PARTS > 2u) {
    sum += subgroupShuffleXor(sum, 2u);
  }
  return sum;
}

@compute @workgroup_size(THREADS)
fn attention_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_invocation_id) id: u32,
) {
  let place = place_of(thread, id);
  let head = group.y;
  let key_head = params.H + head * params.K / params.H;
  let first_row = group.x * ROWS;
  let n = first_row + place.row;
  let bound = first_seen(segment_of(n).x, n);
  var q: array<vec4f, MOST_VECTORS>;
  var sums: array<vec4f, MOST_VECTORS>;
  @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
    q[i] = params.scale * qkv_at(n, head, 4u * (i * PARTS + place.part));
  }
  var largest = LOWEST;
  var total = 0.0;
  // No row sees further back than the workgroup's first.
  for (var first = first_seen(segment_of(first_row).x, first_row); first < min(first_row + ROWS, params.N); first += SPAN) {
    stage_keys(first, key_head, thread);
    workgroupBarrier();
    for (var t = 0u; t < SPAN; t += 4u) {
      var scores = vec4f();
      var tile_largest = largest;
      @unroll(4) for (var j = 0u; j < 4u; j++) {
        var products = vec4f();
        @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
          products = fma(q[i], staged_a[(t + j) * WIDTH + i * PARTS + place.part], products);
        }
        let key = first + t + j;
        scores[j] = select(LOWEST, soft_cap(row_sum(products), params.cap), key >= bound && key <= n);
        tile_largest = max(tile_largest, scores[j]);
      }
      let shrink = exp(largest - tile_largest);
      largest = tile_largest;
      total *= shrink;
      @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
        sums[i] *= shrink;
      }
      @unroll(4) for (var j = 0u; j < 4u; j++) {
        let p = select(0.0, exp(scores[j] - largest), scores[j] > LOWEST);
        total += p;
        @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
          sums[i] = fma(vec4f(p), staged_b[(t + j) * WIDTH + i * PARTS + place.part], sums[i]);
        }
      }
    }
    workgroupBarrier();
  }
  if (n >= params.N) {
    return;
  }
  let inverse = select(0.0, 1.0 / total, total > 0.0);
  @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
    let value = sums[i] * inverse;
    @unroll(4) for (var c = 0u; c < 4u; c++) {
      let d = 4u * (i * PARTS + place.part) + c;
      if (d < params.D) {
        o[(n * params.H + head) * params.D + d] = value[c];
      }
    }
  }
  if (place.part == 0u) {
    lse[n * params.H + head] = select(0.0, largest + log(total), total > 0.0);
  }
}

// dS = P (do vᵀ - δ) (1 - (s / cap)²), dq = scale dS k: a workgroup owns 32 query rows of a head.
@compute @workgroup_size(THREADS)
fn attention_backward_query(
  @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_invocation_id) id: u32,
) {
  let place = place_of(thread, id);
  let head = group.y;
  let key_head = params.H + head * params.K / params.H;
  let first_row = group.x * ROWS;
  let n = first_row + place.row;
  let bound = first_seen(segment_of(n).x, n);
  let statistic = min(n, params.N - 1u) * params.H + head;
  let row_lse = saved_lse[statistic];
  let row_delta = saved_delta[statistic];
  var q: array<vec4f, MOST_VECTORS>;
  var upstream: array<vec4f, MOST_VECTORS>;
  var dq: array<vec4f, MOST_VECTORS>;
  @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
    q[i] = params.scale * qkv_at(n, head, 4u * (i * PARTS + place.part));
    upstream[i] = dout_at(n, head, 4u * (i * PARTS + place.part));
  }
  for (var first = first_seen(segment_of(first_row).x, first_row); first < min(first_row + ROWS, params.N); first += SPAN) {
    stage_keys(first, key_head, thread);
    workgroupBarrier();
    for (var t = 0u; t < SPAN; t++) {
      let at = t * WIDTH + place.part;
      var products = vec4f();
      var slopes = vec4f();
      @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
        products = fma(q[i], staged_a[at + i * PARTS], products);
        slopes = fma(upstream[i], staged_b[at + i * PARTS], slopes);
      }
      let key = first + t;
      let score = soft_cap(row_sum(products), params.cap);
      let p = select(0.0, exp(min(score - row_lse, 0.0)), key >= bound && key <= n);
      let ds = params.scale * p * (row_sum(slopes) - row_delta) * soft_cap_slope(score, params.cap);
      @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
        dq[i] = fma(vec4f(ds), staged_a[at + i * PARTS], dq[i]);
      }
    }
    workgroupBarrier();
  }
  @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
    write_gradient(n, head, 4u * (i * PARTS + place.part), dq[i]);
  }
}

// dv = Pᵀ do, dk = scale dSᵀ q: a workgroup owns 32 key rows of a key head and goes through the query heads that use it.
@compute @workgroup_size(THREADS)
fn attention_backward_key(
  @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_invocation_id) id: u32,
) {
  let place = place_of(thread, id);
  let key_head = params.H + group.y;
  let first_row = group.x * ROWS;
  let n = first_row + place.row;
  let bound = last_seeing(segment_of(n).y, n);
  // No row is seen from further on than the workgroup's last.
  let last_row = min(first_row + ROWS, params.N) - 1u;
  let end = last_seeing(segment_of(last_row).y, last_row);
  var k: array<vec4f, MOST_VECTORS>;
  var v: array<vec4f, MOST_VECTORS>;
  var dk: array<vec4f, MOST_VECTORS>;
  var dv: array<vec4f, MOST_VECTORS>;
  @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
    k[i] = params.scale * qkv_at(n, key_head, 4u * (i * PARTS + place.part));
    v[i] = qkv_at(n, key_head + params.K, 4u * (i * PARTS + place.part));
  }
  // Query head h uses key head ⌊h K / H⌋.
  let head_begin = (group.y * params.H + params.K - 1u) / params.K;
  let head_end = ((group.y + 1u) * params.H + params.K - 1u) / params.K;
  for (var head = head_begin; head < head_end; head++) {
    for (var first = first_row; first < end; first += SPAN) {
      stage_queries(first, head, thread);
      workgroupBarrier();
      for (var t = 0u; t < SPAN; t++) {
        let at = t * WIDTH + place.part;
        var products = vec4f();
        var slopes = vec4f();
        @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
          products = fma(k[i], staged_a[at + i * PARTS], products);
          slopes = fma(v[i], staged_b[at + i * PARTS], slopes);
        }
        let query = first + t;
        let statistic = min(query, params.N - 1u) * params.H + head;
        let score = soft_cap(row_sum(products), params.cap);
        let p = select(0.0, exp(min(score - saved_lse[statistic], 0.0)), query >= n && query < bound);
        let ds = params.scale * p * (row_sum(slopes) - saved_delta[statistic]) * soft_cap_slope(score, params.cap);
        @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
          dk[i] = fma(vec4f(ds), staged_a[at + i * PARTS], dk[i]);
          dv[i] = fma(vec4f(p), staged_b[at + i * PARTS], dv[i]);
        }
      }
      workgroupBarrier();
    }
  }
  @unroll(VECTORS) for (var i = 0u; i < VECTORS; i++) {
    write_gradient(n, key_head, 4u * (i * PARTS + place.part), dk[i]);
    write_gradient(n, key_head + params.K, 4u * (i * PARTS + place.part), dv[i]);
  }
}

// Channels d .. d + 3 of a row of dqkv.
fn write_gradient(n: u32, head: u32, d: u32, value: vec4f) {
  @unroll(4) for (var c = 0u; c < 4u; c++) {
    if (n < params.N && d + c < params.D) {
      dqkv[(n * (params.H + 2u * params.K) + head) * params.D + d + c] = value[c];
    }
  }
}
