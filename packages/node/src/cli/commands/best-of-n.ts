/** `trimtab best-of-n`: samples completions, has them scored, and writes the best as rows for `trimtab sft`. */
import { type BestOfNStatistics, sampleBestOfN } from "@trimtab/core";
import type { z } from "zod";
import { prepareDataset, readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { loadRewardModules } from "../../rewards/reward-functions";
import { loadModelOf } from "../../run/named-model";
import type { bestOfNSchema } from "../schemas/best-of-n";
import { writeConversion } from "../write-conversion";

export async function runBestOfN(options: z.output<typeof bestOfNSchema>): Promise<number> {
  const {
    modelNameOrPath,
    modelRevision: revision,
    datasetName,
    output,
    rewardFuncs,
    rewardTimeout,
    device: _,
    threads: __,
    ...settings
  } = options;
  await prepareDataset(output);
  const rows = await readDataset(datasetName);
  const stop = new AbortController();
  const rewards = await loadRewardModules(rewardFuncs, { timeoutMs: rewardTimeout * 1000, onEnded: (error) => stop.abort(error) });
  try {
    const best = await withDevice(options, async (device) =>
      sampleBestOfN({
        ...settings,
        rows,
        model: await loadModelOf(options, device),
        rewards: rewards.functions,
        signal: stop.signal,
      }),
    );
    await writeConversion("trimtab best-of-n", rows.length, best, output);
    console.log(summary(best.statistics));
    return 0;
  } finally {
    await rewards.close();
  }
}

function summary({
  completions,
  accepted,
  prompts,
  acceptedPrompts,
  meanRewardBefore,
  meanRewardAfter,
  klBound,
}: BestOfNStatistics): string {
  const kept = `${accepted} of ${completions} completions, ${acceptedPrompts} of ${prompts} prompts`;
  const kl = klBound === undefined ? "" : `; at most ${klBound.toFixed(3)} nats from the model`;
  return `Kept ${kept}; mean reward ${meanRewardBefore.toFixed(3)} before, ${meanRewardAfter.toFixed(3)} after${kl}`;
}
