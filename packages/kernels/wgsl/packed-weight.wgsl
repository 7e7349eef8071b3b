// y[n] = row ids[n] of weights in low precision.  Preludes: grid, operand-b-packed (w, binding 1).

struct Params { N: u32, V: u32, W: u32, K: u32, format: u32 }
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(0) var<storage, read> ids: array<u32>;  // (N)
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // (N, K)

// One thread per four columns of a row.
@compute @workgroup_size(ELEMENTWISE)
fn packed_weight_rows(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  let quads = (params.K + 3u) / 4u;
  if (at >= params.N * quads) {
    return;
  }
  let n = at / quads;
  let column = 4u * (at % quads);
  let value = read_b(ids[n], column, params.V, params.K);
  for (var j = 0u; j < 4u && column + j < params.K; j++) {
    y[n * params.K + column + j] = value[j];
  }
}
