// One token per row: mask, penalty, temperature, top-k, top-p, min-p, then the inverse of the cumulative distribution.
// Preludes: grid, math, reduce, threefry. One workgroup per row; thresholds are found by bisection on ordered float bits.

struct Params {
  N: u32,
  V: u32,
  W: u32,
  has_allowed: u32,
  has_seen: u32,
}
@group(1) @binding(0) var<uniform> params: Params;

@group(0) @binding(0) var<storage, read> logits: array<f32>;  // (N, V)
@group(0) @binding(1) var<storage, read> settings: array<f32>;  // (N, 5)
@group(0) @binding(2) var<storage, read> keys: array<u32>;  // (N, 3)
@group(0) @binding(3) var<storage, read> positions: array<u32>;  // (N)
@group(0) @binding(4) var<storage, read> allowed: array<u32>;  // (N, W)
@group(0) @binding(5) var<storage, read_write> seen: array<u32>;  // (N, W)
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;  // (N)
@group(0) @binding(7) var<storage, read_write> logp: array<f32>;  // (N)

var<workgroup> run_masses: array<f32, WORKGROUP>;
var<workgroup> run_ends: array<u32, WORKGROUP>;  // one more than the last token that a run keeps

fn is_allowed(n: u32, j: u32) -> bool {
  return params.has_allowed == 0u || ((allowed[n * params.W + j / 32u] >> (j % 32u)) & 1u) == 1u;
}

// The logit after mask and repetition penalty.
fn penalised(n: u32, j: u32) -> f32 {
  if (!is_allowed(n, j)) {
    return LOWEST;
  }
  let logit = logits[n * params.V + j];
  if (params.has_seen != 0u && ((seen[n * params.W + j / 32u] >> (j % 32u)) & 1u) == 1u) {
    let penalty = settings[n * 5u + 4u];
    return select(logit * penalty, logit / penalty, logit > 0.0);
  }
  return logit;
}

// What an allowed token weighs, given its penalised logit.
fn weight_of(n: u32, j: u32, logit: f32, largest: f32, temperature: f32) -> f32 {
  return select(0.0, exp((logit - largest) / temperature), is_allowed(n, j));
}

// Bits whose unsigned order is the order of floats; -0 counts as 0.
fn order_of(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) == 0u) {
    return 0x80000000u;
  }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

@compute @workgroup_size(WORKGROUP)
fn sample_forward(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let n = linear_group(group, groups);
  if (n >= params.N) {
    return;
  }
  let is_greedy = settings[n * 5u] == 0.0;
  let temperature = select(settings[n * 5u], 1.0, is_greedy);
  let top_k = u32(settings[n * 5u + 1u]);
  let top_p = settings[n * 5u + 2u];
  let min_p = settings[n * 5u + 3u];

  // log Σ exp of the untouched logits, for logp, and the largest penalised logit.
  var raw_max = LOWEST;
  var max_here = LOWEST;
  for (var j = lane; j < params.V; j += WORKGROUP) {
    raw_max = max(raw_max, logits[n * params.V + j]);
    max_here = max(max_here, penalised(n, j));
  }
  raw_max = workgroup_max(lane, raw_max);
  let largest = workgroup_max(lane, max_here);
  var raw_sum = 0.0;
  for (var j = lane; j < params.V; j += WORKGROUP) {
    raw_sum += exp((logits[n * params.V + j] - raw_max) / temperature);
  }
  let log_sum = log(workgroup_sum(lane, raw_sum));

  var token = 0u;
  if (is_greedy) {
    var first = params.V;
    for (var j = lane; j < params.V; j += WORKGROUP) {
      if (first == params.V && penalised(n, j) == largest) {
        first = j;
      }
    }
    token = u32(-workgroup_max(lane, -f32(first)));  // whole numbers up to 2^24 are exact
  } else {
    let top = order_of(largest);
    var threshold = 0u;  // logits of at least this order are kept
    if (top_k > 0u && top_k < params.V) {
      // The largest threshold that at least top_k logits reach.
      var low = 0u;
      var high = top;
      for (var step = 0u; step < 32u; step++) {
        let middle = low + (high - low) / 2u + ((high - low) & 1u);
        var count = 0.0;
        for (var j = lane; j < params.V; j += WORKGROUP) {
          count += select(0.0, 1.0, order_of(penalised(n, j)) >= middle);
        }
        if (workgroup_sum(lane, count) >= f32(top_k)) {
          low = middle;
        } else {
          high = middle - 1u;
        }
      }
      threshold = low;
    }
    if (top_p < 1.0) {
      var mass = 0.0;
      for (var j = lane; j < params.V; j += WORKGROUP) {
        let logit = penalised(n, j);
        if (order_of(logit) >= threshold) {
          mass += weight_of(n, j, logit, largest, temperature);
        }
      }
      let limit = top_p * workgroup_sum(lane, mass);
      // The smallest threshold above which less than top_p of the mass lies.
      var low = threshold;
      var high = top;
      for (var step = 0u; step < 32u; step++) {
        let middle = low + (high - low) / 2u;
        var above = 0.0;
        for (var j = lane; j < params.V; j += WORKGROUP) {
          let logit = penalised(n, j);
          if (order_of(logit) > middle) {
            above += weight_of(n, j, logit, largest, temperature);
          }
        }
        if (workgroup_sum(lane, above) < limit || middle == top) {
          high = middle;
        } else {
          low = middle + 1u;
        }
      }
      threshold = high;
    }

    // Every thread sums a run of consecutive tokens; the runs are walked in order, then the run in which the draw falls.
    let run = (params.V + WORKGROUP - 1u) / WORKGROUP;
    let begin = min(params.V, lane * run);
    let end = min(params.V, begin + run);
    var mass = 0.0;
    var last_kept = 0u;
    for (var j = begin; j < end; j++) {
      let logit = penalised(n, j);
      let weight = weight_of(n, j, logit, largest, temperature);
      if (is_allowed(n, j) && is_kept(order_of(logit), weight, threshold, top, min_p)) {
        mass += weight;
        last_kept = j + 1u;
      }
    }
    run_masses[lane] = mass;
    run_ends[lane] = last_kept;
    workgroupBarrier();
    if (lane == 0u) {
      var total = 0.0;
      for (var t = 0u; t < WORKGROUP; t++) {
        total += run_masses[t];
      }
      let u = uniform_draw(vec2u(keys[n * 3u], keys[n * 3u + 1u]), vec2u(keys[n * 3u + 2u], positions[n]));
      let goal = u * total;
      // The first kept token whose cumulative weight exceeds the goal; the last kept one where rounding leaves none.
      var cumulative = 0.0;
      var choice = 0u;
      for (var t = 0u; t < WORKGROUP; t++) {
        if (run_ends[t] == 0u) {
          continue;
        }
        choice = run_ends[t] - 1u;
        if (cumulative + run_masses[t] > goal) {
          for (var j = t * run; j < min(params.V, (t + 1u) * run); j++) {
            let logit = penalised(n, j);
            let weight = weight_of(n, j, logit, largest, temperature);
            if (is_allowed(n, j) && is_kept(order_of(logit), weight, threshold, top, min_p)) {
              cumulative += weight;
              choice = j;
              if (cumulative > goal) {
                break;
              }
            }
          }
          break;
        }
        cumulative += run_masses[t];
      }
      run_ends[0] = choice;
    }
    workgroupBarrier();
    token = run_ends[0];
  }
  if (lane == 0u) {
    tokens[n] = token;
    logp[n] = (logits[n * params.V + token] - raw_max) / temperature - log_sum;
    if (params.has_seen != 0u) {
      seen[n * params.W + token / 32u] |= 1u << (token % 32u);
    }
  }
}

fn is_kept(order: u32, weight: f32, threshold: u32, top: u32, min_p: f32) -> bool {
  return order >= threshold && (order == top || min_p <= 0.0 || weight >= min_p);
}
