/** Options of `trimtab tune`. */
import { z } from "zod";

export const tuneSchema = z.strictObject({
  allowSoftware: z.boolean().default(false).describe("measure a GPU that is emulated on the CPU: only to see that it works"),
  remove: z.boolean().default(false).describe("forget what was measured, of every GPU"),
  json: z.boolean().default(false).describe("print JSON: every cut that was tried, with its time"),
});
