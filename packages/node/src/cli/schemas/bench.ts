/** Options of `trimtab bench`. */
import { z } from "zod";
import { deviceFields } from "./fields";

export const benchSchema = z.strictObject({
  ...deviceFields,
  json: z.boolean().default(false).describe("print JSON instead of tables"),
});
