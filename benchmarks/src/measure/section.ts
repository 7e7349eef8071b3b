/** What a benchmark section yields: rows that print as a table and are written to the results file as they are. */

export type Cell = string | number | null;

export interface Section {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What the numbers say against the targets, one line each. */
  readonly notes: readonly string[];
}

/** Three significant digits, without exponents. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: Math.min(digits, 1) });
}
