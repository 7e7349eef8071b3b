/**
 * Advantage actor-critic (Sutton and Barto, chapter 13; Mnih et al. 2016): the policy gradient with a learned critic, without any clip.
 *
 * Each round: sample completions, score them, weigh every token by what the critic says of it, take one optimiser step on -Σ weight · log π with
 * the value loss, and, where asked, further steps of the value function alone. The samples are the policy's own, so there is no ratio.
 *
 * Left out: asynchronous actors and n-step rollouts that stop inside an episode (A3C); a completion is an episode.
 */
import { policyGradientLoss } from "../losses/policy/policy-gradient";
import { dotProduct } from "../losses/policy/result";
import { learnedFrom, type ScoredCompletion } from "../rl/scored-rollout";
import type { Credit } from "../rl/token-credit";
import { collect } from "./collect";
import { openCritic } from "./critic";
import { criticExperience } from "./critic-experience";
import { type CriticOptions, type CriticSettings, requireCriticRoom, resolveCritic } from "./critic-options";
import { criticUpdate, type Surrogate, valueUpdate } from "./critic-update";
import { createOptimizer, learningRates, OptionChecks } from "./options";
import { openMovingReference } from "./reference-model";
import { withPrompts } from "./rollout-options";
import { Rounds } from "./rounds";
import { type TrainingStep, trainingSteps } from "./training-steps";

/** What multiplies ∇ log π(o_t). */
export type AdvantageForm = "gae" | "td" | "monte_carlo" | "q";

export interface A2cOptions extends CriticOptions {
  /**
   * "gae": the advantage A_t with `lam`; "td": the TD error r_t + γ V_{t+1} - V_t (λ = 0); "monte_carlo": return less value (λ = 1);
   * "q": the action value r_t + γ V_{t+1} itself, without a baseline. The values learn the returns of the same λ. Default "gae".
   */
  readonly advantage?: AdvantageForm | undefined;
  /** Steps of the value function per step of the policy; all but the first leave the policy, and a shared trunk, alone. Default 1. */
  readonly valueIterations?: number | undefined;
}

/** One step of the policy; metrics as PPO's, see docs/algorithms/a2c.md. Its state holds the value model as "value". */
export interface A2cStep extends TrainingStep {
  /** The completions this step was taken on. */
  readonly completions: readonly ScoredCompletion[];
}

interface A2cSettings extends CriticSettings {
  readonly weigh: (credit: Credit) => Float64Array;
  readonly valueIterations: number;
}

/** λ of each form, where it does not come from the options, and what of the credit is the weight. */
const forms: Readonly<Record<AdvantageForm, { readonly lam?: number; readonly weight: "advantages" | "returns" }>> = {
  gae: { weight: "advantages" },
  td: { lam: 0, weight: "advantages" },
  monte_carlo: { lam: 1, weight: "advantages" },
  q: { lam: 0, weight: "returns" },
};

/** Trains `model` and yields after every step. Throws ConfigError or DataError before any work, RewardError from rewards. */
export async function* a2c(options: A2cOptions): AsyncGenerator<A2cStep, void, undefined> {
  const settings = resolveA2c(options);
  const { model } = options;
  const { decoder: policy } = model;
  const critic = openCritic(settings.valueModel, model, settings.seed);
  const reference = openMovingReference(settings.reference, policy);
  const optimizer = createOptimizer(policy.trainable, settings);
  const valueOptimizer = createOptimizer(critic.parameters, settings);
  const valueRate = learningRates({ ...settings, learningRate: settings.valueLearningRate }, settings.totalSteps);

  const rounds = new Rounds(settings, async (prompts, position, trainerState) => {
    const scored = await collect(model, prompts, position, trainerState, settings);
    const actors = { policy, critic, reference: reference.decoder };
    const { metrics, ...experience } = await criticExperience(scored, actors, settings.klCoef, settings, settings.weigh);
    return { ...experience, metrics: { ...metrics, episode: (position + prompts.length) * settings.numGenerations } };
  });

  try {
    yield* trainingSteps({
      algorithm: "a2c",
      settings,
      maxSteps: settings.totalSteps,
      models: {
        model: { parameters: policy.trainable, optimizer },
        others: { value: { parameters: critic.parameters, optimizer: valueOptimizer }, ...reference.others },
      },
      resume: options.resume,
      place: rounds,
      async take(step, learningRate) {
        const { experience, rows, tokens, epoch } = await rounds.next(step);
        const updatingValue = { optimizer: valueOptimizer, learningRate: valueRate(step) };
        const share = { rows, experience, policy, critic, cliprangeValue: 0 };
        const { metrics, skipped } = await criticUpdate(
          { ...share, surrogate: policyGradient, updating: [{ optimizer, learningRate }, updatingValue] },
          settings,
        );
        for (let i = 1; i < settings.valueIterations; i++) metrics["loss/value_avg"] = await valueUpdate(share, updatingValue, settings);
        reference.follow(step + 1);
        return {
          metrics: { ...experience.metrics, ...metrics, lr: learningRate },
          tokens,
          epoch,
          skipped,
          completions: learnedFrom(experience, rows),
        };
      },
    });
  } finally {
    for (const owned of [valueOptimizer, optimizer, reference, critic]) owned.dispose();
  }
}

const policyGradient: Surrogate = (tape, inputs) => {
  const { losses } = policyGradientLoss(tape, inputs);
  return { roots: [[losses, inputs.weights]], loss: dotProduct(tape, losses, inputs.weights) };
};

/** Throws ConfigError listing every bad option, then DataError for the first bad prompt. */
function resolveA2c(options: A2cOptions): A2cSettings {
  const { decoder } = options.model;
  const checks = new OptionChecks();
  const plan = resolveCritic(
    options,
    {},
    { learningRate: 3e-6, klCoef: 0, vfCoef: 0.5, whitenAdvantages: false, valueModel: "shared" },
    checks,
  );
  const form = checks.choice("advantage", options.advantage ?? "gae", ["gae", "td", "monte_carlo", "q"]);
  const { lam = plan.lam, weight } = forms[form] ?? forms.gae;
  const settings = {
    ...plan,
    lam,
    weigh: (credit: Credit) => credit[weight],
    valueIterations: checks.count("valueIterations", options.valueIterations ?? 1),
  };
  checks.throwIfAny("a2c");
  requireCriticRoom(settings, decoder);
  return withPrompts(settings, options);
}
