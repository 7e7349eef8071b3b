// The paged key/value cache, and attention of one token per row over it.  Preludes: grid, math, reduce.

struct WriteParams { N: u32, L: u32, H: u32, K: u32, D: u32 }
struct CopyParams { N: u32, L: u32, E: u32 }
struct AttendParams {
  N: u32, T: u32, R: u32, B: u32, L: u32, H: u32, K: u32, D: u32, block: u32, scale: f32, cap: f32, window: u32,
}
@group(1) @binding(0) var<uniform> writing: WriteParams;
@group(1) @binding(0) var<uniform> copying: CopyParams;
@group(1) @binding(0) var<uniform> attend: AttendParams;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(1) var<storage, read> slots: array<u32>;  // (N)
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;  // (L, 2 K D), or (L, E) of copy
@group(0) @binding(0) var<storage, read> origins: array<u32>;  // (N)
@group(0) @binding(1) var<storage, read> targets: array<u32>;  // (N)
@group(0) @binding(1) var<storage, read> cosines: array<f32>;  // (T, R)
@group(0) @binding(2) var<storage, read> sines: array<f32>;  // (T, R)
@group(0) @binding(3) var<storage, read> positions: array<u32>;  // (N)
@group(0) @binding(4) var<storage, read> tables: array<u32>;  // (N, B)
@group(0) @binding(5) var<storage, read> lengths: array<u32>;  // (N)
@group(0) @binding(6) var<storage, read_write> cached: array<f32>;  // (L, 2 K D)
@group(0) @binding(7) var<storage, read_write> o: array<f32>;  // (N, H D)

@compute @workgroup_size(ELEMENTWISE)
fn kv_cache_write(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let index = element_index(group, groups, lane);
  let width = 2u * writing.K * writing.D;
  let n = index / width;
  if (n < writing.N) {
    let e = index % width;
    cache[slots[n] * width + e] = qkv[(n * (writing.H + 2u * writing.K) + writing.H) * writing.D + e];
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn kv_cache_copy(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let index = element_index(group, groups, lane);
  let n = index / copying.E;
  if (n < copying.N) {
    let e = index % copying.E;
    cache[targets[n] * copying.E + e] = cache[origins[n] * copying.E + e];
  }
}

const MAX_D: u32 = 256u;
const LANES: u32 = 4u;  // threads that share one position's dot product
var<workgroup> query: array<f32, MAX_D>;
var<workgroup> partial_dots: array<f32, LANES * WORKGROUP>;
var<workgroup> weights: array<f32, WORKGROUP>;
var<workgroup> value_rows: array<u32, WORKGROUP>;

// A softmax over positions that is under way: the largest score, the sum of e^(score - largest), and the mixture of values of the thread's
// channels lane, lane + WORKGROUP, ...
struct Mixture {
  largest: f32,
  total: f32,
  sums: array<f32, 4>,  // MAX_D / 64
}

// Slot of position t of row r.
fn slot_of(r: u32, t: u32) -> u32 {
  return tables[r * attend.B + t / attend.block] * attend.block + t % attend.block;
}

// Where head number `head` of row r begins in qkv.
fn head_of(r: u32, head: u32) -> u32 {
  return (r * (attend.H + 2u * attend.K) + head) * attend.D;
}

fn key_head(h: u32) -> u32 {
  return h * attend.K / attend.H;
}

// Channel d of the head that begins at `start`, rotated by the angles of `position`.
fn rotated(start: u32, d: u32, position: u32) -> f32 {
  if (d >= 2u * attend.R) {
    return qkv[start + d];
  }
  let i = d % attend.R;
  let c = cosines[position * attend.R + i];
  let s = sines[position * attend.R + i];
  if (d < attend.R) {
    return qkv[start + d] * c - qkv[start + d + attend.R] * s;
  }
  return qkv[start + d] * c + qkv[start + i] * s;
}

// o of row r and head h: what `before` holds, and the row's cached positions up to `end` that it sees, in tiles of WORKGROUP: scores by position, then
// values by channel. `query` is filled.
fn attend_cached(r: u32, h: u32, lane: u32, end: u32, before: Mixture) {
  var mixture = before;
  let width = 2u * attend.K * attend.D;
  let k = key_head(h) * attend.D;
  let length = lengths[r];
  var oldest = 0u;
  if (attend.window > 0u && length > attend.window) {
    oldest = length - attend.window;
  }
  for (var first = oldest; first < end; first += WORKGROUP) {
    let count = min(WORKGROUP, end - first);
    if (lane < count) {
      value_rows[lane] = slot_of(r, first + lane) * width + k;
    }
    workgroupBarrier();
    // LANES neighbouring threads read neighbouring channels of one position.
    for (var base = 0u; base < WORKGROUP; base += WORKGROUP / LANES) {
      let position = base + lane / LANES;
      var partial_dot = 0.0;
      if (position < count) {
        let row = value_rows[position];
        for (var d = lane % LANES; d < attend.D; d += LANES) {
          partial_dot += query[d] * cached[row + d];
        }
      }
      partial_dots[base * LANES + lane] = partial_dot;
    }
    workgroupBarrier();
    var score = LOWEST;
    if (lane < count) {
      let at = lane * LANES;
      let dot = partial_dots[at] + partial_dots[at + 1u] + partial_dots[at + 2u] + partial_dots[at + 3u];
      score = soft_cap(attend.scale * dot, attend.cap);
    }
    let tile_largest = max(mixture.largest, workgroup_max(lane, score));
    let shrink = exp(mixture.largest - tile_largest);
    mixture.largest = tile_largest;
    var weight = 0.0;
    if (lane < count) {
      weight = exp(score - tile_largest);
    }
    weights[lane] = weight;
    mixture.total = mixture.total * shrink + workgroup_sum(lane, weight);
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      let d = lane + i * WORKGROUP;
      if (d < attend.D) {
        var sum = mixture.sums[i] * shrink;
        for (var t = 0u; t < count; t++) {
          sum += weights[t] * cached[value_rows[t] + attend.K * attend.D + d];
        }
        mixture.sums[i] = sum;
      }
    }
    workgroupBarrier();
  }
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    let d = lane + i * WORKGROUP;
    if (d < attend.D) {
      o[(r * attend.H + h) * attend.D + d] = mixture.sums[i] / mixture.total;
    }
  }
}

// One workgroup per (row, head).
@compute @workgroup_size(WORKGROUP)
fn kv_cache_attend(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let r = linear_group(group, groups);
  if (r >= attend.N) {
    return;
  }
  for (var d = lane; d < attend.D; d += WORKGROUP) {
    query[d] = qkv[head_of(r, group.z) + d];
  }
  workgroupBarrier();
  attend_cached(r, group.z, lane, lengths[r], Mixture(LOWEST, 0.0, array<f32, 4>()));
}

// One workgroup per (row, head). The new key and value come from qkv, in which every head finds its own; the first of the heads that share them stores them.
@compute @workgroup_size(WORKGROUP)
fn kv_cache_extend(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let h = group.z;
  let r = linear_group(group, groups);
  if (r >= attend.N) {
    return;
  }
  let newest = lengths[r] - 1u;
  let kv = key_head(h);
  let at = slot_of(r, newest) * 2u * attend.K * attend.D + kv * attend.D;
  let is_first = h == 0u || key_head(h - 1u) != kv;
  let value = head_of(r, attend.H + attend.K + kv);
  var partial_dot = 0.0;
  for (var d = lane; d < attend.D; d += WORKGROUP) {
    let key = rotated(head_of(r, attend.H + kv), d, positions[r]);
    query[d] = rotated(head_of(r, h), d, positions[r]);
    partial_dot += query[d] * key;
    if (is_first) {
      cached[at + d] = key;
      cached[at + attend.K * attend.D + d] = qkv[value + d];
    }
  }
  var values: array<f32, 4>;
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    let d = lane + i * WORKGROUP;
    if (d < attend.D) {
      values[i] = qkv[value + d];
    }
  }
  let score = soft_cap(attend.scale * workgroup_sum(lane, partial_dot), attend.cap);
  attend_cached(r, h, lane, newest, Mixture(score, 1.0, values));
}
