/** `trimtab a2c`: actor-critic learning of a model directory from reward functions. */
import { a2c, type Device } from "@trimtab/core";
import type { z } from "zod";
import { loadValueModel } from "../../run/load-scalar-model";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { a2cSchema } from "../schemas/a2c";

export function runA2c(options: z.output<typeof a2cSchema>): Promise<number> {
  return trainWithRewards(
    "a2c",
    options,
    (run) => a2c({ ...options, ...run }),
    async (device: Device) => ({ valueModel: await loadValueModel(options.valueModel, device) }),
  );
}
