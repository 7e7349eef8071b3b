/** Reward models: how many pairs, or steps, of held-out contexts they judge right. */
import { type DatasetRow, evaluateRewardModel, newScalarModel, prm, type RewardLossType, reward, scoreSequences } from "@trimtab/node";
import { type Algorithm, tinyModel } from "./algorithm";
import { everyMargin, everyPair, everyRanking, everyRating, everySolution, everyThumb } from "./datasets";
import { heldOutContexts, tokenizer, trainingContexts } from "./task";

const STEPS = 120;

interface Plan {
  readonly setting: string;
  readonly dataset: readonly DatasetRow[];
  readonly rows: number;
  /** Default 120. */
  readonly stepCount?: number;
  /** Default 0.02. */
  readonly learningRate?: number;
}

const rankings = { dataset: everyRanking(trainingContexts), rows: 12 };

const plans: Readonly<Record<RewardLossType, Plan>> = {
  bradley_terry: { setting: "pairs", dataset: everyPair(trainingContexts), rows: 64 },
  margin_regression: { setting: "pairs with margins", dataset: everyMargin(trainingContexts), rows: 64 },
  all_pairs: { setting: "rankings of 8", ...rankings },
  plackett_luce: { setting: "rankings of 8", ...rankings },
  best_of_n: { setting: "rankings of 8", ...rankings },
  regression: { setting: "ratings", dataset: everyRating(trainingContexts), rows: 96, stepCount: 300, learningRate: 0.01 },
  binary: { setting: "thumbs, as often up as a letter pays", dataset: everyThumb(trainingContexts), rows: 240, stepCount: 300 },
};

function rewardAlgorithm(lossType: RewardLossType, { setting, dataset, rows, stepCount = STEPS, learningRate = 0.02 }: Plan): Algorithm {
  return {
    name: `reward-${lossType}`,
    page: "reward-model",
    setting: `lossType ${lossType}, ${setting}`,
    // Of a ranking, best_of_n says which item is the best and nothing of the others.
    measures: lossType === "best_of_n" ? "held-out best letters found" : "held-out pairs in order",
    stepCount,
    async start(arena) {
      const base = tinyModel(arena);
      const model = newScalarModel(base, arena.seed);
      base.decoder.dispose();
      const heldOut = everyPair(heldOutContexts).filter((_, i) => lossType !== "best_of_n" || i % 28 < 7);
      const steps = reward({
        model,
        dataset,
        lossType,
        maxSteps: stepCount,
        perDeviceTrainBatchSize: rows,
        learningRate,
        seed: arena.seed,
      });
      return {
        steps,
        async measure() {
          const { metrics } = await evaluateRewardModel({ model, dataset: heldOut });
          return { value: metrics.accuracy as number, optimum: 1 };
        },
        dispose: () => model.decoder.dispose(),
      };
    },
  };
}

const processReward: Algorithm = {
  name: "prm",
  page: "prm",
  setting: "three steps, each right or wrong",
  measures: "held-out steps judged right",
  stepCount: STEPS,
  async start(arena) {
    const base = tinyModel(arena);
    const model = newScalarModel(base, arena.seed);
    base.decoder.dispose();
    const heldOut = everySolution(heldOutContexts, 32, arena.seed + 1);
    const steps = prm({
      model,
      dataset: everySolution(trainingContexts, 32, arena.seed),
      stepSeparator: ".",
      maxSteps: STEPS,
      perDeviceTrainBatchSize: 32,
      learningRate: 0.02,
      seed: arena.seed,
    });
    return {
      steps,
      async measure() {
        // A prompt of two tokens, then a letter and the separator for each step, at which it is judged.
        const scores = await scoreSequences(
          model,
          heldOut.map(({ prompt, completions }) => ({
            tokens: tokenizer.encode(`${prompt}${(completions as string[]).map((letter) => `${letter}.`).join("")}`),
            ends: [3, 5, 7],
          })),
        );
        const labels = heldOut.flatMap(({ labels }) => labels as boolean[]);
        return { value: labels.filter((label, i) => (scores[i] as number) > 0 === label).length / labels.length, optimum: 1 };
      },
      dispose: () => model.decoder.dispose(),
    };
  },
};

export const rewardAlgorithms: readonly Algorithm[] = [
  ...Object.entries(plans).map(([lossType, plan]) => rewardAlgorithm(lossType as RewardLossType, plan)),
  processReward,
];
