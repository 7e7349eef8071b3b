/** Options of `trimtab devices`. */
import { z } from "zod";

/** No options of its own. */
export const devicesSchema = z.strictObject({ json: z.boolean().default(false).describe("print JSON") });
