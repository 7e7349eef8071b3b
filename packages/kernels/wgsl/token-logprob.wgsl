// Log-probability, entropy and log-sum-exp of targets over the vocabulary without an (N, V) array.  Preludes: operands, tile, math.

struct ForwardParams { N: u32, C: u32, V: u32, inverse_temperature: f32, cap: f32, chunk: u32, first: u32 }
struct GradientParams { N: u32, C: u32, V: u32, inverse_temperature: f32, cap: f32, first: u32 }
@group(1) @binding(0) var<uniform> forward: ForwardParams;
@group(1) @binding(0) var<uniform> backward: GradientParams;

// a and b (the preludes') are hidden (N, C) and head (V, C).
@group(0) @binding(2) var<storage, read> targets: array<u32>;  // (N)
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;  // (chunks, N): max z, Σ e^(z - max), Σ (z - max) e^(z - max)
@group(0) @binding(4) var<storage, read_write> target_logits: array<f32>;  // (N)
@group(0) @binding(3) var<storage, read> coefficients: array<vec4f>;  // (N): a, c0, c1, lse
@group(0) @binding(4) var<storage, read_write> dz: array<f32>;  // (N, V of this chunk)

var<workgroup> statistics: array<vec4f, THREADS>;

// Joins two sets of logits, each (max, Σ, centred Σ).
fn merge(p: vec3f, q: vec3f) -> vec3f {
  let largest = max(p.x, q.x);
  let shrink_p = exp(p.x - largest);
  let shrink_q = exp(q.x - largest);
  let centred = shrink_p * (p.z + (p.x - largest) * p.y) + shrink_q * (q.z + (q.x - largest) * q.y);
  return vec3f(largest, shrink_p * p.y + shrink_q * q.y, centred);
}

// A workgroup takes a tile of rows through one chunk of the vocabulary, tile by tile, with running statistics in registers.
@compute @workgroup_size(THREADS)
fn token_logprob_partial(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tx = thread_x(thread);
  let ty = thread_y(thread);
  let row = group.y * 8u * GROUP_Y;
  let end = min(forward.V, (group.x + 1u) * forward.chunk);
  var running: array<vec3f, 8>;
  var row_targets: array<u32, 8>;
  @unroll(8, unless EMULATED) for (var i = 0u; i < 8u; i++) {
    running[i] = vec3f(LOWEST, 0.0, 0.0);
    row_targets[i] = 0xffffffffu;
    if (row + 8u * ty + i < forward.N) {
      row_targets[i] = targets[row + 8u * ty + i] - forward.first;  // of a target before the head: beyond it
    }
  }
  for (var column = group.x * forward.chunk; column < end; column += 4u * GROUP_X) {
    let sum = tile_product(thread, row, column, 0u, forward.C, Operand(forward.N, forward.C, true), Operand(forward.V, forward.C, true));
    let columns = column + 4u * tx + vec4u(0u, 1u, 2u, 3u);
    @unroll(8, unless EMULATED) for (var i = 0u; i < 8u; i++) {
      let is_inside = columns < vec4u(end);
      let z = select(vec4f(LOWEST), soft_cap4(sum[i], forward.cap) * forward.inverse_temperature, is_inside);
      @unroll(4, unless EMULATED) for (var j = 0u; j < 4u; j++) {
        if (columns[j] == row_targets[i] && is_inside[j]) {
          target_logits[row + 8u * ty + i] = z[j];
        }
      }
      let largest = max(running[i].x, max(max(z.x, z.y), max(z.z, z.w)));
      let e = select(vec4f(), exp(z - largest), is_inside);
      running[i] = merge(running[i], vec3f(largest, e.x + e.y + e.z + e.w, dot(e, z - largest)));
    }
  }
  // Rows of the tile, one of each thread's 8 at a time: the GROUP_X threads of a row in order.
  for (var i = 0u; i < 8u; i++) {
    var total = vec3f();
    @unroll(8) for (var own = 0u; own < 8u; own++) {
      total = select(total, running[own], own == i);
    }
    statistics[ty * GROUP_X + tx] = vec4f(total, 0.0);
    workgroupBarrier();
    if (tx == 0u && row + 8u * ty + i < forward.N) {
      for (var t = 1u; t < GROUP_X; t++) {
        total = merge(total, statistics[ty * GROUP_X + t].xyz);
      }
      partials[group.x * forward.N + row + 8u * ty + i] = vec4f(total, 0.0);
    }
    workgroupBarrier();
  }
}

// dz_j = a 1[j = target] + p_j (c0 + c1 z_j) for one chunk of the vocabulary, times inverse_temperature and the cap's slope: what both gradients
// need.
@compute @workgroup_size(THREADS)
fn token_logprob_gradient(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * 8u * GROUP_Y;
  let column = group.x * 4u * GROUP_X;
  let sum = tile_product(thread, row, column, 0u, backward.C, Operand(backward.N, backward.C, true), Operand(backward.V, backward.C, true));
  let first = column + 4u * thread_x(thread);
  @unroll(8, unless EMULATED) for (var i = 0u; i < 8u; i++) {
    let n = row + 8u * thread_y(thread) + i;
    if (n < backward.N) {
      let c = coefficients[n];
      let capped = soft_cap4(sum[i], backward.cap);
      let slope = backward.inverse_temperature * soft_cap_slope4(capped, backward.cap);
      let z = capped * backward.inverse_temperature;
      let value = exp(min(z - c.w, vec4f())) * (c.y + c.z * z);
      let own_target = targets[n];
      @unroll(4, unless EMULATED) for (var j = 0u; j < 4u; j++) {
        if (first + j < backward.V) {
          let is_target = backward.first + first + j == own_target;
          dz[n * backward.V + first + j] = slope[j] * (value[j] + select(0.0, c.x, is_target));
        }
      }
    }
  }
}
