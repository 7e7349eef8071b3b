/** How a policy ranks held-out pairs: implicit rewards of both completions, and the share of pairs in the right order. */
import type { DatasetRow } from "../data/jsonl";
import type { Decoder } from "../models/decoder";
import type { Metrics } from "../rl/metrics";
import { pairMetrics } from "../rl/preference-metrics";
import { type FeedbackOptions, resolveLengths } from "./feedback-options";
import { OptionChecks } from "./options";
import { readPairs } from "./pair-batches";
import { checkReference } from "./reference-model";
import { countTargets, sequenceLogps } from "./sequence-logps";
import type { TrainingModel } from "./training-model";

export interface EvaluatePreferencesOptions extends Pick<FeedbackOptions, "maxLength" | "truncationMode"> {
  readonly model: TrainingModel;
  /** Preferences: `prompt`, `chosen`, `rejected`. */
  readonly dataset: readonly DatasetRow[];
  /** What the policy was trained against; without one (ORPO, CPO) the reward is β log π. */
  readonly reference?: { readonly decoder: Decoder } | undefined;
  /** Default 0.1. */
  readonly beta?: number | undefined;
  /** Rewards are means over tokens (SimPO, ORPO) instead of sums. Default false. */
  readonly averages?: boolean | undefined;
  /** Most tokens computed at once. Default 4096. */
  readonly maxTokens?: number | undefined;
}

export interface PreferenceEvaluation {
  /** `rewards/*` and `logps/*`, as trainers report them; `rewards/accuracies` is the share of pairs in the right order. */
  readonly metrics: Metrics;
  /** (pairs) */
  readonly chosenRewards: readonly number[];
  readonly rejectedRewards: readonly number[];
}

/** Runs policy and reference over the pairs without training. Throws ConfigError or DataError before any work. */
export async function evaluatePreferences(options: EvaluatePreferencesOptions): Promise<PreferenceEvaluation> {
  const { model, dataset, reference, averages = false, maxTokens = 4096 } = options;
  const checks = new OptionChecks();
  const beta = checks.number("beta", options.beta ?? 0.1, 0, undefined, true);
  const lengths = resolveLengths(options, model.decoder, checks);
  if (reference) checkReference(reference, model.decoder, checks);
  checks.throwIfAny("evaluatePreferences");
  const pairs = readPairs(dataset, model.tokenizer, model.decoder, lengths);
  const side = async (of: "chosen" | "rejected") => {
    const sequences = pairs.map((pair) => pair[of]);
    const limits = { rows: sequences.length, tokens: maxTokens };
    const logps = await sequenceLogps(model.decoder, sequences, limits);
    const refs = reference && (await sequenceLogps(reference.decoder, sequences, limits));
    const reward = (i: number) => (logps[i] as number) - (refs?.[i] ?? 0);
    return { logps, rewards: sequences.map((sequence, i) => (beta * reward(i)) / (averages ? countTargets(sequence) : 1)) };
  };
  const [chosen, rejected] = [await side("chosen"), await side("rejected")];
  return {
    chosenRewards: chosen.rewards,
    rejectedRewards: rejected.rewards,
    metrics: pairMetrics({
      chosenRewards: chosen.rewards,
      rejectedRewards: rejected.rewards,
      chosenLogps: chosen.logps,
      rejectedLogps: rejected.logps,
    }),
  };
}
