/** Options of DPO: TRL's DPOConfig with defaults filled in, and the dataset's pairs. */
import type { DpoLossOptions } from "../losses/preference/dpo";
import { type DpoLossType, dpoLosses } from "../losses/preference/dpo-loss-types";
import { type FDivergenceType, fDivergences } from "../losses/preference/f-divergence";
import { lengthDesensitizedWeights } from "../losses/preference/pair-logps";
import { type FeedbackOptions, requireFeedbackRoom, resolveLengths, stepCount } from "./feedback-options";
import { OptionChecks, resolveTraining, type TrainingSettings } from "./options";
import { type Pair, readPairs } from "./pair-batches";
import { type ReferenceLogpsOptions, type ReferenceLogpsSettings, resolveReferenceLogps } from "./reference-logps";
import { countTargets } from "./sequence-logps";

/** `dataset` holds preferences: `prompt`, `chosen`, `rejected` (the prompt may be what the two begin with). */
export interface DpoOptions extends FeedbackOptions, ReferenceLogpsOptions {
  /** Strength of the pull to the reference. Default 0.1. */
  readonly beta?: number | undefined;
  /** One objective or several. Default "sigmoid". */
  readonly lossType?: DpoLossType | readonly DpoLossType[] | undefined;
  /** Weight of each objective. Default 1 each. */
  readonly lossWeights?: readonly number[] | undefined;
  /** Chance that a label is wrong: cdpo, robust (below 0.5), exo_pair (above 0), aot, aot_unpaired. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Default "reverse_kl". */
  readonly fDivergenceType?: FDivergenceType | undefined;
  /** α of alpha_divergence. Default 0.5. */
  readonly fAlphaDivergenceCoef?: number | undefined;
  /** LD-DPO: factor in [0, 1] of the tokens beyond the pair's shorter completion. Default: none. */
  readonly ldAlpha?: number | undefined;
  /** WPO: pairs that the policy would write count more. Default false. */
  readonly useWeighting?: boolean | undefined;
  /** Temperature of discopop. Default 0.05. */
  readonly discopopTau?: number | undefined;
}

export interface DpoSettings extends TrainingSettings, ReferenceLogpsSettings {
  readonly loss: Omit<DpoLossOptions, "meanChosenLength">;
  /** An objective sorts the step's values. */
  readonly isSorting: boolean;
  readonly useWeighting: boolean;
}

/** Checks the options, all at once, and then the dataset, row by row. */
export function resolveDpo(options: DpoOptions): { settings: DpoSettings; pairs: readonly Pair[]; maxSteps: number } {
  const { tokenizer, decoder } = options.model;
  const checks = new OptionChecks();
  const training = resolveTraining(options, { learningRate: 1e-6 }, checks);
  const lengths = resolveLengths(options, decoder, checks);
  const reference = resolveReferenceLogps(options, decoder, checks);
  const beta = checks.number("beta", options.beta ?? 0.1, 0, undefined, true);
  const names = [options.lossType ?? "sigmoid"].flat() as DpoLossType[];
  checks.check("lossType", names.length, names.length > 0, "at least one objective");
  for (const name of names) checks.choice("lossType", name, Object.keys(dpoLosses) as DpoLossType[]);
  const weights = options.lossWeights ?? names.map(() => 1);
  const weightsFit = weights.length === names.length && weights.every(Number.isFinite);
  checks.check("lossWeights", weights, weightsFit, `one finite number for each of the ${names.length} objectives`);
  const labelSmoothing = checks.number("labelSmoothing", options.labelSmoothing ?? 0, 0, 1);
  const needsSmoothing = names.includes("exo_pair") && !(labelSmoothing > 0 && labelSmoothing < 1);
  checks.check("labelSmoothing", labelSmoothing, !needsSmoothing, "above 0 and below 1 for exo_pair, e.g. 0.001");
  checks.check("labelSmoothing", labelSmoothing, !names.includes("robust") || labelSmoothing < 0.5, "below 0.5 for robust");
  const divergence = checks.choice(
    "fDivergenceType",
    options.fDivergenceType ?? "reverse_kl",
    Object.keys(fDivergences) as FDivergenceType[],
  );
  const alpha = checks.number("fAlphaDivergenceCoef", options.fAlphaDivergenceCoef ?? 0.5, Number.NEGATIVE_INFINITY);
  const discopopTau = checks.number("discopopTau", options.discopopTau ?? 0.05, 0, undefined, true);
  const { ldAlpha } = options;
  if (ldAlpha !== undefined) checks.number("ldAlpha", ldAlpha, 0, 1);
  checks.throwIfAny("dpo");
  requireFeedbackRoom(decoder, !reference.precomputeRefLogProbs && reference.referenceModel.isCopied);

  const examples = readPairs(options.dataset, tokenizer, decoder, lengths);
  const settings: DpoSettings = {
    ...training,
    ...reference,
    loss: {
      terms: names.map((name, k) => ({ loss: dpoLosses[name], weight: weights[k] as number })),
      ...{ divergence: fDivergences[divergence], alpha, beta, labelSmoothing, discopopTau },
    },
    isSorting: names.some((name) => name === "aot" || name === "aot_unpaired"),
    useWeighting: options.useWeighting ?? false,
  };
  const pairs = ldAlpha === undefined ? examples : examples.map((pair) => desensitize(pair, ldAlpha));
  return { settings, pairs, maxSteps: stepCount(training, pairs.length) };
}

/** LD-DPO's factors on the tokens of a pair. */
function desensitize({ chosen, rejected }: Pair, ldAlpha: number): Pair {
  const split = countTargets(chosen);
  const weights = lengthDesensitizedWeights([split, countTargets(rejected)], ldAlpha);
  return { chosen: { ...chosen, weights: weights.subarray(0, split) }, rejected: { ...rejected, weights: weights.subarray(split) } };
}
