/** The charts of a training run, from its metric rows under TRL's names. */
import type { Chart } from "./report";

/** One logged row: `step` and every metric of that step. */
export type MetricRow = Readonly<Record<string, number>> & { readonly step: number };

interface ChartPlan {
  readonly title: string;
  readonly yLabel: string;
  readonly description: string;
  /** Metric names, each one line, and what a legend calls them; by default what the axis is called. */
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
    title: "Reward less the price of KL",
    yLabel: "reward",
    metrics: ["objective/rlhf_reward", "objective/scores"],
    names: ["what is maximised", "score alone"],
    description: "The score of a completion less what its distance to the reference costs: what PPO maximises.",
  },
  {
    title: "Pairs in order",
    yLabel: "fraction",
    metrics: ["accuracy", "rewards/accuracies"],
    names: ["accuracy", "accuracy"],
    description: "Share of the step's comparisons where the better completion gets more.",
  },
  {
    title: "Margin",
    yLabel: "reward",
    metrics: ["margin", "rewards/margins"],
    names: ["margin", "margin"],
    description: "By how much the better completion is ahead of the worse one, on average.",
  },
  {
    title: "Implicit rewards",
    yLabel: "reward",
    metrics: ["rewards/chosen", "rewards/rejected"],
    names: ["good", "bad"],
    description: "How much likelier than under the reference each side has become, times beta. Both may fall; what counts is the gap.",
  },
  {
    title: "Scores",
    yLabel: "score",
    metrics: ["mean_reward", "min_reward", "max_reward"],
    names: ["mean", "lowest", "highest"],
    description: "Range of the step's scores.",
  },
  { title: "Distance to the ratings", yLabel: "rating", metrics: ["mae"], description: "Mean absolute difference of score and rating." },
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
    metrics: ["clip_ratio/low_mean", "clip_ratio/high_mean", "policy/clipfrac_avg"],
    names: ["below", "above", "both"],
    description:
      "Share of tokens whose ratio to the old policy was clipped. Much above 0.2: too large or too many steps on the same completions.",
  },
  {
    title: "Completion length",
    yLabel: "tokens",
    metrics: ["completions/mean_length"],
    description: "Mean length of the step's completions.",
  },
  {
    title: "Cut short",
    yLabel: "fraction",
    metrics: ["completions/clipped_ratio"],
    description: "Share of completions that the length limit ended.",
  },
  {
    title: "Groups without spread",
    yLabel: "fraction",
    metrics: ["frac_reward_zero_std"],
    description: "Share of prompts whose completions all earned the same: they teach nothing.",
  },
  { title: "Loss", yLabel: "loss", metrics: ["loss"], description: "The objective that the step minimised." },
  {
    title: "Explained variance",
    yLabel: "fraction",
    metrics: ["val/explained_variance"],
    description: "1: the value model knows the returns; 0: it knows nothing; below: it misleads.",
  },
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
    ({ title, yLabel, description, metrics, names: shown = [yLabel] }): Chart => ({
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
