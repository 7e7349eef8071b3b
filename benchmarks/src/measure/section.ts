/** What a benchmark section yields: rows that print as a table and are written to the results file as they are. */

import type { Timing } from "./timing";

export type Cell = string | number | null;

/** How near its ceiling something came, 0 to 1. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

/** What is asked of the engine. */
export interface Target {
  readonly what: string;
  readonly target: number;
  /** Null where it could not be measured. */
  readonly measured: number | null;
  /** " %", "x" or " s". */
  readonly unit: string;
  /** The measured value must not be above the target; else not below. */
  readonly isMost?: boolean;
}

/** Contestants that took turns at the same work. */
export interface SectionTiming {
  readonly of: string;
  readonly timings: readonly Timing[];
}

export interface Section {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What the numbers say against the targets, one line each. */
  readonly notes: readonly string[];
  /** What must lie below its ceiling. */
  readonly shares?: readonly Share[];
  readonly targets?: readonly Target[];
  /** Medians, best times and spread behind the rows. */
  readonly timings?: readonly SectionTiming[];
}

/** Three significant digits, without exponents. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: Math.min(digits, 1) });
}
