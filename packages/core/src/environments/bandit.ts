/** The simplest environment: one action, and a reward function that judges it. */
import { EnvironmentError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import type { EnvironmentFactory } from "./environment";

/**
 * A reward function as an environment: its row's columns come to it as ever, with one completion at a time. Training on it is training on
 * the function itself. Step and token rewards within the completion are summed up in `total`; null is no reward.
 */
export function banditEnvironment(reward: RewardFunction): EnvironmentFactory {
  return ({ prompt, ...columns }, _seed, { trainerState }) => {
    const isText = typeof prompt === "string";
    const metrics: Record<string, number> = {};
    const extras: Record<string, unknown> = {};
    return {
      reset: () => undefined,
      async step(action, { tokens, signal }) {
        const values = await reward({
          ...Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, [value]])),
          prompts: [prompt as string],
          completions: [isText ? action : [{ role: "assistant", content: action }]],
          completionIds: [tokens],
          trainerState,
          signal,
          logExtra: (column, [value]) => {
            extras[column] = value;
          },
          logMetric: (name, value) => {
            metrics[name] = value;
          },
        });
        if (values?.length !== 1) {
          throw new EnvironmentError(`banditEnvironment: the reward function must return one value for one completion. Correct it.`);
        }
        const [value] = values;
        return { reward: typeof value === "object" ? value?.total : value, done: true };
      },
      report: () => ({ metrics, extras }),
    };
  };
}
