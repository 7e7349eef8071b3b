/** What becomes of the matches when a text is split (Hugging Face tokenizers 0.23, `SplitDelimiterBehavior`). */
import type { Match } from "./patterns";

export const splitBehaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type SplitBehavior = (typeof splitBehaviors)[number];

/** Stretches of a text: from, to. Empty ones are left out. */
export type Stretch = readonly [from: number, to: number];

export function splitAt(matches: readonly Match[], behavior: SplitBehavior): Stretch[] {
  return stretches(matches, behavior).filter(([from, to]) => from < to);
}

function stretches(matches: readonly Match[], behavior: SplitBehavior): Stretch[] {
  switch (behavior) {
    case "Removed":
      return matches.filter(([, , isMatch]) => !isMatch).map(([from, to]) => [from, to]);
    case "Isolated":
      return matches.map(([from, to]) => [from, to]);
    case "Contiguous":
      return joined(matches, (isMatch, wasMatch) => isMatch === wasMatch);
    case "MergedWithPrevious":
      return joined(matches, (isMatch, wasMatch) => isMatch && !wasMatch);
    case "MergedWithNext": {
      const mirrored = matches.map(([from, to, isMatch]): Match => [-to, -from, isMatch]).reverse();
      const merged = joined(mirrored, (isMatch, wasMatch) => isMatch && !wasMatch);
      return merged.map(([from, to]): Stretch => [-to, -from]).reverse();
    }
  }
}

/** Each stretch joined to the one before it where `joins` says so. */
function joined(matches: readonly Match[], joins: (isMatch: boolean, wasMatch: boolean) => boolean): Stretch[] {
  const result: Stretch[] = [];
  let wasMatch = false;
  for (const [from, to, isMatch] of matches) {
    const last = result.at(-1);
    if (last !== undefined && joins(isMatch, wasMatch)) result[result.length - 1] = [last[0], to];
    else result.push([from, to]);
    wasMatch = isMatch;
  }
  return result;
}
