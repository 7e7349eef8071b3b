/**
 * Corrections to preferences and to demonstrations. An edit that changes nothing is dropped from both: whether the completion was approved
 * or never looked at, the row does not say.
 */
import { canonicalJson } from "../canonical-json";
import { type Conversion, convertEach } from "../conversion";
import { readCorrection } from "../feedback";
import type { CorrectionExample } from "../formats";
import type { DatasetRow } from "../jsonl";

/** The edited completion is better than the original. */
export function correctionsToPreferences(rows: readonly DatasetRow[]): Conversion {
  return convertChanged(rows, ({ prompt, completion, edited, columns }) => ({ ...columns, prompt, chosen: edited, rejected: completion }));
}

/** The edited completion is what should have been said. */
export function correctionsToDemonstrations(rows: readonly DatasetRow[]): Conversion {
  return convertChanged(rows, ({ prompt, edited, columns }) => ({ ...columns, prompt, completion: edited }));
}

function convertChanged(rows: readonly DatasetRow[], convert: (example: CorrectionExample) => DatasetRow): Conversion {
  return convertEach(rows, (row, line) => {
    const example = readCorrection(row, line);
    if (canonicalJson(example.completion) === canonicalJson(example.edited)) return "edit that changes nothing";
    return [convert(example)];
  });
}
