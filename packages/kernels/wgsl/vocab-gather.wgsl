// y[n] = hidden[n] · head[targets[n]], and its gradients.  Preludes: grid, reduce.

struct ForwardParams { N: u32, C: u32, V: u32 }
struct HiddenParams { N: u32, V: u32, C: u32 }
struct HeadParams { N: u32, C: u32, U: u32, V: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward_hidden: HiddenParams;
@group(1) @binding(0) var<uniform> backward_head: HeadParams;

@group(0) @binding(0) var<storage, read> hidden: array<f32>;  // (N, C)
@group(0) @binding(1) var<storage, read> head: array<f32>;  // (V, C)
@group(0) @binding(2) var<storage, read> targets: array<u32>;  // (N)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // (N)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read_write> dhidden: array<f32>;  // (N, C)

@group(0) @binding(1) var<storage, read> saved_hidden: array<f32>;  // (N, C)
@group(0) @binding(2) var<storage, read> order: array<u32>;  // (N)
@group(0) @binding(3) var<storage, read> rows: array<u32>;  // (U)
@group(0) @binding(4) var<storage, read> starts: array<u32>;  // (U + 1)
@group(0) @binding(5) var<storage, read_write> dhead: array<f32>;  // (V, C)

// A workgroup takes a row.
@compute @workgroup_size(WORKGROUP)
fn vocab_gather_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= forward.N) {
    return;
  }
  let row = targets[n] * forward.C;
  var sum = 0.0;
  for (var c = lane; c < forward.C; c += WORKGROUP) {
    sum += hidden[n * forward.C + c] * head[row + c];
  }
  let total = workgroup_sum(lane, sum);
  if (lane == 0u) {
    y[n] = total;
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn vocab_gather_backward_hidden(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  let n = at / backward_hidden.C;
  if (n < backward_hidden.N) {
    dhidden[at] = dy[n] * head[targets[n] * backward_hidden.C + at % backward_hidden.C];
  }
}

// One thread per (used row, channel): the only writer of its cell.
@compute @workgroup_size(ELEMENTWISE)
fn vocab_gather_backward_head(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  let u = at / backward_head.C;
  let c = at % backward_head.C;
  if (u >= backward_head.U) {
    return;
  }
  var sum = 0.0;
  for (var i = starts[u]; i < starts[u + 1u]; i++) {
    sum += dy[order[i]] * saved_hidden[order[i] * backward_head.C + c];
  }
  dhead[rows[u] * backward_head.C + c] += sum;
}
