// The clipped token surrogate with its KL term: gradient and metric sums in one pass, then the sums' second pass.  Prelude: math.

struct Params {
  N: u32,
  Q: u32,
  epsilon_low: f32,
  epsilon_high: f32,
  delta: f32,
  beta: f32,
  has_refLogps: u32,
}
struct CombineParams { groups: u32, Q: u32 }
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<uniform> combine: CombineParams;

@group(0) @binding(0) var<storage, read> logps: array<f32>;  // (N)
@group(0) @binding(1) var<storage, read> old_logps: array<f32>;  // (N)
@group(0) @binding(2) var<storage, read> ref_logps: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read> advantages: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read> weights: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read> mask: array<f32>;  // (N)
@group(0) @binding(6) var<storage, read_write> dlogps: array<f32>;  // (N)
@group(0) @binding(7) var<storage, read_write> partials: array<vec4f>;  // (groups, 2)
@group(0) @binding(0) var<storage, read> saved_partials: array<f32>;  // (groups, 8)
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;  // (Q)

const WORKGROUP: u32 = 128u;
const LOG_RATIO_LIMIT: f32 = 20.0;
var<workgroup> low: array<vec4f, WORKGROUP>;  // loss, count, k3, k1
var<workgroup> high: array<vec4f, WORKGROUP>;  // low-clipped, high-clipped, ratio, ½ (logp - old)²

@compute @workgroup_size(WORKGROUP)
fn policy_loss_partial(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  var low_sum = vec4f();
  var high_sum = vec4f();
  for (var n = group.x * WORKGROUP + lane; n < params.N; n += groups.x * WORKGROUP) {
    if (mask[n] == 0.0) {
      dlogps[n] = 0.0;
      continue;
    }
    let advantage = advantages[n];
    let log_ratio = logps[n] - old_logps[n];
    let ratio = exp(clamp(log_ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT));
    let is_capped = params.delta != 0.0 && ratio > params.delta;
    let unclipped = advantage * select(ratio, params.delta, is_capped);
    let clipped = advantage * clamp(ratio, 1.0 - params.epsilon_low, 1.0 + params.epsilon_high);
    var loss = -min(unclipped, clipped);
    var gradient = 0.0;
    if (unclipped <= clipped && !is_capped && abs(log_ratio) <= LOG_RATIO_LIMIT) {
      gradient = -advantage * ratio;
    }
    var k1 = 0.0;
    var k3 = 0.0;
    if (params.has_refLogps != 0u) {
      let d = ref_logps[n] - logps[n];
      k1 = -d;
      k3 = expm1_minus(d);
      loss += params.beta * k3;
      gradient -= params.beta * expm1(d);
    }
    dlogps[n] = weights[n] * gradient;
    low_sum += vec4f(weights[n] * loss, 1.0, k3, k1);
    high_sum += vec4f(
      select(0.0, 1.0, ratio < 1.0 - params.epsilon_low && advantage < 0.0),
      select(0.0, 1.0, ratio > 1.0 + params.epsilon_high && advantage > 0.0),
      ratio, 0.5 * log_ratio * log_ratio);
  }
  low[lane] = low_sum;
  high[lane] = high_sum;
  workgroupBarrier();
  for (var span = WORKGROUP / 2u; span > 0u; span /= 2u) {
    if (lane < span) {
      low[lane] += low[lane + span];
      high[lane] += high[lane + span];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    partials[2u * group.x] = low[0];
    partials[2u * group.x + 1u] = high[0];
  }
}

@compute @workgroup_size(8)
fn policy_loss_combine(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var group = 0u; group < combine.groups; group++) {
    sum += saved_partials[group * 8u + lane];
  }
  if (lane < combine.Q) {
    sums[lane] = sum;
  }
}
