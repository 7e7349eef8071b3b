/** Splitting the rows of an optimiser step into pieces that fit the device. The gradient does not depend on the split. */

/**
 * Consecutive runs of row indices: at most `maxRows` rows each, and at most `maxTokens` tokens unless one row alone has more.
 * `lengths[i]` is the number of tokens of row i.
 */
export function microBatches(lengths: readonly number[], maxRows: number, maxTokens = Number.POSITIVE_INFINITY): number[][] {
  const batches: number[][] = [];
  let tokens = 0;
  lengths.forEach((length, i) => {
    const last = batches.at(-1);
    if (last && last.length < maxRows && tokens + length <= maxTokens) {
      last.push(i);
      tokens += length;
    } else {
      batches.push([i]);
      tokens = length;
    }
  });
  return batches;
}
