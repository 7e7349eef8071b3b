/** Ranked lists to pairs and to demonstrations. */
import { type Conversion, ConversionBuilder, convertEach } from "../conversion";
import { readRanked } from "../feedback";
import type { DatasetRow } from "../jsonl";

/**
 * Every pair of a list as a preference (InstructGPT: all C(K, 2), of which ties are dropped). The pairs of a list follow each other and
 * share `group` (the list's own `group`, or its line), so that they can be one element of a batch: as single elements they would
 * show every completion K - 1 times and overfit in one epoch (Ouyang et al. 2022, section 3.5). The best completions come first.
 */
export function rankedToPreferences(rows: readonly DatasetRow[]): Conversion {
  const builder = new ConversionBuilder();
  rows.forEach((row, index) => {
    const line = index + 1;
    const { prompt, completions, ranks, columns } = readRanked(row, line);
    const order = ranks.map((_, i) => i).sort((a, b) => (ranks[a] as number) - (ranks[b] as number) || a - b);
    order.forEach((better, place) => {
      for (const worse of order.slice(place + 1)) {
        if (ranks[better] === ranks[worse]) builder.drop(line, "pair of equal rank");
        else builder.add(line, { group: line, ...columns, prompt, chosen: completions[better], rejected: completions[worse] });
      }
    });
  });
  return builder.conversion;
}

/** The best completion of each list as a demonstration; all of them where several share the first rank. */
export function rankedToDemonstrations(rows: readonly DatasetRow[]): Conversion {
  return convertEach(rows, (row, line) => {
    const { prompt, completions, ranks, columns } = readRanked(row, line);
    return completions.filter((_, i) => ranks[i] === 1).map((completion) => ({ ...columns, prompt, completion }));
  });
}
