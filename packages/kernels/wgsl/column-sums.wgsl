// Sums over rows in two ordered passes, for the gradients of biases and norm weights: blocks of rows, then the blocks.

struct PartialParams { M: u32, N: u32 }
struct CombineParams { C: u32, blocks: u32 }
@group(1) @binding(0) var<uniform> rows: PartialParams;
@group(1) @binding(0) var<uniform> combine: CombineParams;

@group(0) @binding(0) var<storage, read> dy: array<f32>;  // (M, N)
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;  // (blocks, N)
@group(0) @binding(0) var<storage, read> blocks: array<f32>;  // (blocks, C)
@group(0) @binding(1) var<storage, read_write> total: array<f32>;  // (C)

// partials[y] = Σ dy over the y-th block of rows
@compute @workgroup_size(64)
fn column_sums_partial(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (id.x >= rows.N) {
    return;
  }
  let height = (rows.M + groups.y - 1u) / groups.y;
  var sum = 0.0;
  for (var m = id.y * height; m < min(rows.M, (id.y + 1u) * height); m++) {
    sum += dy[m * rows.N + id.x];
  }
  partials[id.y * rows.N + id.x] = sum;
}

// total += Σ blocks
@compute @workgroup_size(64)
fn column_sums_combine(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= combine.C) {
    return;
  }
  var sum = 0.0;
  for (var i = 0u; i < combine.blocks; i++) {
    sum += blocks[i * combine.C + id.x];
  }
  total[id.x] += sum;
}
