/** `trimtab grpo`: reinforcement learning of a model directory from reward functions. */
import { grpo, type ScoredCompletion, type Turns } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadModel } from "../../model";
import { loadRewardModules } from "../../rewards/reward-functions";
import { openRun } from "../../run/run-directory";
import { train } from "../../run/train";
import type { grpoSchema } from "../schemas";

export async function runGrpo(options: z.output<typeof grpoSchema>): Promise<number> {
  const prompts = await readDataset(options.datasetName);
  const stop = new AbortController();
  const rewards = await loadRewardModules(options.rewardFuncs, {
    timeoutMs: options.rewardTimeout * 1000,
    onEnded: (error) => stop.abort(error),
  });
  try {
    return await withDevice(options, async (device) => {
      const run = await openRun(options);
      const model = await loadModel(options.modelNameOrPath, { device });
      const steps = grpo({
        ...options,
        model,
        prompts,
        rewards: rewards.functions,
        // The worker has its own clock, which a synchronous loop cannot hold up.
        rewardTimeoutMs: Number.POSITIVE_INFINITY,
        signal: stop.signal,
        resume: run.resume,
        clock: () => performance.now(),
      });
      const samples = ({ step, completions }: { step: number; completions: readonly ScoredCompletion[] }) =>
        completions
          .slice(0, 2)
          .map((c) => ({ step, prompt: textOf(c.prompt), completion: textOf(c.completion), reward: c.reward ?? Number.NaN }));
      return await train({ command: "grpo", model, device, steps, run, options, samples });
    });
  } finally {
    await rewards.close();
  }
}

function textOf(turns: Turns): string {
  return typeof turns === "string" ? turns : turns.map((turn) => `${turn.role}: ${turn.content}`).join("\n");
}
