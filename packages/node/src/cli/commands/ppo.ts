/** `trimtab ppo`: RLHF of a model directory from reward functions, with a value model. */
import { type Device, ppo } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { loadValueModel } from "../../run/load-scalar-model";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { ppoSchema } from "../schemas/ppo";

export async function runPpo(options: z.output<typeof ppoSchema>): Promise<number> {
  const ptxDataset = options.ptxDataset === undefined ? undefined : await readDataset(options.ptxDataset);
  return trainWithRewards(
    "ppo",
    options,
    (run) => ppo({ ...options, ...run }),
    async (device: Device) => ({ ptxDataset, valueModel: await loadValueModel(options.valueModel, device) }),
  );
}
