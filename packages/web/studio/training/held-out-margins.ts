/** What a reward model makes of comparisons it has not seen. */
import { type ConversionTarget, convertRows, type DatasetRow, detectFormat, type EngineModel, readPreference } from "@trimtab/core";

/**
 * For each comparison: score of the better completion less that of the worse one. Rankings and ratings become pairs; good and bad completions are
 * compared across prompts, each good one with the next bad one. Empty where nothing can be compared.
 */
export async function heldOutMargins<Place>(
  model: Pick<EngineModel<Place>, "score">,
  rows: readonly DatasetRow[],
): Promise<readonly number[]> {
  const [first] = rows;
  if (!first) return [];
  const format = detectFormat(first);
  if (format === "unpaired") {
    const scores = await model.score(rows.map(({ prompt, completion }) => ({ prompt, completion })));
    const good = scores.filter((_, i) => rows[i]?.label === true);
    const bad = scores.filter((_, i) => rows[i]?.label === false);
    return bad.length === 0 ? [] : good.map((score, i) => score - (bad[i % bad.length] as number));
  }
  const pairs = convertRows(rows, { from: format, to: "preference" satisfies ConversionTarget }).rows.map((row, i) =>
    readPreference(row, i + 1),
  );
  const scores = await model.score(
    pairs.flatMap(({ prompt, chosen, rejected }) => [
      { prompt, completion: chosen },
      { prompt, completion: rejected },
    ]),
  );
  return pairs.map((_, i) => (scores[2 * i] as number) - (scores[2 * i + 1] as number));
}
