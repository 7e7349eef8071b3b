/** What a benchmark section yields: rows that print as a table and are written to the results file as they are. */

export type Cell = string | number | null;

/** How near its ceiling something came, 0 to 1. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

export interface Section {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What the numbers say against the targets, one line each. */
  readonly notes: readonly string[];
  /** What must lie below its ceiling. */
  readonly shares?: readonly Share[];
}

/** Three significant digits, without exponents. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: Math.min(digits, 1) });
}
