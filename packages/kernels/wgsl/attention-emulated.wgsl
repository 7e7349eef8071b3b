// Causal attention over ragged rows for GPUs that are emulated on a CPU: a thread owns a row of a head, without workgroup memory.  Preludes: math, segments, rows, heads.
//
// Their compilers make a coroutine of every barrier and take seconds over the tiles of attention.wgsl, which real GPUs get.

// The prelude binds qkv (N, (H + 2 K) D) at 0 and, for the backward pass, dout (N, H D) at 2.
@group(0) @binding(2) var<storage, read_write> o: array<f32>;  // (N, H D)
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;  // (N, H)

@group(0) @binding(3) var<storage, read> saved_lse: array<f32>;  // (N, H)
@group(0) @binding(4) var<storage, read> saved_delta: array<f32>;  // (N, H)
@group(0) @binding(5) var<storage, read_write> dqkv: array<f32>;  // (N, (H + 2 K) D)

const THREADS: u32 = 64u;
const CHANNELS: u32 = 64u;  // vec4 of the widest head

fn index_of(group: vec3u, groups: vec3u, thread: u32) -> u32 {
  return (group.y * groups.x + group.x) * THREADS + thread;
}

fn key_head(head: u32) -> u32 {
  return params.H + head * params.K / params.H;
}

fn score(query: u32, head: u32, key: u32) -> f32 {
  var sum = 0.0;
  for (var d = 0u; d < params.D; d += 4u) {
    sum += dot(qkv_at(query, head, d), qkv_at(key, key_head(head), d));
  }
  return soft_cap(sum * params.scale, params.cap);
}

@compute @workgroup_size(THREADS)
fn attention_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let index = index_of(group, groups, thread);
  if (index >= params.N * params.H) {
    return;
  }
  let n = index / params.H;
  let head = index % params.H;
  let begin = first_seen(segment_of(n).x, n);
  var largest = LOWEST;
  var total = 0.0;
  var sums: array<vec4f, CHANNELS>;
  for (var key = begin; key <= n; key++) {
    let s = score(n, head, key);
    let next = max(largest, s);
    let shrink = exp(largest - next);
    let p = exp(s - next);
    largest = next;
    total = total * shrink + p;
    for (var d = 0u; d < params.D; d += 4u) {
      sums[d / 4u] = sums[d / 4u] * shrink + p * qkv_at(key, key_head(head) + params.K, d);
    }
  }
  let inverse = select(0.0, 1.0 / total, total > 0.0);
  for (var d = 0u; d < params.D; d++) {
    o[index * params.D + d] = sums[d / 4u][d % 4u] * inverse;
  }
  lse[index] = select(0.0, largest + log(total), total > 0.0);
}

// P and dS = P (do vᵀ - δ) (1 - (s / cap)²) of one query and key.
fn slope(query: u32, head: u32, key: u32) -> vec2f {
  let s = score(query, head, key);
  let p = exp(min(s - saved_lse[query * params.H + head], 0.0));
  var dp = 0.0;
  for (var d = 0u; d < params.D; d += 4u) {
    dp += dot(dout_at(query, head, d), qkv_at(key, key_head(head) + params.K, d));
  }
  return vec2f(p, p * (dp - saved_delta[query * params.H + head]) * soft_cap_slope(s, params.cap));
}

// dq = scale dS k
@compute @workgroup_size(THREADS)
fn attention_backward_query(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let index = index_of(group, groups, thread);
  if (index >= params.N * params.H) {
    return;
  }
  let n = index / params.H;
  let head = index % params.H;
  var dq: array<vec4f, CHANNELS>;
  for (var key = first_seen(segment_of(n).x, n); key <= n; key++) {
    let ds = params.scale * slope(n, head, key).y;
    for (var d = 0u; d < params.D; d += 4u) {
      dq[d / 4u] += ds * qkv_at(key, key_head(head), d);
    }
  }
  for (var d = 0u; d < params.D; d++) {
    dqkv[(n * (params.H + 2u * params.K) + head) * params.D + d] = dq[d / 4u][d % 4u];
  }
}

// dv = Pᵀ do, dk = scale dSᵀ q: a thread owns a row of a key head and goes through the query heads that use it.
@compute @workgroup_size(THREADS)
fn attention_backward_key(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32,
) {
  let index = index_of(group, groups, thread);
  if (index >= params.N * params.K) {
    return;
  }
  let n = index / params.K;
  let own = index % params.K;
  let end = last_seeing(segment_of(n).y, n);
  var dk: array<vec4f, CHANNELS>;
  var dv: array<vec4f, CHANNELS>;
  // Query head h uses key head ⌊h K / H⌋.
  for (var head = (own * params.H + params.K - 1u) / params.K; head < ((own + 1u) * params.H + params.K - 1u) / params.K; head++) {
    for (var query = n; query < end; query++) {
      let p_ds = slope(query, head, n);
      for (var d = 0u; d < params.D; d += 4u) {
        dk[d / 4u] += params.scale * p_ds.y * qkv_at(query, head, d);
        dv[d / 4u] += p_ds.x * dout_at(query, head, d);
      }
    }
  }
  let row = n * (params.H + 2u * params.K) + params.H + own;
  for (var d = 0u; d < params.D; d++) {
    dqkv[row * params.D + d] = dk[d / 4u][d % 4u];
    dqkv[(row + params.K) * params.D + d] = dv[d / 4u][d % 4u];
  }
}
