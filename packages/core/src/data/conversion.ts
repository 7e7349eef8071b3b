/** What converting or tokenizing a dataset gives: rows, where each came from, and what was left out and why. */
import type { DatasetRow } from "./jsonl";

/** Something left out: a row, or a pair of one. */
export interface Dropped {
  /** The row it was in, from 1. */
  readonly line: number;
  readonly reason: string;
}

/** Converted rows. */
export interface Conversion {
  readonly rows: readonly DatasetRow[];
  /** The line that each row comes from (the first of them where there are several). (rows) */
  readonly lines: readonly number[];
  readonly dropped: readonly Dropped[];
}

/** How often each reason occurs, in the order of first occurrence. */
export function countReasons(dropped: readonly Dropped[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { reason } of dropped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return counts;
}

/** Converts row by row: `convert` returns the rows that one becomes, or the reason why it becomes none. Lines count from 1. */
export function convertEach(
  rows: readonly DatasetRow[],
  convert: (row: DatasetRow, line: number) => readonly DatasetRow[] | string,
): Conversion {
  const builder = new ConversionBuilder();
  rows.forEach((row, i) => {
    const result = convert(row, i + 1);
    if (typeof result === "string") builder.drop(i + 1, result);
    else for (const made of result) builder.add(i + 1, made);
  });
  return builder.conversion;
}

/** Converts what a conversion gave; lines are those of the first one's rows. */
export function thenConvert(first: Conversion, convert: (rows: readonly DatasetRow[]) => Conversion): Conversion {
  const second = convert(first.rows);
  const origin = (line: number) => first.lines[line - 1] as number;
  return {
    rows: second.rows,
    lines: second.lines.map(origin),
    dropped: [...first.dropped, ...second.dropped.map(({ line, reason }) => ({ line: origin(line), reason }))],
  };
}

/** Collects a conversion. */
export class ConversionBuilder {
  readonly #rows: DatasetRow[] = [];
  readonly #lines: number[] = [];
  readonly #dropped: Dropped[] = [];
  readonly conversion: Conversion = { rows: this.#rows, lines: this.#lines, dropped: this.#dropped };

  add(line: number, row: DatasetRow): void {
    this.#rows.push(row);
    this.#lines.push(line);
  }

  drop(line: number, reason: string): void {
    this.#dropped.push({ line, reason });
  }
}
