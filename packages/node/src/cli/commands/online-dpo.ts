/** `trimtab online-dpo`: DPO on a model's own completions, ranked by rewards or by a judge. */
import { type Device, onlineDpo, swapPositions } from "@trimtab/core";
import type { z } from "zod";
import { judgeOf } from "../../judges/judge-of";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { onlineDpoSchema } from "../schemas/online-dpo";

export function runOnlineDpo(options: z.output<typeof onlineDpoSchema>): Promise<number> {
  return trainWithRewards(
    "online-dpo",
    options,
    (run) => onlineDpo({ ...options, ...run }),
    async (device: Device) => {
      const judge = await judgeOf(options, device);
      return { judge: judge && swapPositions(judge) };
    },
  );
}
