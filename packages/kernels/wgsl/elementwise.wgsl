// Elementwise functions of one and two vectors, accumulate and fill.  Preludes: grid, math.

struct UnaryParams { N: u32, kind: u32, a: f32, b: f32 }
struct BinaryParams { N: u32, kind: u32 }
struct AddParams { N: u32 }
struct FillParams { N: u32, value: f32 }
@group(1) @binding(0) var<uniform> unary: UnaryParams;
@group(1) @binding(0) var<uniform> binary: BinaryParams;
@group(1) @binding(0) var<uniform> addition: AddParams;
@group(1) @binding(0) var<uniform> filling: FillParams;

// Every tensor is (N). unary: in0 = x, out1 = y; backward in0 = dy, in1 = x, out2 = dx.
// binary: in0 = x, in1 = y, out2 = z; backward in0 = dz, in1 = x, in2 = y, out3 = dx, out4 = dy.
@group(0) @binding(0) var<storage, read> in0: array<f32>;
@group(0) @binding(1) var<storage, read> in1: array<f32>;
@group(0) @binding(2) var<storage, read> in2: array<f32>;
@group(0) @binding(0) var<storage, read_write> out0: array<f32>;
@group(0) @binding(1) var<storage, read_write> out1: array<f32>;
@group(0) @binding(2) var<storage, read_write> out2: array<f32>;
@group(0) @binding(3) var<storage, read_write> out3: array<f32>;
@group(0) @binding(4) var<storage, read_write> out4: array<f32>;

fn unary_value(x: f32) -> f32 {
  switch (unary.kind) {
    case 0u: { return unary.a * x + unary.b; }
    case 1u: { return exp(x); }
    case 2u: { return log(x); }
    case 3u: { return x * x; }
    case 4u: { return sqrt(x); }
    case 5u: { return 1.0 / x; }
    case 6u: { return abs(x); }
    case 7u: { return min(max(x, unary.a), unary.b); }
    case 8u: { return sigmoid(x); }
    case 9u: { return log_sigmoid(x); }
    case 10u: { return silu(x); }
    case 11u: { return gelu_tanh(x); }
    case 12u: { return tanh_exact(x); }
    case 13u: { return expm1(x); }
    case 14u: { return log1mexp(x); }
    default: { return soft_cap(x, unary.a); }
  }
}

// 1 - tanh² x
fn tanh_slope(x: f32) -> f32 {
  return 4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x);
}

fn unary_derivative(x: f32) -> f32 {
  switch (unary.kind) {
    case 0u: { return unary.a; }
    case 1u: { return exp(x); }
    case 2u: { return 1.0 / x; }
    case 3u: { return 2.0 * x; }
    case 4u: { return 0.5 / sqrt(x); }
    case 5u: { return -1.0 / (x * x); }
    case 6u: { return sign(x); }
    case 7u: { return select(0.0, 1.0, unary.a <= x && x <= unary.b); }
    case 8u: { return sigmoid(x) * sigmoid(-x); }
    case 9u: { return sigmoid(-x); }
    case 10u: { return silu_derivative(x); }
    case 11u: { return gelu_tanh_derivative(x); }
    case 12u: { return tanh_slope(x); }
    case 13u: { return exp(x); }
    case 14u: { return exp(x) / expm1(x); }
    default: { return tanh_slope(x / unary.a); }
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn unary_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < unary.N) {
    out1[n] = unary_value(in0[n]);
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn unary_backward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < unary.N) {
    out2[n] = in0[n] * unary_derivative(in1[n]);
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn binary_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= binary.N) {
    return;
  }
  let x = in0[n];
  let y = in1[n];
  var z = 0.0;
  switch (binary.kind) {
    case 0u: { z = x + y; }
    case 1u: { z = x - y; }
    case 2u: { z = x * y; }
    case 3u: { z = x / y; }
    case 4u: { z = min(x, y); }
    case 5u: { z = max(x, y); }
    case 6u: { if (y != 0.0) { z = x; } }
    default: { z = select(0.0, 1.0, x > y); }
  }
  out2[n] = z;
}

// 1 where x wins, a half on a tie, 0 where it loses.
fn share_of(wins: bool, is_tie: bool) -> f32 {
  return select(select(0.0, 1.0, wins), 0.5, is_tie);
}

@compute @workgroup_size(ELEMENTWISE)
fn binary_backward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= binary.N) {
    return;
  }
  let dz = in0[n];
  let x = in1[n];
  let y = in2[n];
  var dx = 0.0;
  var dy = 0.0;
  switch (binary.kind) {
    case 0u: { dx = dz; dy = dz; }
    case 1u: { dx = dz; dy = -dz; }
    case 2u: { dx = dz * y; dy = dz * x; }
    case 3u: { dx = dz / y; dy = -dx * (x / y); }
    case 4u: { dx = dz * share_of(x < y, x == y); dy = dz * share_of(y < x, x == y); }
    case 5u: { dx = dz * share_of(x > y, x == y); dy = dz * share_of(y > x, x == y); }
    case 6u: { if (y != 0.0) { dx = dz; } }
    default: {}
  }
  out3[n] = dx;
  out4[n] = dy;
}

// y += x
@compute @workgroup_size(ELEMENTWISE)
fn accumulate_add(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < addition.N) {
    out1[n] += in0[n];
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn fill_set(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < filling.N) {
    out0[n] = filling.value;
  }
}
