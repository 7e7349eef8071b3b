// The second pass of a product whose depth was sliced: y (+)= Σ partials + bias + addend, slices in order.  Prelude: grid.

struct Params { count: u32, columns: u32, slices: u32, has_bias: u32, has_addend: u32, accumulate: u32 }
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(0) var<storage, read> partials: array<f32>;  // (slices, rows, columns)
@group(0) @binding(1) var<storage, read> bias: array<f32>;  // (columns)
@group(0) @binding(2) var<storage, read> addend: array<f32>;  // (rows, columns)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // (rows, columns)

@compute @workgroup_size(ELEMENTWISE)
fn matmul_combine(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at >= params.count) {
    return;
  }
  var sum = 0.0;
  for (var slice = 0u; slice < params.slices; slice++) {
    sum += partials[slice * params.count + at];
  }
  if (params.has_bias != 0u) {
    sum += bias[at % params.columns];
  }
  if (params.has_addend != 0u) {
    sum += addend[at];
  }
  if (params.accumulate != 0u) {
    sum += y[at];
  }
  y[at] = sum;
}
