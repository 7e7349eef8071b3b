/** Drives a trainer that samples completions and has reward modules score them: what `trimtab grpo`, `rloo`, `ppo` and their like share. */
import {
  ConfigError,
  type Device,
  type LanguageModel,
  type RewardFunction,
  type RolloutOptions,
  type ScoredCompletion,
  type Turns,
} from "@trimtab/core";
import { readDataset } from "../datasets";
import { type EnvironmentFlags, environmentOf } from "../environments";
import { loadRewardModules } from "../rewards/reward-functions";
import { loadTrainedModel, type PeftFlags } from "./load-trained-model";
import { type RewardFlags, rewardsOf } from "./rewards-of";
import type { TrainingStep } from "./train";
import { type RunOptions, type TrainingFlags, trainOpened } from "./train-opened";

/** Options that every such command has. */
export type RewardedOptions = TrainingFlags &
  EnvironmentFlags &
  RewardFlags &
  PeftFlags & {
    readonly modelNameOrPath: string;
    readonly datasetName: string;
    readonly rewardFuncs: readonly string[];
    readonly rewardTimeout: number;
    /** Ranks completions in place of rewards, where the trainer can do without them. */
    readonly judge?: string | undefined;
  };

/** A step that shows the completions it was taken on. */
export interface RewardedStep extends TrainingStep {
  readonly completions: readonly ScoredCompletion[];
}

/** What the trainer is given besides the command's own options. */
export type RewardedRun = Pick<RolloutOptions, "prompts" | "rewardTimeoutMs" | "rolloutFunction" | "signal"> & {
  readonly model: LanguageModel;
  readonly rewards: readonly RewardFunction[];
};

/** Loads prompts, rewards and model, and what else `load` brings, trains with `start`, saves, and returns the exit code. */
export async function trainWithRewards<More extends object = object>(
  command: string,
  options: RewardedOptions,
  start: (run: RewardedRun & RunOptions & More) => AsyncIterable<RewardedStep>,
  load: (device: Device) => Promise<More> = async () => ({}) as More,
): Promise<number> {
  const { rewardFuncs, environment, rewardModel, judge } = options;
  if (rewardFuncs.length === 0 && [environment, rewardModel, judge].every((source) => source === undefined)) {
    throw new ConfigError(`trimtab ${command}: --reward-funcs, --reward-model or --environment must be given, got none of them.`);
  }
  const prompts = await readDataset(options.datasetName);
  const rolloutFunction = await environmentOf(options);
  const stop = new AbortController();
  const rewards = await loadRewardModules(options.rewardFuncs, {
    timeoutMs: options.rewardTimeout * 1000,
    onEnded: (error) => stop.abort(error),
  });
  try {
    return await trainOpened(command, options, {
      open: async (device) => ({
        model: await loadTrainedModel(options, device),
        prompts,
        rewards: await rewardsOf(options, { modules: rewards.functions, isFromEnvironment: rolloutFunction !== undefined, device }),
        rolloutFunction,
        // The worker has its own clock, which a synchronous loop cannot hold up.
        rewardTimeoutMs: Number.POSITIVE_INFINITY,
        signal: stop.signal,
        ...(await load(device)),
      }),
      start,
      samples: ({ step, completions }) =>
        completions
          .slice(0, 2)
          .map((c) => ({ step, prompt: textOf(c.prompt), completion: textOf(c.completion), reward: c.reward ?? Number.NaN })),
    });
  } finally {
    await rewards.close();
  }
}

function textOf(turns: Turns): string {
  return typeof turns === "string" ? turns : turns.map((turn) => `${turn.role}: ${turn.content}`).join("\n");
}
