// One workgroup's tile of a product A (rows, depth) · B (depth, columns): GROUP_X x GROUP_Y threads, 8 rows by 4 columns each.
// Needs read_a of lib/operand-a-*.wgsl and read_b of lib/operand-b-*.wgsl.

override GROUP_X: u32 = 16u;
override GROUP_Y: u32 = 8u;
// True on GPUs that are emulated on a CPU: registers straight from memory, as staging costs them more than it saves.
override EMULATED: bool = false;

// True where B stacks the rows of a gate over those of what it gates: a block of four columns is two gates and the two that they gate.
override GATED: bool = false;

const DEPTH: u32 = 16u;  // of one stage
override THREADS: u32 = GROUP_X * GROUP_Y;
override BLOCKS: u32 = 1u;  // that a thread stages: 4 (ROW_BLOCKS + GROUP_X) / THREADS, at most 2
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

// Which of `rows` rows of B, stored (outer, depth), column `column + j` is; `column` is a multiple of 4.
fn row_of_b(column: u32, j: u32, rows: u32) -> u32 {
  if (GATED) {
    return column / 2u + j % 2u + j / 2u * (rows / 2u);
  }
  return column + j;
}

// m[c][j] = B(k + c, column + j)
fn block_b(column: u32, k: u32, shape: Operand) -> mat4x4f {
  if (shape.along_depth) {
    return transpose(mat4x4f(
      read_b(row_of_b(column, 0u, shape.outer), k, shape.outer, shape.depth),
      read_b(row_of_b(column, 1u, shape.outer), k, shape.outer, shape.depth),
      read_b(row_of_b(column, 2u, shape.outer), k, shape.outer, shape.depth),
      read_b(row_of_b(column, 3u, shape.outer), k, shape.outer, shape.depth)));
  }
  return mat4x4f(
    read_b(k, column, shape.depth, shape.outer), read_b(k + 1u, column, shape.depth, shape.outer),
    read_b(k + 2u, column, shape.depth, shape.outer), read_b(k + 3u, column, shape.depth, shape.outer));
}

// A thread's place in the tile: a patch of 8 x 4 threads for every 32 that run together reads the fewest different parts of the staged operands.
fn thread_x(thread: u32) -> u32 {
  return thread % 8u + 8u * (thread / 32u % (GROUP_X / 8u));
}

fn thread_y(thread: u32) -> u32 {
  return thread % 32u / 8u + 4u * (thread / 32u / (GROUP_X / 8u));
}

// Where a piece of the two operands lies, 4 x 4 elements: which block of A's rows or of B's columns, and from which depth of the stage on.
struct Place {
  is_a: bool,
  outer: u32,
  depth: u32,
}

// The place of piece number `piece`. Consecutive pieces follow each operand's contiguous axis.
fn place_of(piece: u32, shape_a: Operand, shape_b: Operand) -> Place {
  if (piece < 4u * ROW_BLOCKS) {
    return Place(
      true, select(piece % ROW_BLOCKS, piece / 4u, shape_a.along_depth), 4u * select(piece / ROW_BLOCKS, piece % 4u, shape_a.along_depth));
  }
  let rest = piece - 4u * ROW_BLOCKS;
  return Place(false, select(rest % GROUP_X, rest / 4u, shape_b.along_depth), 4u * select(rest / GROUP_X, rest % 4u, shape_b.along_depth));
}

fn load_block(piece: u32, row: u32, column: u32, k: u32, shape_a: Operand, shape_b: Operand) -> mat4x4f {
  let place = place_of(piece, shape_a, shape_b);
  if (place.is_a) {
    return block_a(row + 4u * place.outer, k + place.depth, shape_a);
  }
  return block_b(column + 4u * place.outer, k + place.depth, shape_b);
}

fn stage_block(piece: u32, m: mat4x4f, shape_a: Operand, shape_b: Operand) {
  let place = place_of(piece, shape_a, shape_b);
  if (place.is_a) {
    @unroll(4) for (var c = 0u; c < 4u; c++) {
      staged_a[(place.depth + c) * A_STRIDE + place.outer] = m[c];
    }
  } else {
    @unroll(4) for (var c = 0u; c < 4u; c++) {
      staged_b[(place.depth + c) * B_STRIDE + place.outer] = m[c];
    }
  }
}

// [i] = columns 4 tx .. 4 tx + 3 of row 8 ty + i of the tile that starts at (row, column), over depths begin .. end.
// `begin` is a multiple of DEPTH, and so is `end` unless it is the whole depth. All threads must call this.
fn tile_product(
  thread: u32, row: u32, column: u32, begin: u32, end: u32, shape_a: Operand, shape_b: Operand,
) -> array<vec4f, 8> {
  let tx = thread_x(thread);
  let ty = thread_y(thread);
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
  // The next stage is read while this one is multiplied.
  var blocks: array<mat4x4f, 2>;
  @unroll(BLOCKS) for (var b = 0u; b < BLOCKS; b++) {
    blocks[b] = load_block(thread + b * THREADS, row, column, begin, shape_a, shape_b);
  }
  for (var k = begin; k < end; k += DEPTH) {
    @unroll(BLOCKS) for (var b = 0u; b < BLOCKS; b++) {
      stage_block(thread + b * THREADS, blocks[b], shape_a, shape_b);
    }
    workgroupBarrier();
    if (k + DEPTH < end) {
      @unroll(BLOCKS) for (var b = 0u; b < BLOCKS; b++) {
        blocks[b] = load_block(thread + b * THREADS, row, column, k + DEPTH, shape_a, shape_b);
      }
    }
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
