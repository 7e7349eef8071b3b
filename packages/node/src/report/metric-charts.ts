/** The charts of a training run, from its metric rows under TRL's names. */
import type { Chart } from "./report";

/** One logged row: `step` and every metric of that step. */
export type MetricRow = Readonly<Record<string, number>> & { readonly step: number };

interface ChartPlan {
  readonly title: string;
  readonly yLabel: string;
  readonly description: string;
  /** Metric names, each one line, and what the legend calls them where there are several. */
  readonly metrics: readonly string[];
  readonly names?: readonly string[];
}

const PLANS: readonly ChartPlan[] = [
  {
    title: "Reward",
    yLabel: "reward",
    metrics: ["reward"],
    description: "Weighted sum of the reward functions, mean over the step's completions.",
  },
  {
    title: "KL to the starting policy",
    yLabel: "nats per token",
    metrics: ["kl"],
    description: "How far the policy has moved: mean k3 estimate per token.",
  },
  { title: "Entropy", yLabel: "nats per token", metrics: ["entropy"], description: "How undecided the policy is about the next token." },
  {
    title: "Clipped tokens",
    yLabel: "fraction",
    metrics: ["clip_ratio/low_mean", "clip_ratio/high_mean"],
    names: ["below", "above"],
    description: "Share of tokens whose ratio to the old policy was clipped, below and above.",
  },
  {
    title: "Completion length",
    yLabel: "tokens",
    metrics: ["completions/mean_length"],
    description: "Mean length of the step's completions.",
  },
  { title: "Loss", yLabel: "loss", metrics: ["loss"], description: "The objective that the step minimised." },
  {
    title: "Token accuracy",
    yLabel: "fraction",
    metrics: ["mean_token_accuracy"],
    description: "Targets that were the model's first choice.",
  },
  { title: "Gradient norm", yLabel: "norm", metrics: ["grad_norm"], description: "Global norm before clipping." },
  { title: "Learning rate", yLabel: "rate", metrics: ["learning_rate"], description: "As the schedule set it." },
];

/** A chart for each known metric that occurs in the rows, and one for each reward function where there are several. */
export function metricCharts(rows: readonly MetricRow[], xLabel = "step"): Chart[] {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  const points = (name: string) => rows.filter((row) => name in row).map((row): [number, number] => [row.step, row[name] as number]);
  const charts = PLANS.filter((plan) => plan.metrics.some((name) => names.has(name))).map(
    ({ title, yLabel, description, metrics, names: shown = metrics }): Chart => ({
      title,
      description,
      xLabel,
      yLabel,
      smooth: title === "Learning rate" ? false : undefined,
      series: metrics.flatMap((name, i) => (names.has(name) ? [{ name: shown[i] as string, points: points(name) }] : [])),
    }),
  );
  const rewards = [...names].filter((name) => /^rewards\/.*\/mean$/.test(name));
  if (rewards.length > 1) {
    const series = rewards.slice(0, 4).map((name) => ({ name: name.slice("rewards/".length, -"/mean".length), points: points(name) }));
    charts.splice(1, 0, { title: "Reward functions", description: "Unweighted mean of each.", xLabel, yLabel: "reward", series });
  }
  return charts;
}
