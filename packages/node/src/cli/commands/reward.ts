/** `trimtab reward`: train a reward model, and normalise its rewards. */
import { normalizeRewardModel, reward, saveRewardNormalization } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { nodeDirectory } from "../../files";
import { loadScalarModel } from "../../run/load-scalar-model";
import { trainScalarOnDataset } from "../../run/train-on-dataset";
import type { rewardSchema } from "../schemas/reward";

export async function runReward(options: z.output<typeof rewardSchema>): Promise<number> {
  const { normalizeDataset, outputDir } = options;
  const samples = normalizeDataset === undefined ? undefined : await readDataset(normalizeDataset);
  const exitCode = await trainScalarOnDataset("reward", options, (run) => reward({ ...options, ...run }));
  if (exitCode !== 0) return exitCode;
  return withDevice(options, async (device) => {
    // Written in any case: an earlier model's normalisation must not be taken for this one's.
    const normalization = samples
      ? await normalizeRewardModel({ model: await loadScalarModel("--output-dir", outputDir, device), dataset: samples })
      : { gain: 1, bias: 0 };
    await saveRewardNormalization(normalization, nodeDirectory(outputDir));
    return 0;
  });
}
