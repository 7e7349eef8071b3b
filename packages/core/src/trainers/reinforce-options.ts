/** Options of REINFORCE and its relatives, their defaults and their check. */
import { requireTrainingRoom } from "../checkpoint/room";
import { clippedSurrogate } from "../losses/policy/clipped";
import type { KlEstimator } from "../losses/policy/kl";
import { composedObjective } from "../losses/policy/objectives";
import { policyGradientLoss } from "../losses/policy/policy-gradient";
import { importanceRatios } from "../losses/policy/ratios";
import { aggregationWeights, type LossAggregation } from "../losses/token-weights";
import { OptionChecks } from "./options";
import { type PolicyPlan, plainPlan } from "./policy-update";
import { type ReferenceOptions, type ReferenceSettings, resolveReference } from "./reference-model";
import { type AdvantageEstimator, advantageEstimators } from "./reinforce-advantages";
import { type RolloutOptions, type RolloutSettings, resolveRollout, withPrompts } from "./rollout-options";

export interface ReinforceOptions extends RolloutOptions, ReferenceOptions {
  /** How rewards become advantages. Default "reinforce". verl's names. */
  readonly advantageEstimator?: AdvantageEstimator | undefined;
  /** reinforce: every token is credited with the whole return, or with what is still to come. Default "reward_to_go". */
  readonly credit?: "total" | "reward_to_go" | undefined;
  /** reinforce: what is subtracted from returns: nothing, the round's mean return, or the mean of all rounds before. Default "running_mean". */
  readonly baseline?: "none" | "mean" | "running_mean" | undefined;
  /** Discount per token of the return to go (reinforce, reinforce_plus_plus). Default 1, and nothing else where whole completions are credited. */
  readonly gamma?: number | undefined;
  /** Weight of the KL to the reference. Default 0: no reference. */
  readonly beta?: number | undefined;
  /** A price of every token in its reward, or a term of the loss. Default "reward"; reinforce_plus_plus_baseline: "loss". */
  readonly klPlacement?: "reward" | "loss" | undefined;
  /** Default "k1" in the reward; "k2" in the loss, whose gradient is that of KL(π ‖ π_ref). */
  readonly klEstimator?: KlEstimator | undefined;
  /** How token losses are averaged, under verl's names. Default "seq-mean-token-sum", the textbook's; reinforce_plus_plus and gpg: "token-mean". */
  readonly lossAggMode?: LossAggregation | undefined;
  /** Clip range of the ratio where a round gets several steps; with one there is nothing to clip. Default 0.2. */
  readonly epsilon?: number | undefined;
  readonly epsilonHigh?: number | undefined;
}

export interface ReinforceSettings extends RolloutSettings {
  readonly advantageEstimator: AdvantageEstimator;
  readonly credit: "total" | "reward_to_go";
  readonly baseline: "none" | "mean" | "running_mean";
  readonly gamma: number;
  readonly beta: number;
  readonly klPlacement: "reward" | "loss";
  readonly klEstimator: KlEstimator;
  readonly plan: PolicyPlan;
  readonly reference: ReferenceSettings;
}

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
export function resolveReinforce(options: ReinforceOptions): ReinforceSettings {
  const { decoder } = options.model;
  const checks = new OptionChecks();
  const names = Object.keys(advantageEstimators) as AdvantageEstimator[];
  const named = checks.choice("advantageEstimator", options.advantageEstimator ?? "reinforce", names);
  // A name that is none has been noted; the rest is checked all the same.
  const advantageEstimator = names.includes(named) ? named : "reinforce";
  const { isGrouped } = advantageEstimators[advantageEstimator];
  const sizes = { learningRate: 1e-6, numGenerations: isGrouped ? 8 : 1, leastGenerations: isGrouped ? 2 : 1 };
  const rollout = resolveRollout(options, sizes, checks);
  const onlyPlain = <T>(name: string, value: T | undefined, fallback: T): T => {
    checks.check(name, value, value === undefined || advantageEstimator === "reinforce", `left out with ${advantageEstimator}`);
    return value ?? fallback;
  };
  const isPlusPlus = advantageEstimator.startsWith("reinforce_plus_plus");
  const klPlacement = options.klPlacement ?? (advantageEstimator === "reinforce_plus_plus_baseline" ? "loss" : "reward");
  const beta = checks.number("beta", options.beta ?? 0, 0);
  const klEstimator = checks.choice("klEstimator", options.klEstimator ?? (klPlacement === "loss" ? "k2" : "k1"), [
    "k1",
    "k2",
    "k3",
    "abs",
  ]);
  const aggregations = Object.keys(aggregationWeights) as LossAggregation[];
  const averaged: LossAggregation = isPlusPlus || advantageEstimator === "gpg" ? "token-mean" : "seq-mean-token-sum";
  const lossAggMode = checks.choice("lossAggMode", options.lossAggMode ?? averaged, aggregations);
  const epsilonLow = checks.number("epsilon", options.epsilon ?? 0.2, 0, undefined, true);
  const epsilonHigh = checks.number("epsilonHigh", options.epsilonHigh ?? epsilonLow, 0, undefined, true);
  const clip = { epsilonLow, epsilonHigh, delta: 0, dualClip: 0 };
  const kl = { beta: klPlacement === "loss" ? beta : 0, klEstimator, isKlCorrected: false };
  const isReused = rollout.stepsPerRollout > 1;
  const credit = checks.choice("credit", onlyPlain("credit", options.credit, "reward_to_go"), ["total", "reward_to_go"]);
  const gamma = checks.number("gamma", options.gamma ?? 1, 0, 1);
  const isDiscounted = advantageEstimator === "reinforce_plus_plus" || (advantageEstimator === "reinforce" && credit === "reward_to_go");
  checks.check("gamma", gamma, isDiscounted || gamma === 1, "1 where whole completions are credited");
  const settings = {
    ...rollout,
    advantageEstimator,
    credit,
    baseline: checks.choice("baseline", onlyPlain("baseline", options.baseline, "running_mean"), ["none", "mean", "running_mean"]),
    gamma,
    beta,
    klPlacement: checks.choice("klPlacement", klPlacement, ["reward", "loss"]),
    klEstimator,
    plan: {
      ...plainPlan,
      objective: composedObjective(
        (tape, inputs) => (isReused ? clippedSurrogate(tape, inputs, clip) : policyGradientLoss(tape, inputs)),
        importanceRatios.token,
        kl,
      ),
      tokenWeight: aggregationWeights[lossAggMode],
      clip: { ...clip, level: "token", measure: isReused ? "ratio" : "none" },
    } as const,
    reference: resolveReference(options, decoder, beta > 0, checks),
  };
  checks.throwIfAny("reinforce");
  requireTrainingRoom(decoder, settings.reference.isCopied ? 4 : 3);
  return withPrompts(settings, options);
}
