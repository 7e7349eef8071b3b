/** `trimtab reinforce`: REINFORCE and its relatives from reward functions. */
import { reinforce } from "@trimtab/core";
import type { z } from "zod";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { reinforceSchema } from "../schemas/reinforce";

export function runReinforce(options: z.output<typeof reinforceSchema>): Promise<number> {
  return trainWithRewards("reinforce", options, (run) => reinforce({ ...options, ...run }));
}
