// Divergence of two distributions over the vocabulary and its gradient, from one chunk of each side's logits.  Preludes: grid, math, reduce.

struct NormaliseParams { N: u32, V: u32, inverse_temperature: f32, cap: f32, is_first: u32 }
struct SumsParams { N: u32, V: u32, inverse_temperature: f32, fixed_inverse_temperature: f32, cap: f32, fixed_cap: f32, beta: f32, is_first: u32 }
struct CoefficientParams { N: u32 }
struct GradientParams { N: u32, V: u32, inverse_temperature: f32, fixed_inverse_temperature: f32, cap: f32, fixed_cap: f32, beta: f32 }
@group(1) @binding(0) var<uniform> normalise: NormaliseParams;
@group(1) @binding(0) var<uniform> sums: SumsParams;
@group(1) @binding(0) var<uniform> folded: CoefficientParams;
@group(1) @binding(0) var<uniform> gradient: GradientParams;

// V is the width of the chunk.
@group(0) @binding(0) var<storage, read> logits: array<f32>;  // (N, V)
@group(0) @binding(1) var<storage, read_write> running_lse: array<f32>;  // (N)

@group(0) @binding(1) var<storage, read> fixed_logits: array<f32>;  // (N, V)
@group(0) @binding(2) var<storage, read> lse: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read> fixed_lse: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> divergence: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> centre: array<f32>;  // (N)

@group(0) @binding(0) var<storage, read> ddivergence: array<f32>;  // (N)
@group(0) @binding(1) var<storage, read> saved_centre: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> folded_rows: array<vec4f>;  // (N): ddivergence, centre, lse, fixed lse

@group(0) @binding(0) var<storage, read_write> dz: array<f32>;  // (N, V): logits, then their gradients
@group(0) @binding(2) var<storage, read> coefficients: array<vec4f>;  // (N)

// One vocabulary entry: p, q, log(p / q), and log of m over the larger of p and q.
struct Entry { p: f32, q: f32, delta: f32, share: f32 }

// `logit` and `fixed` are capped and not yet divided by their temperatures, `scale` and `fixed_scale` what both are multiplied with.
fn entry(logit: f32, fixed: f32, scale: f32, fixed_scale: f32, z_lse: f32, u_lse: f32, beta: f32) -> Entry {
  // The logits' difference first: for nearly equal sides it is exact. scale logit - fixed_scale fixed would not be: GPUs round only one product of two.
  let delta = scale * (logit - fixed) + (scale - fixed_scale) * fixed - (z_lse - u_lse);
  let share = log1p_unit(select(1.0 - beta, beta, delta > 0.0) * expm1(-abs(delta)));
  return Entry(exp(scale * logit - z_lse), exp(fixed_scale * fixed - u_lse), delta, share);
}

// a log(a / b) - a + b with x = log(b / a), written so that neither overflows nor cancels.
fn relative_entropy(a: f32, b: f32, x: f32) -> f32 {
  if (x < 0.5) {
    return a * expm1_minus(x);
  }
  return b * (1.0 - (1.0 + x) * exp(-x));
}

// What an entry adds to the divergence.
fn divergence_term(e: Entry, beta: f32) -> f32 {
  if (beta == 0.0) {
    return relative_entropy(e.q, e.p, e.delta);
  }
  if (beta == 1.0) {
    return relative_entropy(e.p, e.q, -e.delta);
  }
  let m = (1.0 - beta) * e.p + beta * e.q;
  let from_p = relative_entropy(e.p, m, e.share - min(e.delta, 0.0));
  let from_q = relative_entropy(e.q, m, e.share + max(e.delta, 0.0));
  return (1.0 - beta) * from_p + beta * from_q;
}

// p g of the contract.
fn weighted_slope(e: Entry, beta: f32) -> f32 {
  if (beta == 0.0) {
    return -sign(e.delta) * max(e.p, e.q) * expm1(-abs(e.delta));  // p - q
  }
  if (beta == 1.0) {
    return e.p * e.delta;
  }
  return e.p * (beta - 1.0) * (e.share - min(e.delta, 0.0));
}

// A workgroup takes a row: lse of this chunk, joined to the earlier chunks' unless it is the first.
@compute @workgroup_size(WORKGROUP)
fn vocab_pair_normalise(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= normalise.N) {
    return;
  }
  var highest = LOWEST;
  for (var j = lane; j < normalise.V; j += WORKGROUP) {
    highest = max(highest, soft_cap(logits[n * normalise.V + j], normalise.cap) * normalise.inverse_temperature);
  }
  let peak = workgroup_max(lane, highest);
  var sum = 0.0;
  for (var j = lane; j < normalise.V; j += WORKGROUP) {
    sum += exp(soft_cap(logits[n * normalise.V + j], normalise.cap) * normalise.inverse_temperature - peak);
  }
  let total = workgroup_sum(lane, sum);
  if (lane == 0u) {
    var result = peak + log(total);
    if (normalise.is_first == 0u) {
      let higher = max(running_lse[n], result);
      result = higher + log(exp(running_lse[n] - higher) + exp(result - higher));
    }
    running_lse[n] = result;
  }
}

// A workgroup takes a row: this chunk's sums, added to the earlier chunks' unless it is the first.
@compute @workgroup_size(WORKGROUP)
fn vocab_pair_sums(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= sums.N) {
    return;
  }
  var distance = 0.0;
  var slope = 0.0;
  for (var j = lane; j < sums.V; j += WORKGROUP) {
    let logit = soft_cap(logits[n * sums.V + j], sums.cap);
    let fixed = soft_cap(fixed_logits[n * sums.V + j], sums.fixed_cap);
    let e = entry(logit, fixed, sums.inverse_temperature, sums.fixed_inverse_temperature, lse[n], fixed_lse[n], sums.beta);
    distance += divergence_term(e, sums.beta);
    slope += weighted_slope(e, sums.beta);
  }
  var row_distance = workgroup_sum(lane, distance);
  var row_slope = workgroup_sum(lane, slope);
  if (lane == 0u) {
    if (sums.is_first == 0u) {
      row_distance += divergence[n];
      row_slope += centre[n];
    }
    divergence[n] = row_distance;
    centre[n] = row_slope;
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn vocab_pair_coefficients(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < folded.N) {
    folded_rows[n] = vec4f(ddivergence[n], saved_centre[n], lse[n], fixed_lse[n]);
  }
}

// Logits become inverse_temperature · dz: what both gradients are products with.
@compute @workgroup_size(ELEMENTWISE)
fn vocab_pair_gradient(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let at = element_index(group, groups, lane);
  if (at >= gradient.N * gradient.V) {
    return;
  }
  let row = coefficients[at / gradient.V];
  let capped = soft_cap(dz[at], gradient.cap);
  let fixed = soft_cap(fixed_logits[at], gradient.fixed_cap);
  let e = entry(capped, fixed, gradient.inverse_temperature, gradient.fixed_inverse_temperature, row.z, row.w, gradient.beta);
  dz[at] = gradient.inverse_temperature * soft_cap_slope(capped, gradient.cap) * row.x * (weighted_slope(e, gradient.beta) - e.p * row.y);
}
