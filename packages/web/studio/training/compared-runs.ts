/** Runs beside each other as data: curves of the same metric in one chart, and the options in which they differ. */
import { type Chart, metricCharts, type Series } from "@trimtab/core";
import type { RunReward, RunSetup, StudioRun } from "../store";
import { SECONDARY } from "./secondary-charts";
import { adapterText } from "./trainers";

/** For every metric that at least one of the runs has alone in its chart: one line for each run, named after it. `places` says which run each is. */
export function overlaidCharts(runs: readonly StudioRun[]): readonly { readonly chart: Chart; readonly places: readonly number[] }[] {
  const byTitle = new Map<string, { chart: Chart; series: Series[]; places: number[] }>();
  runs.forEach((run, place) => {
    for (const chart of metricCharts(run.history.map(({ step, metrics }) => ({ ...metrics, step })))) {
      const [line, second] = chart.series;
      if (!line || second || SECONDARY.has(chart.title)) continue;
      const all = byTitle.get(chart.title) ?? { chart, series: [], places: [] };
      byTitle.set(chart.title, all);
      all.series.push({ ...line, name: run.name });
      all.places.push(place);
    }
  });
  return [...byTitle.values()].map(({ chart, series, places }) => ({ chart: { ...chart, series }, places }));
}

export interface OptionDifference {
  readonly name: string;
  /** One for each run; undefined where the run has no such option. */
  readonly values: readonly (string | undefined)[];
}

/** What the runs were started with, where it is not the same in all of them. */
export function optionDifferences(runs: readonly StudioRun[], modelName: (id: string) => string): readonly OptionDifference[] {
  const tables = runs.map(
    ({ setup }): Readonly<Record<string, string>> => ({
      algorithm: setup.algorithm,
      model: modelName(setup.modelId),
      trained: trainedText(setup),
      ...(setup.rewards.length > 0 ? { rewards: setup.rewards.map(rewardText).join(", ") } : {}),
      rows: String(setup.rows.length),
      ...Object.fromEntries(Object.entries(setup.options).map(([name, value]) => [name, String(value)])),
    }),
  );
  const names = [...new Set(tables.flatMap((table) => Object.keys(table)))];
  return names.map((name) => ({ name, values: tables.map((table) => table[name]) })).filter(({ values }) => new Set(values).size > 1);
}

/** What a run trains, in words. */
export function trainedText({ adapter }: RunSetup): string {
  return adapter ? adapterText(adapter) : "all weights";
}

/** A reward in words. */
export function rewardText(reward: RunReward): string {
  if ("endpoint" in reward) return `${reward.endpoint.model} at ${reward.endpoint.baseUrl}`;
  if ("modelId" in reward) return reward.name ?? "a reward model";
  const options = Object.values(reward.options ?? {}).map(String);
  return options.length > 0 ? `${reward.rule} (${options.join(", ")})` : reward.rule;
}
