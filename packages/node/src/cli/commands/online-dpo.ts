/** `trimtab online-dpo`: DPO on a model's own completions, ranked by rewards or by a judge. */
import { onlineDpo, swapPositions } from "@trimtab/core";
import type { z } from "zod";
import { judgeOf } from "../../judges/judge-of";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { onlineDpoSchema } from "../schemas/online-dpo";

export function runOnlineDpo(options: z.output<typeof onlineDpoSchema>): Promise<number> {
  return trainWithRewards("online-dpo", options, async (run) => {
    const judge = await judgeOf(options, run.device);
    return onlineDpo({ ...options, ...run, judge: judge && swapPositions(judge) });
  });
}
