/** The report of a command-line run: what was trained on what, its curves, samples, options and environment. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Device,
  type Figure,
  type MetricRow,
  metricCharts,
  type Profile,
  profileFlame,
  profileTable,
  renderReport,
  type Table,
} from "@trimtab/core";
import { environmentOf } from "../environment";
import { formatSeconds } from "../run/progress";

export interface TrainingRun {
  /** The command, e.g. "grpo". */
  readonly command: string;
  readonly device: Device;
  readonly rows: readonly MetricRow[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly elapsedMs: number;
  readonly parameterCount: number;
  /** A completion, its prompt and reward, from the last steps. */
  readonly samples: readonly { readonly step: number; readonly prompt: string; readonly completion: string; readonly reward: number }[];
  /** Where the time of so many steps went; undefined where nobody asked. */
  readonly profiled?: { readonly profile: Profile; readonly steps: number } | undefined;
}

const HEADLINES: readonly (readonly [metric: string, label: string])[] = [
  ["reward", "Reward"],
  ["loss", "Loss"],
  ["mean_token_accuracy", "Token accuracy"],
  ["kl", "KL to the start"],
];

const short = (value: number) => String(Number(value.toPrecision(4)));

/** Writes report.html into a directory and returns its path. */
export async function writeTrainingReport(directory: string, run: TrainingRun): Promise<string> {
  const { command, rows, samples, profiled } = run;
  const [first, last] = [rows[0], rows.at(-1)];
  const figures = HEADLINES.flatMap(([metric, label]): Figure[] => {
    const [from, to] = [first?.[metric], last?.[metric]];
    return from === undefined || to === undefined ? [] : [{ label, value: short(to), note: `${short(from)} at step ${first?.step}` }];
  });
  const sampleTable: Table = {
    title: "Samples",
    description: "Completions of the last steps.",
    columns: ["Prompt", "Completion", "Reward", "Step"],
    rows: samples.map((s) => [s.prompt, s.completion, s.reward, s.step]),
  };
  const options = Object.entries(run.options).filter(([, value]) => value !== undefined);
  const html = renderReport({
    title: `trimtab ${command}`,
    lead: `${last?.step ?? 0} steps on ${run.device.info.name} in ${formatSeconds(run.elapsedMs / 1000)}, a model of ${run.parameterCount.toLocaleString("en")} parameters.`,
    figures: [...figures, { label: "Tokens seen", value: Math.round(last?.num_tokens ?? 0).toLocaleString("en") }],
    charts: metricCharts(rows),
    flames: profiled ? [profileFlame(profiled.profile, profiled.steps)] : [],
    tables: [
      ...(profiled ? [profileTable(profiled.profile, profiled.steps)] : []),
      ...(samples.length > 0 ? [sampleTable] : []),
      {
        title: "Options",
        columns: ["Option", "Value"],
        rows: options.map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
      },
      { title: "Environment", columns: ["What", "Which"], rows: environmentOf(run.device) },
    ],
  });
  const path = join(directory, "report.html");
  await writeFile(path, html);
  return path;
}
