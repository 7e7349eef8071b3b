/** `trimtab online-dpo`: DPO on a model's own completions, ranked by reward functions. */
import { onlineDpo } from "@trimtab/core";
import type { z } from "zod";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { onlineDpoSchema } from "../schemas/online-dpo";

export function runOnlineDpo(options: z.output<typeof onlineDpoSchema>): Promise<number> {
  return trainWithRewards("online-dpo", options, (run) => onlineDpo({ ...options, ...run }));
}
