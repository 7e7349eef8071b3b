// The left operand of a product, read four elements at a time: its row length is a multiple of 4.

@group(0) @binding(0) var<storage, read> a: array<vec4f>;

// Elements (row, column) .. (row, column + 3) of a row-major (rows, columns) matrix; zero outside it. `column` is a multiple of 4. There is no branch,
// so that many reads are under way at once: WGSL reads some element where an index is too large.
fn read_a(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  return select(vec4f(), a[(row * columns + column) / 4u], row < rows && column < columns);
}
