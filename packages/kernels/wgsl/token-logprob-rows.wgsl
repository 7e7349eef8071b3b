// The per-row ends of token-logprob: statistics of chunks and parts to results, and upstream gradients to coefficients.  Preludes: grid, math.

struct CombineParams { N: u32, chunks: u32 }
struct JoinParams { N: u32, V: u32, chunks: u32, first: u32 }
struct ResultParams { N: u32 }
struct CoefficientParams { N: u32, has_dentropy: u32, has_dlse: u32 }
@group(1) @binding(0) var<uniform> combine: CombineParams;
@group(1) @binding(0) var<uniform> join: JoinParams;
@group(1) @binding(0) var<uniform> results: ResultParams;
@group(1) @binding(0) var<uniform> folded: CoefficientParams;

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;  // (chunks, N): max z, Σ e^(z - max), Σ (z - max) e^(z - max)
@group(0) @binding(1) var<storage, read> target_logits: array<f32>;  // (N)
@group(0) @binding(2) var<storage, read_write> logp: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read_write> entropy: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> hit: array<f32>;  // (N)

@group(0) @binding(2) var<storage, read> targets: array<u32>;  // (N)
@group(0) @binding(3) var<storage, read_write> statistics: array<vec4f>;  // (N): those three, and the target's logit

@group(0) @binding(0) var<storage, read> dlogp: array<f32>;  // (N)
@group(0) @binding(1) var<storage, read> dentropy: array<f32>;  // (N)
@group(0) @binding(2) var<storage, read> dlse: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read> saved_entropy: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read> saved_lse: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> coefficients: array<vec4f>;  // (N, 4)

// The statistics of a row's chunks, joined to those of what came before them.
fn joined(n: u32, rows: u32, chunks: u32, before: vec3f) -> vec3f {
  var largest = before.x;
  for (var chunk = 0u; chunk < chunks; chunk++) {
    largest = max(largest, partials[chunk * rows + n].x);
  }
  let kept = exp(before.x - largest);
  var sum = kept * before.y;
  var centred = kept * (before.z + (before.x - largest) * before.y);
  for (var chunk = 0u; chunk < chunks; chunk++) {
    let part = partials[chunk * rows + n];
    let shrink = exp(part.x - largest);
    sum += shrink * part.y;
    centred += shrink * (part.z + (part.x - largest) * part.y);
  }
  return vec3f(largest, sum, centred);
}

fn write_results(n: u32, s: vec3f, target_logit: f32) {
  let log_sum = log(s.y);
  logp[n] = target_logit - s.x - log_sum;
  entropy[n] = log_sum - s.z / s.y;
  lse[n] = s.x + log_sum;
  hit[n] = select(0.0, 1.0, target_logit == s.x);
}

@compute @workgroup_size(ELEMENTWISE)
fn token_logprob_combine(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < combine.N) {
    write_results(n, joined(n, combine.N, combine.chunks, vec3f(LOWEST, 0.0, 0.0)), target_logits[n]);
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn token_logprob_join(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= join.N) {
    return;
  }
  var before = vec4f(LOWEST, 0.0, 0.0, LOWEST);
  if (join.first > 0u) {
    before = statistics[n];
  }
  var target_logit = before.w;
  if (targets[n] - join.first < join.V) {
    target_logit = target_logits[n];
  }
  statistics[n] = vec4f(joined(n, join.N, join.chunks, before.xyz), target_logit);
}

@compute @workgroup_size(ELEMENTWISE)
fn token_logprob_results(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n < results.N) {
    write_results(n, partials[n].xyz, partials[n].w);
  }
}

// One row of (a, c0, c1, lse): see the contract.
@compute @workgroup_size(ELEMENTWISE)
fn token_logprob_coefficients(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= folded.N) {
    return;
  }
  var c0 = -dlogp[n];
  var c1 = 0.0;
  if (folded.has_dlse != 0u) {
    c0 += dlse[n];
  }
  if (folded.has_dentropy != 0u) {
    c1 = -dentropy[n];
    c0 -= c1 * (saved_lse[n] - saved_entropy[n]);
  }
  coefficients[n] = vec4f(dlogp[n], c0, c1, saved_lse[n]);
}
