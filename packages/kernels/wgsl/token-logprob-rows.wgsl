// The per-row ends of token-logprob: statistics of the chunks to results, and upstream gradients to coefficients.  Preludes: grid, math.

struct CombineParams { N: u32, chunks: u32 }
struct CoefficientParams { N: u32, has_dentropy: u32, has_dlse: u32 }
@group(1) @binding(0) var<uniform> combine: CombineParams;
@group(1) @binding(0) var<uniform> folded: CoefficientParams;

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;  // (chunks, N): max z, Σ e^(z - max), Σ (z - max) e^(z - max)
@group(0) @binding(1) var<storage, read> target_logits: array<f32>;  // (N)
@group(0) @binding(2) var<storage, read_write> logp: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read_write> entropy: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> hit: array<f32>;  // (N)

@group(0) @binding(0) var<storage, read> dlogp: array<f32>;  // (N)
@group(0) @binding(1) var<storage, read> dentropy: array<f32>;  // (N)
@group(0) @binding(2) var<storage, read> dlse: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read> saved_entropy: array<f32>;  // (N)
@group(0) @binding(4) var<storage, read> saved_lse: array<f32>;  // (N)
@group(0) @binding(5) var<storage, read_write> coefficients: array<vec4f>;  // (N, 4)

@compute @workgroup_size(ELEMENTWISE)
fn token_logprob_combine(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = element_index(group, groups, lane);
  if (n >= combine.N) {
    return;
  }
  var largest = LOWEST;
  for (var chunk = 0u; chunk < combine.chunks; chunk++) {
    largest = max(largest, partials[chunk * combine.N + n].x);
  }
  var sum = 0.0;
  var centred = 0.0;
  for (var chunk = 0u; chunk < combine.chunks; chunk++) {
    let part = partials[chunk * combine.N + n];
    let shrink = exp(part.x - largest);
    sum += shrink * part.y;
    centred += shrink * (part.z + (part.x - largest) * part.y);
  }
  let log_sum = log(sum);
  logp[n] = target_logits[n] - largest - log_sum;
  entropy[n] = log_sum - centred / sum;
  lse[n] = largest + log_sum;
  hit[n] = select(0.0, 1.0, target_logits[n] == largest);
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
