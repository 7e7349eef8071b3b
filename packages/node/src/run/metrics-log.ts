/** metrics.jsonl: one row per logged step, kept in step with the checkpoint that a run resumes from. */

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MetricRow } from "@trimtab/core";

/** Metrics that are states, not means: a row over several steps shows the last one. */
const LATEST = new Set(["step", "epoch", "num_tokens", "learning_rate", "skipped_steps"]);

export class MetricsLog {
  readonly path: string;
  readonly #rows: MetricRow[];
  readonly #every: number;
  #window: MetricRow[] = [];

  /** Opens `directory`/metrics.jsonl; rows after `resumedStep` belong to steps that will be taken again and are dropped. */
  constructor(directory: string, { every = 1, resumedStep = 0 } = {}) {
    mkdirSync(directory, { recursive: true });
    this.path = join(directory, "metrics.jsonl");
    this.#every = every;
    this.#rows = resumedStep > 0 && existsSync(this.path) ? keptRows(readFileSync(this.path, "utf8"), resumedStep) : [];
    writeFileSync(this.path, this.#rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }

  /** Every row written so far, those before a resume included. */
  get rows(): readonly MetricRow[] {
    return this.#rows;
  }

  /** Adds a step; every `every` steps their mean is written as one row. */
  add(row: MetricRow): void {
    this.#window.push(row);
    if (row.step % this.#every === 0) this.flush();
  }

  /** Writes the steps of an unfinished window. */
  flush(): void {
    if (this.#window.length === 0) return;
    const row = meanRow(this.#window);
    this.#window = [];
    this.#rows.push(row);
    appendFileSync(this.path, `${JSON.stringify(row)}\n`);
  }
}

/** The rows up to a step; a last line cut short by a kill is dropped. */
function keptRows(text: string, lastStep: number): MetricRow[] {
  return text.split("\n").flatMap((line) => {
    try {
      const row = JSON.parse(line) as MetricRow;
      return row.step <= lastStep ? [row] : [];
    } catch {
      return [];
    }
  });
}

/** Means over a window, non-finite values left out; states keep their last value. */
function meanRow(window: readonly MetricRow[]): MetricRow {
  const last = window.at(-1) as MetricRow;
  const names = new Set(window.flatMap((row) => Object.keys(row)));
  const mean = (name: string) => {
    const values = window.map((row) => row[name]).filter((v): v is number => v !== undefined && Number.isFinite(v));
    return values.reduce((sum, v) => sum + v, 0) / values.length;
  };
  const entries = [...names].map((name) => [name, LATEST.has(name) || window.length === 1 ? last[name] : mean(name)]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as MetricRow;
}
