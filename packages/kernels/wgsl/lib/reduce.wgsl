// Sums and maxima over one workgroup by a fixed tree: the same order of additions on every GPU, whatever its subgroups.
// Every thread of the workgroup must call these, and every thread receives the result.

override WORKGROUP: u32 = 64u;  // a power of two
var<workgroup> reduce_f32: array<f32, WORKGROUP>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
  reduce_f32[lane] = value;
  workgroupBarrier();
  for (var span = WORKGROUP / 2u; span > 0u; span /= 2u) {
    if (lane < span) {
      reduce_f32[lane] += reduce_f32[lane + span];
    }
    workgroupBarrier();
  }
  let total = reduce_f32[0];
  workgroupBarrier();
  return total;
}

fn workgroup_max(lane: u32, value: f32) -> f32 {
  reduce_f32[lane] = value;
  workgroupBarrier();
  for (var span = WORKGROUP / 2u; span > 0u; span /= 2u) {
    if (lane < span) {
      reduce_f32[lane] = max(reduce_f32[lane], reduce_f32[lane + span]);
    }
    workgroupBarrier();
  }
  let largest = reduce_f32[0];
  workgroupBarrier();
  return largest;
}
