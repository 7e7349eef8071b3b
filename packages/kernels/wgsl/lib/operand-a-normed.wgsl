// The left operand of a product of normed rows, before their own factors: the rows of x times the gain, four elements at a time. The row length is a multiple
// of 4. Uses params.offset.

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> gain: array<vec4f>;  // (depth)

// Elements (row, column) .. (row, column + 3) of x (rows, columns), as in operand-a-vec4.wgsl.
fn read_x(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  return select(vec4f(), a[(row * columns + column) / 4u], row < rows && column < columns);
}

fn gain_at(column: u32) -> vec4f {
  return params.offset + gain[column / 4u];
}

fn read_a(row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  return read_x(row, column, rows, columns) * gain_at(column);
}
