/** Algorithms that learn what tokens are worth: the exact value of the policy that these values guide. */
import { guidedModel, ilql, newTokenValues } from "@trimtab/node";
import { type Algorithm, tinyModel } from "./algorithm";
import { everyRating } from "./datasets";
import { enumerate, optimumOf, policyValue } from "./exact";
import { heldOutContexts, trainingContexts } from "./task";

const STEPS = 300;
const GUIDANCE = 10;
const contexts = [...trainingContexts, ...heldOutContexts];

/** From what every letter pays, offline. */
const tokenQLearning: Algorithm = {
  name: "ilql",
  page: "ilql",
  setting: `rows of rewarded letters, cqlScale 0.01, guided with beta ${GUIDANCE}`,
  measures: "reward",
  stepCount: STEPS,
  async start(arena) {
    const model = tinyModel(arena);
    const { decoder } = model;
    const values = newTokenValues(model, { seed: arena.seed });
    const shape = { length: 1, isEnd: (token: number) => decoder.config.eosTokenIds.includes(token) };
    const now = () => enumerate(guidedModel(model, values, GUIDANCE), contexts, 1);
    const first = await now();
    const steps = ilql({
      model,
      values,
      dataset: everyRating(contexts).map(({ rating, ...row }) => ({ ...row, reward: rating })),
      maxSteps: STEPS,
      perDeviceTrainBatchSize: 128,
      learningRate: 0.01,
      cqlScale: 0.01,
      alpha: 0.1,
      targetSyncSteps: 1,
      seed: arena.seed,
    });
    return {
      steps,
      measure: async () => ({
        value: policyValue(await now(), first, 0, contexts, shape),
        optimum: optimumOf(first, 0, contexts, shape),
      }),
      dispose() {
        values.dispose();
        decoder.dispose();
      },
    };
  },
};

export const valueAlgorithms: readonly Algorithm[] = [tokenQLearning];
