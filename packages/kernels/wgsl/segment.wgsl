// y[s] = Σ x over [offsets[s], offsets[s + 1]), and its adjoint.  Preludes: grid, reduce, segments.

struct SumParams { N: u32, S: u32 }
struct BroadcastParams { S: u32, N: u32 }
@group(1) @binding(0) var<uniform> sums: SumParams;
@group(1) @binding(0) var<uniform> broadcast: BroadcastParams;

@group(0) @binding(0) var<storage, read> values: array<f32>;  // x (N), or y (S) of broadcast
@group(0) @binding(1) var<storage, read> offsets: array<u32>;  // (S + 1)
@group(0) @binding(2) var<storage, read_write> result: array<f32>;  // y (S), or x (N) of broadcast

@compute @workgroup_size(WORKGROUP)
fn segment_sum(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let s = linear_group(group, groups);
  if (s >= sums.S) {
    return;
  }
  var sum = 0.0;
  for (var n = offsets[s] + lane; n < offsets[s + 1u]; n += WORKGROUP) {
    sum += values[n];
  }
  let total = workgroup_sum(lane, sum);
  if (lane == 0u) {
    result[s] = total;
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn segment_broadcast(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= broadcast.N) {
    return;
  }
  let s = segment_ending_after(n, broadcast.S);
  var value = 0.0;
  if (s < broadcast.S && offsets[s] <= n) {
    value = values[s];
  }
  result[n] = value;
}
