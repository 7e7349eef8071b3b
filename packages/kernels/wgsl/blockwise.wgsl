// Block-wise 8-bit numbers: blocks of 256 values with a scale, each value the index of the nearest code.  Preludes: grid, reduce.

struct QuantizeParams { W: u32, K: u32, B: u32 }
struct DequantizeParams { W: u32, B: u32, K: u32 }
@group(1) @binding(0) var<uniform> packing: QuantizeParams;
@group(1) @binding(0) var<uniform> unpacking: DequantizeParams;

@group(0) @binding(0) var<storage, read> x: array<f32>;  // (4 W)
@group(0) @binding(1) var<storage, read> codes: array<f32>;  // (K), ascending
@group(0) @binding(2) var<storage, read_write> q: array<u32>;  // (W)
@group(0) @binding(3) var<storage, read_write> scales: array<f32>;  // (B)

@group(0) @binding(0) var<storage, read> saved_q: array<u32>;  // (W)
@group(0) @binding(1) var<storage, read> saved_scales: array<f32>;  // (B)
@group(0) @binding(2) var<storage, read> saved_codes: array<f32>;  // (K)
@group(0) @binding(3) var<storage, read_write> restored: array<f32>;  // (4 W)

// Index of the nearest code; of two equally near the smaller.
fn nearest(value: f32) -> u32 {
  var low = 0u;
  var high = packing.K - 1u;
  while (low < high) {
    let middle = (low + high) >> 1u;
    if (codes[middle] < value) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  if (low > 0u && value - codes[low - 1u] <= codes[low] - value) {
    low -= 1u;
  }
  return low;
}

// A workgroup of 64 threads a block, four values a thread.
@compute @workgroup_size(WORKGROUP)
fn blockwise_quantize(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let index = linear_group(group, groups);
  let word = 64u * index + lane;
  var values = vec4f(0.0);
  if (word < packing.W) {
    values = vec4f(x[4u * word], x[4u * word + 1u], x[4u * word + 2u], x[4u * word + 3u]);
  }
  let sizes = abs(values);
  let largest = workgroup_max(lane, max(max(sizes.x, sizes.y), max(sizes.z, sizes.w)));
  let positive = workgroup_max(lane, max(max(values.x, values.y), max(values.z, values.w)));
  let scale = select(-largest, largest, positive == largest);
  if (word >= packing.W) {
    return;
  }
  var packed = 0u;
  for (var i = 0u; i < 4u; i++) {
    var value = 0.0;
    if (largest > 0.0) {
      value = values[i] / scale;
    }
    packed |= nearest(value) << (8u * i);
  }
  q[word] = packed;
  if (lane == 0u) {
    scales[index] = scale;
  }
}

@compute @workgroup_size(ELEMENTWISE)
fn blockwise_dequantize(
  @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let word = element_index(group, groups, lane);
  if (word >= unpacking.W) {
    return;
  }
  let scale = saved_scales[word / 64u];
  let packed = saved_q[word];
  for (var i = 0u; i < 4u; i++) {
    restored[4u * word + i] = scale * saved_codes[(packed >> (8u * i)) & 0xffu];
  }
}
