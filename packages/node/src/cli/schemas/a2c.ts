/** Options of `trimtab a2c`. */
import { z } from "zod";
import { criticFields } from "./critic-fields";
import { count } from "./fields";

export const a2cSchema = z.strictObject({
  ...criticFields({ klCoef: 0, vfCoef: 0.5, valueModel: "shared", whitenAdvantages: false }),
  advantage: z
    .enum(["gae", "td", "monte_carlo", "q"])
    .default("gae")
    .describe("what a token's log-probability is weighed by: an advantage, or the action value (q)"),
  valueIterations: count().default(1).describe("steps of the value function per step of the policy"),
});
