/** What a benchmark section yields: rows that print as a table and are written to the results file as they are. */
import Table from "cli-table3";

export type Cell = string | number | null;

export interface Section {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What the numbers say against the targets, one line each. */
  readonly notes: readonly string[];
}

export function printSection(section: Section): void {
  const table = new Table({
    head: [...section.columns],
    style: { head: [], border: [], compact: true },
    colAligns: section.columns.map((_, i) => (i === 0 ? "left" : "right")),
  });
  for (const row of section.rows)
    table.push(row.map((cell) => (cell === null ? "-" : typeof cell === "number" ? significant(cell) : cell)));
  console.log(`\n${section.title}\n${table.toString()}`);
  for (const note of section.notes) console.log(`  ${note}`);
}

/** Three significant digits, without exponents. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: Math.min(digits, 1) });
}
