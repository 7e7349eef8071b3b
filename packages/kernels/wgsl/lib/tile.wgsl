// One workgroup's tile of a product A (rows, depth) · B (depth, columns): GROUP_X x GROUP_Y threads, 8 rows by 4 columns each.
// Needs read_a of lib/operand-a-*.wgsl and read_b of lib/operand-b-*.wgsl.

override GROUP_X: u32 = 16u;
override GROUP_Y: u32 = 8u;
// True on GPUs that are emulated on a CPU: registers straight from memory, as staging costs them more than it saves.
override EMULATED: bool = false;

const DEPTH: u32 = 16u;  // of one stage
override THREADS: u32 = GROUP_X * GROUP_Y;
override ROW_BLOCKS: u32 = 2u * GROUP_Y;  // blocks of 4 rows in a tile
override A_STRIDE: u32 = ROW_BLOCKS + 1u;  // one more than needed, against bank conflicts
override B_STRIDE: u32 = GROUP_X + 1u;
var<workgroup> staged_a: array<vec4f, DEPTH * A_STRIDE>;  // [k][block of 4 rows]
var<workgroup> staged_b: array<vec4f, DEPTH * B_STRIDE>;  // [k][block of 4 columns]

// An operand's shape and which way it lies: stored (outer, depth) when `along_depth`, else (depth, outer).
struct Operand {
  outer: u32,
  depth: u32,
  along_depth: bool,
}

// m[c][r] = A(row + r, k + c)
fn block_a(row: u32, k: u32, shape: Operand) -> mat4x4f {
  if (shape.along_depth) {
    return transpose(mat4x4f(
      read_a(row, k, shape.outer, shape.depth), read_a(row + 1u, k, shape.outer, shape.depth),
      read_a(row + 2u, k, shape.outer, shape.depth), read_a(row + 3u, k, shape.outer, shape.depth)));
  }
  return mat4x4f(
    read_a(k, row, shape.depth, shape.outer), read_a(k + 1u, row, shape.depth, shape.outer),
    read_a(k + 2u, row, shape.depth, shape.outer), read_a(k + 3u, row, shape.depth, shape.outer));
}

// m[c][j] = B(k + c, column + j)
fn block_b(column: u32, k: u32, shape: Operand) -> mat4x4f {
  if (shape.along_depth) {
    return transpose(mat4x4f(
      read_b(column, k, shape.outer, shape.depth), read_b(column + 1u, k, shape.outer, shape.depth),
      read_b(column + 2u, k, shape.outer, shape.depth), read_b(column + 3u, k, shape.outer, shape.depth)));
  }
  return mat4x4f(
    read_b(k, column, shape.depth, shape.outer), read_b(k + 1u, column, shape.depth, shape.outer),
    read_b(k + 2u, column, shape.depth, shape.outer), read_b(k + 3u, column, shape.depth, shape.outer));
}

// Fills staged_a and staged_b with depth k .. k + DEPTH. Consecutive threads follow each operand's contiguous axis.
fn stage(thread: u32, row: u32, column: u32, k: u32, shape_a: Operand, shape_b: Operand) {
  for (var i = thread; i < 4u * (ROW_BLOCKS + GROUP_X); i += THREADS) {
    if (i < 4u * ROW_BLOCKS) {
      let outer = select(i % ROW_BLOCKS, i / 4u, shape_a.along_depth);
      let depth = 4u * select(i / ROW_BLOCKS, i % 4u, shape_a.along_depth);
      let m = block_a(row + 4u * outer, k + depth, shape_a);
      staged_a[depth * A_STRIDE + outer] = m[0];
      staged_a[(depth + 1u) * A_STRIDE + outer] = m[1];
      staged_a[(depth + 2u) * A_STRIDE + outer] = m[2];
      staged_a[(depth + 3u) * A_STRIDE + outer] = m[3];
    } else {
      let rest = i - 4u * ROW_BLOCKS;
      let outer = select(rest % GROUP_X, rest / 4u, shape_b.along_depth);
      let depth = 4u * select(rest / GROUP_X, rest % 4u, shape_b.along_depth);
      let m = block_b(column + 4u * outer, k + depth, shape_b);
      staged_b[depth * B_STRIDE + outer] = m[0];
      staged_b[(depth + 1u) * B_STRIDE + outer] = m[1];
      staged_b[(depth + 2u) * B_STRIDE + outer] = m[2];
      staged_b[(depth + 3u) * B_STRIDE + outer] = m[3];
    }
  }
}

// [i] = columns 4 tx .. 4 tx + 3 of row 8 ty + i of the tile that starts at (row, column), over depths begin .. end.
// `begin` is a multiple of DEPTH, and so is `end` unless it is the whole depth. All threads must call this.
fn tile_product(
  thread: u32, row: u32, column: u32, begin: u32, end: u32, shape_a: Operand, shape_b: Operand,
) -> array<vec4f, 8> {
  let tx = thread % GROUP_X;
  let ty = thread / GROUP_X;
  var sum: array<vec4f, 8>;
  if (EMULATED) {
    for (var k = begin; k < end; k += 4u) {
      let low = block_a(row + 8u * ty, k, shape_a);
      let high = block_a(row + 8u * ty + 4u, k, shape_a);
      let columns = block_b(column + 4u * tx, k, shape_b);
      @unroll(4) for (var c = 0u; c < 4u; c++) {
        @unroll(4) for (var i = 0u; i < 4u; i++) {
          sum[i] = fma(vec4f(low[c][i]), columns[c], sum[i]);
          sum[4u + i] = fma(vec4f(high[c][i]), columns[c], sum[4u + i]);
        }
      }
    }
    return sum;
  }
  for (var k = begin; k < end; k += DEPTH) {
    stage(thread, row, column, k, shape_a, shape_b);
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let low = staged_a[d * A_STRIDE + 2u * ty];
      let high = staged_a[d * A_STRIDE + 2u * ty + 1u];
      let columns = staged_b[d * B_STRIDE + tx];
      @unroll(4) for (var i = 0u; i < 4u; i++) {
        sum[i] = fma(vec4f(low[i]), columns, sum[i]);
        sum[4u + i] = fma(vec4f(high[i]), columns, sum[4u + i]);
      }
    }
    workgroupBarrier();
  }
  return sum;
}
