// y = act(gate) · up on rows [gate | up].  Preludes: grid, math.

struct Params { N: u32, F: u32, kind: u32 }
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(0) var<storage, read> gu: array<f32>;  // (N, 2 F)
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // (N, F)

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (N, F)
@group(0) @binding(1) var<storage, read> saved_gu: array<f32>;  // (N, 2 F)
@group(0) @binding(2) var<storage, read_write> dgu: array<f32>;  // (N, 2 F)

fn activation(x: f32) -> f32 {
  if (params.kind == 0u) {
    return silu(x);
  }
  return gelu_tanh(x);
}

fn activation_derivative(x: f32) -> f32 {
  if (params.kind == 0u) {
    return silu_derivative(x);
  }
  return gelu_tanh_derivative(x);
}

@compute @workgroup_size(ELEMENTWISE)
fn gated_activation_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at < params.N * params.F) {
    let gate = at / params.F * 2u * params.F + at % params.F;
    y[at] = activation(gu[gate]) * gu[gate + params.F];
  }
}

// y = act(gate) up  =>  dgate = dy up act'(gate), dup = dy act(gate)
@compute @workgroup_size(ELEMENTWISE)
fn gated_activation_backward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at < params.N * params.F) {
    let gate = at / params.F * 2u * params.F + at % params.F;
    let x = saved_gu[gate];
    dgu[gate] = dy[at] * saved_gu[gate + params.F] * activation_derivative(x);
    dgu[gate + params.F] = dy[at] * activation(x);
  }
}
