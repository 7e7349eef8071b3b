/** Which of the session's rows a trainer can learn from, as they are or converted. */
import { type ConversionTarget, convertRows, type DatasetRow, type EngineAlgorithm } from "@trimtab/core";
import type { Datasets, FeedbackFormat } from "../store";

/** A set of rows that a trainer takes, and what it is called. */
export interface DataChoice {
  readonly id: string;
  readonly label: string;
  readonly rows: readonly DatasetRow[];
}

interface Source {
  readonly format: FeedbackFormat;
  /** Where it must be converted. */
  readonly to?: ConversionTarget;
  readonly label: string;
}

const pairs: readonly Source[] = [
  { format: "preference", label: "pairs" },
  { format: "rated", to: "preference", label: "pairs of differently rated completions" },
];

const SOURCES: Partial<Readonly<Record<EngineAlgorithm, readonly Source[]>>> = {
  reward: [
    { format: "preference", label: "pairs" },
    { format: "ranked", label: "rankings" },
    { format: "rated", to: "regression", label: "ratings" },
    { format: "unpaired", label: "thumbs" },
  ],
  dpo: pairs,
  orpo: pairs,
  kto: [
    { format: "unpaired", label: "thumbs" },
    { format: "preference", to: "unpaired", label: "pairs, each side by itself" },
    { format: "rated", to: "unpaired", label: "ratings, high and low" },
  ],
  sft: [
    { format: "sft", label: "demonstrations and corrections" },
    { format: "preference", to: "sft", label: "the better completion of pairs" },
  ],
};

/** Ratings are stars. */
const SCALE = [1, 5] as const;

/** What there is for a trainer that learns from feedback, those with rows only, in the order of preference. */
export function dataChoices(algorithm: EngineAlgorithm, datasets: Datasets): readonly DataChoice[] {
  return (SOURCES[algorithm] ?? []).flatMap(({ format, to, label }): DataChoice[] => {
    const found = datasets[format];
    if (found.length === 0) return [];
    const rows = to ? convertRows(found, { from: format === "sft" ? "prompt-completion" : format, to, scale: SCALE }).rows : found;
    return rows.length === 0 ? [] : [{ id: `${format}${to ? `-${to}` : ""}`, label, rows }];
  });
}

/** What a trainer could learn from, in words: for when there is none of it. */
export function wantedData(algorithm: EngineAlgorithm): string {
  return (SOURCES[algorithm] ?? []).map(({ label }) => label).join(", or ");
}

/** Fewer comparisons are all learned from. */
const LEAST_TO_SPLIT = 10;

/** The rows of every fifth prompt are kept back, so that a reward model can be judged by what it has not seen: neither prompt nor completions. */
export function splitHeldOut(rows: readonly DatasetRow[]): {
  readonly rows: readonly DatasetRow[];
  readonly heldOut: readonly DatasetRow[];
} {
  if (rows.length < LEAST_TO_SPLIT) return { rows, heldOut: [] };
  const keys = rows.map(({ prompt }) => JSON.stringify(prompt));
  const held = new Set([...new Set(keys)].filter((_, i) => i % 5 === 4));
  const isHeld = (i: number) => held.has(keys[i] as string);
  return { rows: rows.filter((_, i) => !isHeld(i)), heldOut: rows.filter((_, i) => isHeld(i)) };
}
