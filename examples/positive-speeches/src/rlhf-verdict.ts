/** What the RLHF run has shown: figures of the reward model, gains with intervals, and proxy and true reward against KL. */
import { type PairedDifference, pairedBootstrap, type RewardModelEvaluation } from "@trimtab/node";
import type { splitByPrompt } from "./human-feedback";
import type { Measurement } from "./optimise";
import type { RlhfSettings } from "./rlhf-settings";

export interface RewardModelVerdict {
  readonly trainingComparisons: number;
  readonly heldOutComparisons: number;
  /** Share of held-out comparisons where the higher score is the chosen text's. */
  readonly accuracy: number;
  /** What a model that knew the true reward would reach, as the judge errs. */
  readonly bestAccuracy: number;
  readonly expectedCalibrationError: number;
  /** Of confidence bins: how sure the model was, and how often it was right. */
  readonly calibration: readonly { readonly confidence: number; readonly frequency: number; readonly count: number }[];
}

/** One row of the table. Rewards with a z are in standard deviations of the base's, with the base at 0, as the proxy is. */
export interface TableRow {
  readonly run: RunName;
  readonly round: number;
  readonly kl: number;
  readonly proxy: number;
  readonly truth: number;
  readonly zTruth: number;
  readonly distinct2: number;
}

export type RunName = "controlled" | "free";

export interface Gain extends Pick<PairedDifference, "mean" | "low" | "high" | "meanBefore" | "meanAfter"> {
  readonly inDeviations: number;
}

export interface Verdict {
  readonly bitsPerByte: number;
  readonly rewardModel: RewardModelVerdict;
  /** True reward of the last policy against the base's, on the same prompts. */
  readonly gains: Readonly<Record<RunName, Gain>>;
  /** True reward of the free run's last policy against that at its best measurement. */
  readonly fallFromPeak: Gain & { readonly peakRound: number };
  readonly table: readonly TableRow[];
  readonly settings: RlhfSettings;
  readonly seed: number;
}

/** The reward model on held-out comparisons, beside the most that anyone could know. */
export function judgeRewardModel(
  { metrics, calibration }: RewardModelEvaluation,
  { training, heldOut }: ReturnType<typeof splitByPrompt>,
): RewardModelVerdict {
  const verdict = {
    trainingComparisons: training.length,
    heldOutComparisons: heldOut.length,
    accuracy: metrics.accuracy as number,
    bestAccuracy: heldOut.reduce((sum, { certainty }) => sum + certainty, 0) / heldOut.length,
    expectedCalibrationError: calibration?.expectedCalibrationError as number,
    calibration: (calibration?.bins ?? [])
      .filter(({ count }) => count > 0)
      .map(({ confidence, frequency, count }) => ({ confidence, frequency, count })),
  };
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  console.log(`Reward model on ${heldOut.length} held-out comparisons
  accuracy     ${percent(verdict.accuracy)}; one who knew the true reward would reach ${percent(verdict.bestAccuracy)}, as the judge errs
  calibration  error ${percent(verdict.expectedCalibrationError)}`);
  for (const { confidence, frequency, count } of verdict.calibration) {
    console.log(`    ${percent(confidence)} sure, right in ${percent(frequency)} of ${count}`);
  }
  console.log();
  return verdict;
}

/** `runs` begin with the base's measurement. */
export function verdictOf({
  runs,
  seed,
  ...rest
}: Pick<Verdict, "bitsPerByte" | "rewardModel" | "settings" | "seed"> & {
  readonly runs: Readonly<Record<RunName, readonly Measurement[]>>;
}): Verdict {
  const start = runs.free[0] as Measurement;
  const last = (run: RunName) => runs[run].at(-1) as Measurement;
  const peak = runs.free.reduce((best, own) => (own.truth > best.truth ? own : best));
  const gain = (before: Measurement, after: Measurement): Gain => {
    const { mean, low, high, meanBefore, meanAfter, stdBefore } = pairedBootstrap(before.rewards, after.rewards, { seed });
    return { mean, low, high, meanBefore, meanAfter, inDeviations: mean / stdBefore };
  };
  const scale = pairedBootstrap(start.rewards, start.rewards, { seed }).stdBefore;
  return {
    ...rest,
    seed,
    gains: { controlled: gain(start, last("controlled")), free: gain(start, last("free")) },
    fallFromPeak: { ...gain(peak, last("free")), peakRound: peak.round },
    table: (["controlled", "free"] as const).flatMap((run) =>
      runs[run].map(({ round, kl, proxy, truth, distinct2 }) => ({
        run,
        round,
        kl,
        proxy,
        truth,
        zTruth: (truth - start.truth) / scale,
        distinct2,
      })),
    ),
  };
}

/** The sentences that the figures support. */
export function finding({ gains, fallFromPeak, table }: Verdict): string {
  const free = table.filter(({ run }) => run === "free");
  const [start, end] = [free[0], free.at(-1)] as [TableRow, TableRow];
  const peak = free.find(({ round }) => round === fallFromPeak.peakRound) as TableRow;
  const learned =
    gains.controlled.low > 0
      ? "With the KL held, PPO made the texts better by the true reward."
      : "With the KL held, PPO did not make the texts clearly better by the true reward.";
  const gap = `With KL for free, ${end.kl.toFixed(1)} nats from the base, the reward model claims ${signed(end.proxy - start.proxy)} standard deviations, and the judge sees ${signed(end.zTruth)}.`;
  if (peak.round === end.round) return `${learned} ${gap} The true reward was still at its highest at the end.`;
  const since = `Since its best in round ${peak.round}, at ${peak.kl.toFixed(1)} nats, the proxy went from ${peak.proxy.toFixed(2)} to ${end.proxy.toFixed(2)}`;
  const isOptimisedAway = fallFromPeak.high < 0 && end.proxy > peak.proxy;
  return `${learned} ${gap} ${since}, and the true reward ${isOptimisedAway ? "fell: over-optimisation" : "did not rise"} (${interval(fallFromPeak)}).`;
}

/** "+1.00, 95 % interval +0.50 to +1.50" */
export function interval({ mean, low, high }: Pick<Gain, "mean" | "low" | "high">): string {
  return `${signed(mean)}, 95 % interval ${signed(low)} to ${signed(high)}`;
}

/** Prints the table, the gains and the finding. */
export function printVerdict(verdict: Verdict): void {
  const { table, gains, fallFromPeak, settings } = verdict;
  console.log(`\n${settings.heldOutPrompts} held-out prompts    KL     proxy   true reward  (in deviations)  distinct-2`);
  for (const { run, round, kl, proxy, truth, zTruth, distinct2 } of table) {
    const cells = [kl.toFixed(2).padStart(8), signed(proxy).padStart(9), truth.toFixed(2).padStart(12), signed(zTruth).padStart(14)];
    console.log(`${run.padEnd(10)} round ${String(round).padStart(3)} ${cells.join("")} ${distinct2.toFixed(3).padStart(15)}`);
  }
  console.log(`
Verdict: true reward on ${settings.heldOutPrompts} held-out prompts
  KL held   ${means(gains.controlled)}: ${interval(gains.controlled)}, ${gains.controlled.inDeviations.toFixed(2)} standard deviations
  KL free   ${means(gains.free)}: ${interval(gains.free)}, ${gains.free.inDeviations.toFixed(2)} standard deviations
            against its best, in round ${fallFromPeak.peakRound}: ${interval(fallFromPeak)}
  ${finding(verdict)}`);
}

const means = ({ meanBefore, meanAfter }: Gain) => `${meanBefore.toFixed(2)} → ${meanAfter.toFixed(2)}`;

function signed(value: number): string {
  return `${value >= 0 ? "+" : ""}${value.toFixed(2)}`;
}
