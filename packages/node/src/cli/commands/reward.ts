/** `trimtab reward`: train a reward model. */
import { reward } from "@trimtab/core";
import type { z } from "zod";
import { trainScalarOnDataset } from "../../run/train-on-dataset";
import type { rewardSchema } from "../schemas/reward";

export function runReward(options: z.output<typeof rewardSchema>): Promise<number> {
  return trainScalarOnDataset("reward", options, (run) => reward({ ...options, ...run }));
}
