/** A run as one self-contained HTML file: curves, the frontier, samples, options, and what it ran on. */
import { type EngineInfo, type Figure, frontierChart, frontierOfLog, metricCharts, renderReport, type Table } from "@trimtab/core";
import type { StudioModel, StudioRun } from "../store";
import { rewardText, trainedText } from "./compared-runs";
import { formatDuration, formatShare, formatSigned, formatValue } from "./numbers";
import { rewardQuality } from "./reward-quality";
import { trainerOf } from "./trainers";

const HEADLINES: readonly (readonly [metric: string, label: string, format: (value: number) => string])[] = [
  ["reward", "Reward", formatValue],
  ["accuracy", "Pairs in order", formatShare],
  ["rewards/accuracies", "Pairs in order", formatShare],
  ["rewards/margins", "Margin", formatValue],
  ["kl", "KL to the start, per token", formatValue],
  ["loss", "Loss", formatValue],
];

const LAST_SAMPLES = 12;

export interface ReportedRun {
  readonly run: StudioRun;
  readonly models: readonly StudioModel[];
  readonly engine: EngineInfo | undefined;
  /** `navigator.userAgent`, and whatever else may explain a difference between two runs. */
  readonly environment: readonly (readonly [what: string, which: string])[];
}

/** The whole page; every text is escaped. */
export function runReport({ run, models, engine, environment }: ReportedRun): string {
  const { name, setup, history, samples, comparison, margins, elapsedMs } = run;
  const rows = history.map(({ step, metrics }) => ({ ...metrics, step }));
  const [first, last] = [
    rows[0] as Readonly<Record<string, number>> | undefined,
    rows.at(-1) as Readonly<Record<string, number>> | undefined,
  ];
  const figures = HEADLINES.flatMap(([metric, label, format]): Figure[] => {
    const [from, to] = [first?.[metric], last?.[metric]];
    return from === undefined || to === undefined ? [] : [{ label, value: format(to), note: `${format(from)} at step ${first?.step}` }];
  });
  if (margins && margins.length > 0) {
    figures.push({ label: "Held-out pairs in order", value: formatShare(rewardQuality(margins).accuracy), note: `of ${margins.length}` });
  }
  const frontier = frontierOfLog(rows);
  const model = models.find(({ id }) => id === setup.modelId);
  const compared: Table[] = comparison
    ? [
        {
          title: "Side by side",
          description:
            "The same prompts, completed greedily. The log-ratio is the trained model's log-probability less that of the reference.",
          columns: ["Prompt", "By", "Completion", "Log-ratio"],
          rows: comparison.groups.flatMap(({ prompt, samples: sides }) =>
            sides.map(({ title = "", completion, tokens = [] }) => [
              prompt,
              title,
              completion,
              formatSigned(tokens.reduce((sum, { logp, refLogp }) => sum + (refLogp === undefined ? 0 : logp - refLogp), 0)),
            ]),
          ),
        },
      ]
    : [];
  const learnedFrom = samples.flatMap(({ step, samples: own }) => own.map((sample) => ({ step, ...sample }))).slice(-LAST_SAMPLES);
  const sampled: Table[] =
    learnedFrom.length === 0
      ? []
      : [
          {
            title: "Samples",
            description: "Completions that the last steps learned from.",
            columns: ["Prompt", "Completion", "Reward", "Advantage", "Step"],
            rows: learnedFrom.map(({ prompt, completion, reward, advantage, step }) => [
              prompt,
              completion,
              reward ?? "none",
              advantage,
              step,
            ]),
          },
        ];
  return renderReport({
    title: name,
    lead: `${trainerOf(setup.algorithm)?.title ?? setup.algorithm}: ${last?.step ?? 0} of ${run.maxSteps} steps in ${formatDuration(elapsedMs)}, from ${model?.name ?? "a model that is gone"}, on ${setup.rows.length} rows.`,
    figures,
    charts: [...(frontier.length > 0 ? [frontierChart(frontier)] : []), ...metricCharts(rows)],
    tables: [
      ...compared,
      ...sampled,
      {
        title: "Options",
        columns: ["Option", "Value"],
        rows: [
          ["algorithm", setup.algorithm],
          ["trained", trainedText(setup)],
          ...(setup.rewards.length > 0 ? [["rewards", setup.rewards.map(rewardText).join(", ")]] : []),
          ...Object.entries(setup.options).map(([option, value]) => [option, String(value)]),
        ],
      },
      {
        title: "Environment",
        columns: ["What", "Which"],
        rows: [
          ...(engine ? [["Device", engine.device.name]] : []),
          ...(model ? [["Model", `${model.name}, ${model.parameterCount.toLocaleString("en")} parameters`]] : []),
          ...environment.map(([what, which]) => [what, which]),
          ["Started", new Date(run.createdAt).toISOString()],
        ],
      },
    ],
  });
}
