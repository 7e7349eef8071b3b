// The right operand of a product, read four elements at a time: its row length is a multiple of 4.

@group(0) @binding(1) var<storage, read> b: array<vec4f>;

// Elements (row, column) .. (row, column + 3) of a row-major (rows, columns) matrix; zero outside it. `column` is a multiple of 4. There is no branch,
// so that many reads are under way at once: WGSL reads some element where an index is too large.
fn read_b(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  return select(vec4f(), b[(row * columns + column) / 4u], row < rows && column < columns);
}
