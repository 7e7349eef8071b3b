/** Thumbs to unpaired rows, and unpaired rows to demonstrations. */
import { readRow } from "../columns";
import { type Conversion, convertEach } from "../conversion";
import { readUnpaired } from "../feedback";
import type { DatasetRow } from "../jsonl";

/** What a `thumb` column may hold. 0 is refused: it is "down" in some data and "no vote" in other. */
const THUMBS = new Map<unknown, boolean>([
  ["up", true],
  ["down", false],
  ["👍", true],
  ["👎", false],
  [true, true],
  [false, false],
  [1, true],
  [-1, false],
]);

/** Thumbs up or down (`prompt`, `completion`, `thumb`) as unpaired rows; a row without a vote (null) is dropped. */
export function thumbsToUnpaired(rows: readonly DatasetRow[]): Conversion {
  return convertEach(rows, (row, line) =>
    readRow<readonly DatasetRow[] | string>(row, line, (columns) => {
      const [prompt, completion] = [columns.turns("prompt"), columns.turns("completion")];
      columns.alike("prompt");
      const thumb = columns.get("thumb");
      if (thumb === null || thumb === undefined) return "no vote";
      const label = THUMBS.get(thumb);
      if (label === undefined) columns.reject("thumb", 'must be "up", "down", true, false, 1, -1 or null', thumb);
      return [{ ...columns.rest(), prompt, completion, label }];
    }),
  );
}

/** The completions that were liked, as demonstrations. */
export function unpairedToDemonstrations(rows: readonly DatasetRow[]): Conversion {
  return convertEach(rows, (row, line) => {
    const { prompt, completion, label, columns } = readUnpaired(row, line);
    return label ? [{ ...columns, prompt, completion }] : "not liked";
  });
}
