/** The page of the RLHF run: proxy and true reward against KL, the frontier, curves, tables and samples. */
import { type Chart, type Device, environmentOf, frontierChart, type MetricsLog, metricCharts, renderReport } from "@trimtab/node";
import type { Bench, Measurement } from "./optimise";
import { finding, interval, type RunName, type TableRow, type Verdict } from "./rlhf-verdict";

export interface RlhfRun {
  readonly verdict: Verdict;
  readonly runs: Readonly<Record<RunName, readonly Measurement[]>>;
  readonly logs: Readonly<Record<RunName, MetricsLog>>;
  readonly bench: Bench;
  readonly device: Device;
}

const NAMES: Readonly<Record<RunName, string>> = { controlled: "KL held", free: "KL free" };
const SAMPLES = 8;

/** The whole page. */
export function rlhfReport({ verdict, runs, logs, bench, device }: RlhfRun): string {
  const { rewardModel, gains, table, settings, seed } = verdict;
  const rows = (run: RunName) => table.filter((row) => row.run === run);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const change = ({ meanBefore, meanAfter }: { meanBefore: number; meanAfter: number }) =>
    `${meanBefore.toFixed(2)} → ${meanAfter.toFixed(2)}`;
  const [start, held, free] = [runs.free[0], runs.controlled.at(-1), runs.free.at(-1)] as [Measurement, Measurement, Measurement];

  return renderReport({
    title: "Learning from human feedback",
    lead: `A scripted judge with noise compared ${rewardModel.trainingComparisons + rewardModel.heldOutComparisons} pairs of a small model's texts; a reward model learned from the comparisons, and PPO from the reward model. Measured on ${settings.heldOutPrompts} prompts from speeches that no model has seen. ${finding(verdict)}`,
    figures: [
      {
        label: "Reward model's accuracy",
        value: percent(rewardModel.accuracy),
        note: `on ${rewardModel.heldOutComparisons} held-out comparisons; at best ${percent(rewardModel.bestAccuracy)}, as the judge errs`,
      },
      { label: "Calibration error", value: percent(rewardModel.expectedCalibrationError), note: "expected, of the held-out comparisons" },
      { label: "True reward, KL held", value: change(gains.controlled), note: interval(gains.controlled) },
      { label: "True reward, KL free", value: change(gains.free), note: interval(gains.free) },
      {
        label: "KL to the base",
        value: `${held.kl.toFixed(1)}, ${free.kl.toFixed(1)}`,
        note: `nats per completion, held (target ${settings.klTarget}) and free`,
      },
    ],
    charts: [
      gapChart(rows("free"), "Over-optimisation: KL free"),
      gapChart(rows("controlled"), "KL held"),
      {
        ...frontierChart(table.map(({ run, round, kl, truth }) => ({ label: `${run} ${round}`, kl, reward: truth }))),
        title: "True reward and KL",
        description: "Each dot is a measurement of one of the two runs; the line joins those that no other beats in both.",
        yLabel: "true reward",
      },
      {
        title: "The price of KL",
        description: "The adaptive controller raises it where the KL is above its target.",
        xLabel: "step",
        yLabel: "coefficient",
        smooth: false,
        series: [{ name: "klCoef", points: logs.controlled.rows.map((row) => [row.step, row["objective/kl_coef"] as number]) }],
      },
      {
        title: "KL in training",
        description: "Nats per completion, of each round's own completions.",
        xLabel: "step",
        yLabel: "nats",
        smooth: false,
        series: (["controlled", "free"] as const).map((run) => ({
          name: NAMES[run],
          points: logs[run].rows.map((row): [number, number] => [row.step, row["objective/kl"] as number]),
        })),
      },
      calibrationChart(verdict),
      ...metricCharts(logs.controlled.rows)
        .filter(({ title }) => title === "Reward" || title === "Entropy")
        .map((chart) => ({ ...chart, title: `KL held: ${chart.title.toLowerCase()}` })),
    ],
    tables: [
      {
        title: "KL, proxy and true reward",
        description: "Proxy and true reward in standard deviations of the base's texts; the true reward also as it is.",
        columns: ["Run", "Round", "KL, nats per completion", "Proxy", "True, in deviations", "True reward", "Distinct-2"],
        rows: table.map(({ run, round, kl, proxy, zTruth, truth, distinct2 }) => [NAMES[run], round, kl, proxy, zTruth, truth, distinct2]),
      },
      {
        title: "Samples",
        description: "The same held-out prompts and random numbers; in brackets the true reward.",
        columns: ["Prompt", "Base", "KL held", "KL free"],
        rows: bench.heldOut
          .slice(0, SAMPLES)
          .map((prompt, i) => [
            prompt,
            ...[start, held, free].map(({ texts, rewards }) => `${texts[i]?.trim()} (${rewards[i]?.toFixed(1)})`),
          ]),
      },
      {
        title: "Settings",
        columns: ["What", "Value"],
        rows: [...Object.entries(settings), ["seed", seed]].map(([name, value]) => [String(name), String(value)]),
      },
      { title: "Environment", columns: ["What", "Which"], rows: environmentOf(device) },
    ],
  });
}

function gapChart(rows: readonly TableRow[], title: string): Chart {
  const byKl = [...rows].sort((a, b) => a.kl - b.kl);
  return {
    title,
    description: "What the reward model says and what the judge would say, each in standard deviations of the base's texts.",
    xLabel: "KL to the base, nats per completion",
    yLabel: "standard deviations",
    smooth: false,
    series: [
      { name: "reward model (proxy)", points: byKl.map(({ kl, proxy }) => [kl, proxy]) },
      { name: "true reward", points: byKl.map(({ kl, zTruth }) => [kl, zTruth]) },
    ],
  };
}

function calibrationChart({ rewardModel: { calibration } }: Verdict): Chart {
  return {
    title: "Calibration of the reward model",
    description: "How sure it is of the text that it prefers, and how often the judge agreed, on held-out comparisons.",
    xLabel: "confidence",
    yLabel: "share agreed",
    smooth: false,
    series: [
      { name: "measured", points: calibration.map(({ confidence, frequency }) => [confidence, frequency]) },
      { name: "perfect", points: [0.5, 1].map((share) => [share, share]) },
    ],
  };
}
