/** Algorithms that learn from preferences: how many pairs of held-out contexts the policy puts in the right order. */
import {
  bco,
  cpo,
  type DatasetRow,
  type DpoLossType,
  type DpoOptions,
  dpo,
  dpoLosses,
  evaluatePreferences,
  gkd,
  kto,
  type LanguageModel,
  listwiseDpo,
  orpo,
} from "@trimtab/node";
import { type Algorithm, tinyModel } from "./algorithm";
import { choices, contested, everyPair, everyRanking, everyVerdict, pairsAcross } from "./datasets";
import { amongLetters, enumerate, klOf, tilted } from "./exact";
import { heldOutContexts, trainingContexts } from "./task";

const STEPS = 80;
const PAIRS_PER_STEP = 64;

/** What every trainer of preferences is given. */
interface Learning {
  readonly model: LanguageModel;
  readonly dataset: readonly DatasetRow[];
  readonly maxSteps: number;
  readonly perDeviceTrainBatchSize: number;
  readonly learningRate: number;
  readonly seed: number;
}

interface Plan {
  readonly page: string;
  readonly setting: string;
  /** Default: every pair of letters in every training context. */
  readonly dataset?: readonly DatasetRow[];
  /** Default: every pair of letters in every held-out context. */
  readonly heldOut?: readonly DatasetRow[];
  readonly stepCount?: number;
  readonly perDeviceTrainBatchSize?: number;
  readonly learningRate?: number;
  /** How rewards are read off the policy: against a reference or not, as sums or means. Default: against the reference. */
  readonly isFree?: boolean;
  readonly train: (options: Learning) => AsyncIterable<unknown>;
}

function preferenceAlgorithm(name: string, plan: Plan): Algorithm {
  const { page, setting, dataset, stepCount = STEPS, perDeviceTrainBatchSize = PAIRS_PER_STEP, learningRate = 0.01, isFree = false } = plan;
  const { heldOut = everyPair(heldOutContexts) } = plan;
  return {
    name,
    page,
    setting,
    measures: "held-out pairs in order",
    stepCount,
    async start(arena) {
      const model = tinyModel(arena);
      const reference = model.decoder.clone();
      const steps = plan.train({
        model,
        dataset: dataset ?? everyPair(trainingContexts),
        maxSteps: stepCount,
        perDeviceTrainBatchSize,
        learningRate,
        seed: arena.seed,
      });
      return {
        steps,
        async measure() {
          const { metrics } = await evaluatePreferences({
            model,
            dataset: heldOut,
            reference: isFree ? undefined : { decoder: reference },
          });
          return { value: metrics["rewards/accuracies"] as number, optimum: 1 };
        },
        dispose() {
          reference.dispose();
          model.decoder.dispose();
        },
      };
    },
  };
}

const dpoTypes = Object.keys(dpoLosses) as DpoLossType[];

/** Chances of a wrong label that these losses reckon with. */
const smoothing: Partial<Record<DpoLossType, number>> = { exo_pair: 0.001, robust: 0.1, cdpo: 0.1 };

/**
 * Losses that are linear in the probabilities of being good: what is good more often than not is all good to them; and sft, which only learns to write what was chosen. They are given, and asked
 * for, the letters of the upper and the lower half.
 */
const halves = { dataset: pairsAcross(trainingContexts), heldOut: pairsAcross(heldOutContexts) };
const verdicts = { dataset: everyVerdict(trainingContexts), heldOut: pairsAcross(heldOutContexts) };

const withDpo = (setting: string, extra: Partial<DpoOptions>, plan: Partial<Plan> = {}): Plan => ({
  page: "dpo",
  setting,
  train: (options) => dpo({ ...options, beta: 0.5, ...extra }),
  ...plan,
});

const particular: Partial<Record<DpoLossType, Partial<Plan>>> = { apo_zero: halves, sft: halves };

/** Labels as often as Bradley and Terry say of rewards 3 r, for which the best policy is π_ref exp(3 r / β) / Z. */
const dpoKnownPolicy: Algorithm = {
  name: "dpo-policy",
  page: "dpo",
  setting: "sigmoid, beta 1, labels as often as σ(3 (r - r'))",
  measures: "KL to the best policy removed",
  stepCount: 240,
  // Pairs with labels on both sides leave noise in every step.
  goal: 90,
  async start(arena) {
    const strength = 3;
    const model = tinyModel(arena);
    const shown = trainingContexts;
    const target = amongLetters(tilted(await enumerate(model, shown, 1), 1 / strength));
    const now = async () => klOf(amongLetters(await enumerate(model, shown, 1)), target, shown);
    const first = await now();
    const steps = dpo({
      model,
      dataset: contested(shown, strength, arena.seed),
      beta: 1,
      maxSteps: 240,
      perDeviceTrainBatchSize: 384,
      learningRate: 0.015,
      seed: arena.seed,
    });
    return {
      steps,
      measure: async () => ({ value: 1 - (await now()) / first, optimum: 1 }),
      further: async () => ({ "KL before": first, KL: await now() }),
      dispose: () => model.decoder.dispose(),
    };
  },
};

/** A teacher with a taste of its own; what is best is to be like it. */
const distillation = (name: string, setting: string, lmbda: number): Algorithm => ({
  name,
  page: "gkd",
  setting,
  measures: "KL to the teacher removed",
  stepCount: STEPS,
  async start(arena) {
    const model = tinyModel(arena);
    const teacher = tinyModel({ ...arena, seed: arena.seed + 1 }, 0.5);
    const target = await enumerate(teacher, trainingContexts, 1);
    const now = async () => klOf(await enumerate(model, trainingContexts, 1), target, trainingContexts);
    const first = await now();
    const steps = gkd({
      model,
      teacher,
      dataset: choices(trainingContexts),
      lmbda,
      temperature: 1,
      maxNewTokens: 1,
      maxSteps: STEPS,
      perDeviceTrainBatchSize: PAIRS_PER_STEP,
      learningRate: 0.02,
      seed: arena.seed,
    });
    return {
      steps,
      measure: async () => ({ value: 1 - (await now()) / first, optimum: 1 }),
      further: async () => ({ "KL before": first, KL: await now() }),
      dispose() {
        model.decoder.dispose();
        teacher.decoder.dispose();
      },
    };
  },
});

export const preferenceAlgorithms: readonly Algorithm[] = [
  ...dpoTypes.map((lossType) => {
    const labelSmoothing = smoothing[lossType];
    const smoothed = labelSmoothing === undefined ? "" : `, labelSmoothing ${labelSmoothing}`;
    return preferenceAlgorithm(
      `dpo-${lossType}`,
      withDpo(`lossType ${lossType}, beta 0.5${smoothed}`, { lossType, labelSmoothing }, particular[lossType]),
    );
  }),
  dpoKnownPolicy,
  preferenceAlgorithm("listwise-dpo", {
    page: "listwise-dpo",
    setting: "beta 0.5, rankings of 8",
    dataset: everyRanking(trainingContexts),
    perDeviceTrainBatchSize: 12,
    train: (options) => listwiseDpo({ ...options, beta: 0.5 }),
  }),
  preferenceAlgorithm("kto", { page: "kto", setting: "beta 0.5", ...verdicts, train: (options) => kto({ ...options, beta: 0.5 }) }),
  preferenceAlgorithm("apo-unpaired", {
    page: "kto",
    setting: "lossType apo_zero_unpaired, beta 0.5",
    ...verdicts,
    train: (options) => kto({ ...options, beta: 0.5, lossType: "apo_zero_unpaired" }),
  }),
  preferenceAlgorithm("bco", { page: "bco", setting: "beta 0.5", ...verdicts, train: (options) => bco({ ...options, beta: 0.5 }) }),
  preferenceAlgorithm("orpo", {
    page: "orpo",
    setting: "beta 0.5",
    isFree: true,
    learningRate: 0.02,
    stepCount: 160,
    train: (options) => orpo({ ...options, beta: 0.5 }),
  }),
  ...(["sigmoid", "hinge", "ipo"] as const).map((lossType) =>
    preferenceAlgorithm(`cpo-${lossType}`, {
      page: "cpo",
      setting: `lossType ${lossType}, beta 0.5`,
      isFree: true,
      train: (options) => cpo({ ...options, lossType, beta: 0.5 }),
    }),
  ),
  preferenceAlgorithm("simpo", {
    page: "cpo",
    setting: "lossType simpo, beta 2, cpoAlpha 0",
    isFree: true,
    train: (options) => cpo({ ...options, lossType: "simpo", beta: 2, cpoAlpha: 0 }),
  }),
  preferenceAlgorithm("alphapo", {
    page: "cpo",
    setting: "lossType alphapo, beta 2, alpha 0.25",
    isFree: true,
    train: (options) => cpo({ ...options, lossType: "alphapo", beta: 2, alpha: 0.25 }),
  }),
  distillation("gkd", "beta 0.5, half of the steps on the student's own completions", 0.5),
  distillation("gkd-offline", "beta 0.5, the dataset's completions", 0),
];
