// The right operand of a product, read element by element: for row lengths that are no multiple of 4.

@group(0) @binding(1) var<storage, read> b: array<f32>;

// Elements (row, column) .. (row, column + 3) of a row-major (rows, columns) matrix; zero outside it. `column` is a multiple of 4.
fn read_b(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  var value = vec4f();
  if (row < rows) {
    let at = row * columns + column;
    if (column < columns) { value.x = b[at]; }
    if (column + 1u < columns) { value.y = b[at + 1u]; }
    if (column + 2u < columns) { value.z = b[at + 2u]; }
    if (column + 3u < columns) { value.w = b[at + 3u]; }
  }
  return value;
}
