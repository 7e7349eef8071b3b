/** Preferences to explicit prompts, to unpaired rows, to lists of two, and to demonstrations. */
import { canonicalJson } from "../canonical-json";
import { type Conversion, ConversionBuilder, convertEach } from "../conversion";
import { type PreferenceOptions, readPreference } from "../feedback";
import type { PreferenceExample } from "../formats";
import type { DatasetRow } from "../jsonl";

/**
 * Writes prompts out and `strength` as `margin`; a row whose two completions are equal, which compares nothing, is dropped.
 */
export function explicitPreferences(rows: readonly DatasetRow[], options: PreferenceOptions = {}): Conversion {
  return convertEach(rows, (row, line) => {
    const { chosen, rejected } = row;
    if (chosen && rejected && canonicalJson(chosen) === canonicalJson(rejected)) return "equal completions";
    return [preferenceRow(readPreference(row, line, options))];
  });
}

/** The row that `readPreference` reads as this example. */
export function preferenceRow({ prompt, chosen, rejected, margin, group, columns }: PreferenceExample): DatasetRow {
  return { ...columns, ...(group === undefined ? {} : { group }), prompt, chosen, rejected, ...(margin === undefined ? {} : { margin }) };
}

/**
 * Two unpaired rows for each pair: TRL's `unpair_preference_dataset`. As there, all chosen ones come first, then all rejected ones, so that
 * neighbours have different prompts, as KTO's estimate of the KL needs (TRL does so within pieces of 1,000 rows).
 */
export function unpairPreferences(rows: readonly DatasetRow[], options: PreferenceOptions = {}): Conversion {
  const builder = new ConversionBuilder();
  const examples = rows.map((row, i) => readPreference(row, i + 1, options));
  for (const side of ["chosen", "rejected"] as const) {
    examples.forEach(({ prompt, columns, ...sides }, i) => {
      builder.add(i + 1, { ...columns, prompt, completion: sides[side], label: side === "chosen" });
    });
  }
  return builder.conversion;
}

/** Each pair as a ranked list of two. */
export function preferencesToRanked(rows: readonly DatasetRow[], options: PreferenceOptions = {}): Conversion {
  return convertEach(rows, (row, line) => {
    const { prompt, chosen, rejected, columns } = readPreference(row, line, options);
    return [{ ...columns, prompt, completions: [chosen, rejected], ranks: [1, 2] }];
  });
}

/** The chosen completions as demonstrations. The same one in several pairs of a prompt comes once. */
export function preferencesToDemonstrations(rows: readonly DatasetRow[], options: PreferenceOptions = {}): Conversion {
  const seen = new Set<string>();
  return convertEach(rows, (row, line) => {
    const { prompt, chosen: completion, columns } = readPreference(row, line, options);
    const key = canonicalJson([prompt, completion]);
    if (seen.has(key)) return "the same demonstration again";
    seen.add(key);
    return [{ ...columns, prompt, completion }];
  });
}
