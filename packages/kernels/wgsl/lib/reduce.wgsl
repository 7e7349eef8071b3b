// Sums and maxima over one workgroup in two steps: the same order of additions on every GPU, whatever its subgroups.
// Every thread of the workgroup must call these, and every thread receives the result.

override WORKGROUP: u32 = 64u;  // a multiple of PARTS
const PARTS: u32 = 16u;
var<workgroup> reduce_values: array<f32, WORKGROUP>;
var<workgroup> reduce_parts: array<f32, PARTS>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
  reduce_values[lane] = value;
  workgroupBarrier();
  if (lane < PARTS) {
    var part = 0.0;
    for (var i = lane; i < WORKGROUP; i += PARTS) {
      part += reduce_values[i];
    }
    reduce_parts[lane] = part;
  }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < PARTS; i++) {
    total += reduce_parts[i];
  }
  return total;
}

fn workgroup_max(lane: u32, value: f32) -> f32 {
  reduce_values[lane] = value;
  workgroupBarrier();
  if (lane < PARTS) {
    var part = value;
    for (var i = lane + PARTS; i < WORKGROUP; i += PARTS) {
      part = max(part, reduce_values[i]);
    }
    reduce_parts[lane] = part;
  }
  workgroupBarrier();
  var largest = reduce_parts[0];
  for (var i = 1u; i < PARTS; i++) {
    largest = max(largest, reduce_parts[i]);
  }
  return largest;
}
