/** `trimtab trpo`: trust region policy optimisation of a model directory from reward functions. */
import { type Device, trpo } from "@trimtab/core";
import type { z } from "zod";
import { loadValueModel } from "../../run/load-scalar-model";
import { trainWithRewards } from "../../run/train-with-rewards";
import type { trpoSchema } from "../schemas/trpo";

export function runTrpo({ trainable: parts, ...options }: z.output<typeof trpoSchema>): Promise<number> {
  const trainable = parts && ((name: string) => parts.some((part) => name.includes(part)));
  return trainWithRewards(
    "trpo",
    options,
    (run) => trpo({ ...options, trainable, ...run }),
    async (device: Device) => ({ valueModel: await loadValueModel(options.valueModel, device) }),
  );
}
