// y[n] = table[ids[n] - first];  dtable[rows[u] - first] += Σ dy[order[i]], i in starts[u] .. starts[u + 1]; where the table has that row.
// Prelude: grid.

struct ForwardParams { V: u32, C: u32, N: u32, first: u32 }
struct BackwardParams { N: u32, C: u32, U: u32, V: u32, first: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: BackwardParams;

@group(0) @binding(0) var<storage, read> table: array<f32>;  // (V, C)
@group(0) @binding(1) var<storage, read> ids: array<u32>;  // (N)
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // (N, C)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N, C)
@group(0) @binding(1) var<storage, read> order: array<u32>;  // (N)
@group(0) @binding(2) var<storage, read> rows: array<u32>;  // (U)
@group(0) @binding(3) var<storage, read> starts: array<u32>;  // (U + 1)
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;  // (V, C)

@compute @workgroup_size(ELEMENTWISE)
fn embedding_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at >= forward.N * forward.C) {
    return;
  }
  let row = ids[at / forward.C] - forward.first;  // of an id before the table: beyond it
  if (row < forward.V) {
    y[at] = table[row * forward.C + at % forward.C];
  }
}

// One thread per (used row, channel): the only writer of its cell.
@compute @workgroup_size(ELEMENTWISE)
fn embedding_backward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  let u = at / backward.C;
  let c = at % backward.C;
  if (u >= backward.U) {
    return;
  }
  let row = rows[u] - backward.first;
  if (row >= backward.V) {
    return;
  }
  var sum = 0.0;
  for (var i = starts[u]; i < starts[u + 1u]; i++) {
    sum += dy[order[i] * backward.C + c];
  }
  dtable[row * backward.C + c] += sum;
}
