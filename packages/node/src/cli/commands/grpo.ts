/** `trimtab grpo`: reinforcement learning of a model directory from reward functions. */
import { grpo } from "@trimtab/core";
import type { z } from "zod";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { grpoSchema } from "../schemas/grpo";

export function runGrpo(options: z.output<typeof grpoSchema>): Promise<number> {
  return trainWithRewards("grpo", options, (run) => grpo({ ...options, ...run }));
}
