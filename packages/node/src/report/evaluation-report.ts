/** The page of an evaluation: figures with intervals, the reference beside them, the reward-KL frontier, and samples. */
import {
  type Device,
  type Figure,
  type FrontierPoint,
  frontierChart,
  type Interval,
  type PairedDifference,
  type PolicyEvaluation,
  renderReport,
  type Table,
  type Turns,
  type WinRate,
} from "@trimtab/core";
import { environmentOf } from "../environment";

export interface EvaluationRun {
  readonly options: Readonly<Record<string, unknown>> & { readonly modelNameOrPath: string; readonly datasetName: string };
  readonly device: Device;
  readonly result: PolicyEvaluation;
  /** The reference on the same prompts, and how much more the model earns. */
  readonly baseline: PolicyEvaluation | undefined;
  readonly difference: PairedDifference | undefined;
  /** Of the model against the reference. */
  readonly wins: WinRate | undefined;
  readonly frontier: readonly FrontierPoint[];
}

const SAMPLES = 12;
const short = (value: number) => String(Number(value.toPrecision(4)));
const range = ({ low, high }: Interval) => `95 % interval ${short(low)} to ${short(high)}`;

/** The whole page. */
export function evaluationReport({ options, device, result, baseline, difference, wins, frontier }: EvaluationRun): string {
  const figure = (label: string, interval: Interval | undefined, note = ""): Figure[] =>
    interval ? [{ label, value: short(interval.mean), note: `${range(interval)}${note}` }] : [];
  const figures = [
    ...figure("Reward", result.reward),
    ...figure("Reward of the reference", baseline?.reward),
    ...figure("Difference, paired", difference),
    ...figure("Win rate", wins?.rate, wins ? `; ${wins.wins} won, ${wins.ties} tied, ${wins.losses} lost` : ""),
    ...Object.entries(result.passAtK).flatMap(([k, interval]) => figure(`pass@${k}`, interval)),
    ...figure("KL to the reference", result.kl?.exact, ", nats per completion"),
    ...figure("Length", result.length, ", tokens"),
  ];
  const rows = (evaluation: PolicyEvaluation, name: string): (string | number)[][] => {
    const line = (what: string, { mean, low, high }: Interval) => [name, what, mean, low, high];
    return [
      ...Object.entries(evaluation.rewardsByName).map(([reward, interval]) => line(`reward ${reward}`, interval)),
      ...Object.entries(evaluation.passAtK).map(([k, interval]) => line(`pass@${k}`, interval)),
      ...(evaluation.kl ? Object.entries(evaluation.kl).map(([kind, interval]) => line(`KL ${kind}, nats per completion`, interval)) : []),
      line("tokens per completion", evaluation.length),
      ...[1, 2].map((n) => {
        const value = evaluation.distinct[n as 1 | 2];
        return [name, `distinct-${n}`, value, value, value];
      }),
    ];
  };
  const measured: Table = {
    title: "Measured",
    description: "Means over prompts with 95 % bootstrap intervals; distinct n-grams are of all completions and have none.",
    columns: ["Of", "What", "Mean", "Low", "High"],
    rows: [...rows(result, "model"), ...(baseline ? rows(baseline, "reference") : [])],
  };
  const samples: Table = {
    title: "Samples",
    columns: ["Prompt", "Completion", "Reward"],
    rows: result.prompts
      .slice(0, SAMPLES)
      .map(({ prompt, completions, rewards }) => [textOf(prompt), textOf(completions[0] as Turns), rewards[0] ?? "none"]),
  };
  return renderReport({
    title: "trimtab eval",
    lead: `${options.modelNameOrPath} on ${result.prompts.length} prompts of ${options.datasetName}, ${result.completions} completions, on ${device.info.name}.`,
    figures,
    charts: frontier.length > 0 ? [frontierChart(frontier)] : [],
    tables: [
      measured,
      samples,
      {
        title: "Options",
        columns: ["Option", "Value"],
        rows: Object.entries(options)
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
      },
      { title: "Environment", columns: ["What", "Which"], rows: environmentOf(device) },
    ],
  });
}

function textOf(turns: Turns): string {
  return typeof turns === "string" ? turns : turns.map((turn) => `${turn.role}: ${turn.content}`).join("\n");
}
