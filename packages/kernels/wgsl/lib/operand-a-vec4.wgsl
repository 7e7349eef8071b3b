// The left operand of a product, read four elements at a time: its row length is a multiple of 4.

@group(0) @binding(0) var<storage, read> a: array<vec4f>;

// Elements (row, column) .. (row, column + 3) of a row-major (rows, columns) matrix; zero outside it. `column` is a multiple of 4.
fn read_a(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  if (row >= rows || column >= columns) {
    return vec4f();
  }
  return a[(row * columns + column) / 4u];
}
