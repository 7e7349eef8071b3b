// Which of `count` segments [offsets[s], offsets[s + 1]) a row may be in: the first that ends after it, or `count`.  Needs a binding `offsets`.
fn segment_ending_after(row: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (offsets[middle + 1u] <= row) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}
