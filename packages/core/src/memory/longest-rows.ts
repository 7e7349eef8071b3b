/** The rows of a dataset that take the most memory, found without a tokenizer. */
import type { DatasetRow } from "../data/jsonl";

/** The columns that trainers encode. */
const TEXTS = ["text", "messages", "prompt", "completion", "completions", "chosen", "rejected"];

/** The `count` longest rows, by the bytes of what is encoded of them: a row's tokens go with its bytes, whatever its language. */
export function longestRows(rows: readonly DatasetRow[], count: number, textColumn = "text"): readonly DatasetRow[] {
  if (rows.length <= count) return rows;
  const columns = [...TEXTS, textColumn];
  const sized = rows.map((row) => ({ row, bytes: columns.reduce((sum, column) => sum + bytesOf(row[column]), 0) }));
  return sized
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, count)
    .map(({ row }) => row);
}

function bytesOf(value: unknown): number {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  // Characters outside of ASCII take two to four bytes, mostly three.
  return text.length + 2 * (text.match(/[^ -~\s]/g)?.length ?? 0);
}
