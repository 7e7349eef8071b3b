/** Some columns of a wider matrix. Items are rows. */

export function columns_place(x: usize, y: usize, N: u32, C: u32, D: u32, first: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  for (let n = begin; n < end; n++) memory.copy(y + ((n * D + first) << 2), x + n * row, row);
}

export function columns_take(x: usize, y: usize, N: u32, D: u32, C: u32, first: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  for (let n = begin; n < end; n++) memory.copy(y + n * row, x + ((n * D + first) << 2), row);
}
