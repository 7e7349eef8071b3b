enable subgroups;
// The sums and maxima of reduce.wgsl with one barrier each: every subgroup adds up all values of the workgroup, in an order that is the GPU's own.
// Which threads make a subgroup, and how many, WGSL leaves open: its threads count themselves and share the values out.

override WORKGROUP: u32 = 64u;
var<workgroup> reduce_values: array<f32, 2u * WORKGROUP>;  // for every other call, so that none waits for the readers of the last
var<private> reduce_turn: u32;

// Shows this thread's value to all; the index at which the workgroup's values begin.
fn share_value(lane: u32, value: f32) -> u32 {
  let begin = reduce_turn * WORKGROUP;
  reduce_turn = 1u - reduce_turn;
  reduce_values[begin + lane] = value;
  workgroupBarrier();
  return begin;
}

fn workgroup_sum(lane: u32, value: f32) -> f32 {
  let begin = share_value(lane, value);
  let threads = subgroupAdd(1u);
  var part = 0.0;
  for (var i = subgroupExclusiveAdd(1u); i < WORKGROUP; i += threads) {
    part += reduce_values[begin + i];
  }
  return subgroupAdd(part);
}

fn workgroup_max(lane: u32, value: f32) -> f32 {
  let begin = share_value(lane, value);
  let threads = subgroupAdd(1u);
  var part = value;
  for (var i = subgroupExclusiveAdd(1u); i < WORKGROUP; i += threads) {
    part = max(part, reduce_values[begin + i]);
  }
  return subgroupMax(part);
}
