/** Options of `trimtab ppo`. */
import { z } from "zod";
import { criticFields } from "./critic-fields";
import { count, path } from "./fields";

const positive = (description: string) => z.number().positive().optional().describe(description);

const {
  maxCompletionLength: _length,
  temperature: _temperature,
  ...shared
} = criticFields({
  klCoef: 0.05,
  vfCoef: 0.1,
  valueModel: "separate",
  whitenAdvantages: true,
});

export const ppoSchema = z.strictObject({
  ...shared,
  maxCompletionLength: count()
    .optional()
    .meta({
      description: "longest completion in tokens; default: 53, or half of the context where that is shorter",
      aliases: ["response-length"],
    }),
  temperature: z.number().positive().default(0.7).describe("sampling temperature, also of the loss"),
  numPpoEpochs: count().default(4).describe("passes over each batch of completions"),
  numMiniBatches: count().default(1).describe("optimiser steps per pass; a batch grows with it"),
  klTarget: positive("wanted KL to the reference in nats per completion; default: --kl-coef is fixed"),
  klHorizon: count().default(10_000).describe("completions over which --kl-coef may change by a fifth"),
  penalty: z.enum(["clip", "kl"]).default("clip").describe("what keeps an update near: the clipped ratio, or an adaptive KL penalty"),
  cliprange: z.number().positive().default(0.2).describe("clip range of the ratio"),
  penaltyBeta: z.number().positive().default(1).describe("first weight of the KL penalty"),
  penaltyTarget: z.number().positive().default(0.01).describe("wanted KL of an update, mean per token, with --penalty kl"),
  cliprangeValue: z.number().min(0).default(0.2).describe("clip range of values; 0 does not clip"),
  earlyStopKl: positive("end a round once the update's KL exceeds 1.5 times this; default: never"),
  ptxDataset: path().optional().describe("texts to go on learning from beside the rewards (PPO-ptx)"),
  ptxCoef: z.number().positive().default(1).describe("weight of their loss; InstructGPT: 27.8"),
  ptxBatchSize: count().optional().describe("texts per step; default: as many as completions"),
});
