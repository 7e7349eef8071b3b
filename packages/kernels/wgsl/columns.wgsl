// y[n, first + c] = x[n, c], and back.  Prelude: grid.

struct PlaceParams { N: u32, C: u32, D: u32, first: u32 }
struct TakeParams { N: u32, D: u32, C: u32, first: u32 }
@group(1) @binding(0) var<uniform> place: PlaceParams;
@group(1) @binding(0) var<uniform> take: TakeParams;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (N, C), or (N, D) to take from
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // (N, D), or (N, C)

@compute @workgroup_size(ELEMENTWISE)
fn columns_place(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at < place.N * place.C) {
    y[at / place.C * place.D + place.first + at % place.C] = x[at];
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn columns_take(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at < take.N * take.C) {
    y[at] = x[at / take.C * take.D + take.first + at % take.C];
  }
}
