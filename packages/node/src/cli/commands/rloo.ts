/** `trimtab rloo`: REINFORCE with leave-one-out baselines from reward functions. */
import { rloo } from "@trimtab/core";
import type { z } from "zod";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { rlooSchema } from "../schemas/rloo";

export function runRloo(options: z.output<typeof rlooSchema>): Promise<number> {
  return trainWithRewards("rloo", options, (run) => rloo({ ...options, ...run }));
}
