// The paged key/value cache, and attention of one new token per row over it.  Preludes: grid, math, reduce.

struct WriteParams { N: u32, L: u32, H: u32, K: u32, D: u32 }
struct CopyParams { N: u32, L: u32, E: u32 }
struct AttendParams { N: u32, L: u32, B: u32, H: u32, K: u32, D: u32, block: u32, scale: f32, cap: f32, window: u32 }
@group(1) @binding(0) var<uniform> writing: WriteParams;
@group(1) @binding(0) var<uniform> copying: CopyParams;
@group(1) @binding(0) var<uniform> attend: AttendParams;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;  // (N, (H + 2 K) D)
@group(0) @binding(1) var<storage, read> slots: array<u32>;  // (N)
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;  // (L, 2 K D), or (L, E) of copy
@group(0) @binding(0) var<storage, read> origins: array<u32>;  // (N)
@group(0) @binding(1) var<storage, read> targets: array<u32>;  // (N)
@group(0) @binding(1) var<storage, read> cached: array<f32>;  // (L, 2 K D)
@group(0) @binding(2) var<storage, read> tables: array<u32>;  // (N, B)
@group(0) @binding(3) var<storage, read> lengths: array<u32>;  // (N)
@group(0) @binding(4) var<storage, read_write> o: array<f32>;  // (N, H D)

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
var<workgroup> partial_dots: array<f32, WORKGROUP>;
var<workgroup> weights: array<f32, WORKGROUP>;
var<workgroup> value_rows: array<u32, WORKGROUP>;

// One workgroup per (row, head). Positions come in tiles of WORKGROUP: scores by position, then values by channel, with a running
// maximum and sum. Every thread owns the channels lane, lane + WORKGROUP, ...
@compute @workgroup_size(WORKGROUP)
fn kv_cache_attend(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let h = group.z;
  let r = linear_group(group, groups);
  if (r >= attend.N) {
    return;
  }
  let length = lengths[r];
  let width = 2u * attend.K * attend.D;
  let k = h * attend.K / attend.H * attend.D;
  for (var d = lane; d < attend.D; d += WORKGROUP) {
    query[d] = qkv[(r * (attend.H + 2u * attend.K) + h) * attend.D + d];
  }
  workgroupBarrier();
  var largest = LOWEST;
  var total = 0.0;
  var sums: array<f32, 4>;  // MAX_D / 64
  var oldest = 0u;
  if (attend.window > 0u && length > attend.window) {
    oldest = length - attend.window;
  }
  for (var first = oldest; first < length; first += WORKGROUP) {
    let count = min(WORKGROUP, length - first);
    if (lane < count) {
      let t = first + lane;
      value_rows[lane] = (tables[r * attend.B + t / attend.block] * attend.block + t % attend.block) * width + k;
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
      partial_dots[lane] = partial_dot;
      workgroupBarrier();
      if (lane < WORKGROUP / LANES) {
        let at = lane * LANES;
        weights[base + lane] = partial_dots[at] + partial_dots[at + 1u] + partial_dots[at + 2u] + partial_dots[at + 3u];
      }
      workgroupBarrier();
    }
    var score = LOWEST;
    if (lane < count) {
      score = soft_cap(attend.scale * weights[lane], attend.cap);
    }
    let tile_largest = max(largest, workgroup_max(lane, score));
    let shrink = exp(largest - tile_largest);
    largest = tile_largest;
    var weight = 0.0;
    if (lane < count) {
      weight = exp(score - largest);
    }
    weights[lane] = weight;
    total = total * shrink + workgroup_sum(lane, weight);
    @unroll(4) for (var i = 0u; i < 4u; i++) {
      let d = lane + i * WORKGROUP;
      if (d < attend.D) {
        var sum = sums[i] * shrink;
        for (var t = 0u; t < count; t++) {
          sum += weights[t] * cached[value_rows[t] + attend.K * attend.D + d];
        }
        sums[i] = sum;
      }
    }
    workgroupBarrier();
  }
  @unroll(4) for (var i = 0u; i < 4u; i++) {
    let d = lane + i * WORKGROUP;
    if (d < attend.D) {
      o[(r * attend.H + h) * attend.D + d] = sums[i] / total;
    }
  }
}
