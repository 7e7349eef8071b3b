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
import { withDevice } from "../device";
import { type EnvironmentFlags, environmentOf } from "../environments";
import { loadRewardModules } from "../rewards/reward-functions";
import { loadTrainedModel, type PeftFlags } from "./load-trained-model";
import { type RewardFlags, rewardsOf } from "./rewards-of";
import { openRun } from "./run-directory";
import { type TrainingStep, type TrainOptions, train } from "./train";

/** Options that every such command has. */
export type RewardedOptions = TrainOptions<TrainingStep>["options"] &
  Parameters<typeof openRun>[0] &
  Parameters<typeof withDevice>[0] &
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
export type RewardedRun = Pick<
  RolloutOptions,
  "prompts" | "rewards" | "rewardTimeoutMs" | "rolloutFunction" | "signal" | "resume" | "clock"
> & {
  readonly model: LanguageModel;
  readonly rewards: readonly RewardFunction[];
  readonly device: Device;
};

/** Loads prompts, rewards and model, trains with `start`, saves, and returns the exit code. */
export async function trainWithRewards(
  command: string,
  options: RewardedOptions,
  start: (run: RewardedRun) => AsyncIterable<RewardedStep> | Promise<AsyncIterable<RewardedStep>>,
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
    return await withDevice(options, async (device) => {
      const run = await openRun(options);
      const model = await loadTrainedModel(options, device);
      const steps = await start({
        model,
        device,
        prompts,
        rewards: await rewardsOf(options, { modules: rewards.functions, isFromEnvironment: rolloutFunction !== undefined, device }),
        rolloutFunction,
        // The worker has its own clock, which a synchronous loop cannot hold up.
        rewardTimeoutMs: Number.POSITIVE_INFINITY,
        signal: stop.signal,
        resume: run.resume,
        clock: () => performance.now(),
      });
      const samples = ({ step, completions }: RewardedStep) =>
        completions
          .slice(0, 2)
          .map((c) => ({ step, prompt: textOf(c.prompt), completion: textOf(c.completion), reward: c.reward ?? Number.NaN }));
      return await train({ command, model, device, steps, run, options, samples });
    });
  } finally {
    await rewards.close();
  }
}

function textOf(turns: Turns): string {
  return typeof turns === "string" ? turns : turns.map((turn) => `${turn.role}: ${turn.content}`).join("\n");
}
