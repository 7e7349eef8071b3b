/** Where two texts that are nearly the same differ. */

/** A text in three parts: what both begin with, its own middle, what both end with. */
export type Parts = readonly [start: string, middle: string, end: string];

/** Least share of the longer text that must be common for a difference to be worth showing. */
const NEARLY = 0.6;

/** The parts of both, cut between words; undefined where the texts are equal or have too little in common. */
export function differences(first: string, second: string): readonly [Parts, Parts] | undefined {
  if (first === second) return undefined;
  const [a, b] = [words(first), words(second)];
  const most = Math.min(a.length, b.length);
  let start = 0;
  while (start < most && a[start] === b[start]) start++;
  let end = 0;
  while (end < most - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const parts = (all: readonly string[]): Parts => [
    all.slice(0, start).join(""),
    all.slice(start, all.length - end).join(""),
    all.slice(all.length - end).join(""),
  ];
  const [common] = [parts(a)[0].length + parts(a)[2].length];
  return common >= NEARLY * Math.max(first.length, second.length) ? [parts(a), parts(b)] : undefined;
}

/** Words and what is between them. */
const words = (text: string): readonly string[] => text.match(/\s+|[^\s]+/g) ?? [];
