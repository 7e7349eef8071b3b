/** Scores of ranked lists laid end to end, compared two by two. */

/** Offsets of segments of these lengths. */
export function offsetsOf(lengths: readonly number[]): number[] {
  const offsets = [0];
  for (const length of lengths) offsets.push((offsets.at(-1) as number) + length);
  return offsets;
}

/** The scores of every two items of a list of which one is better. Lower ranks are better. */
export function comparedScores(
  lists: readonly { readonly ranks: readonly number[] }[],
  scores: ArrayLike<number>,
): { readonly better: number[]; readonly worse: number[] } {
  const offsets = offsetsOf(lists.map(({ ranks }) => ranks.length));
  const [better, worse]: [number[], number[]] = [[], []];
  lists.forEach(({ ranks }, l) => {
    const own = (k: number) => scores[(offsets[l] as number) + k] as number;
    ranks.forEach((rank, i) => {
      ranks.forEach((other, j) => {
        if (rank >= other) return;
        better.push(own(i));
        worse.push(own(j));
      });
    });
  });
  return { better, worse };
}
