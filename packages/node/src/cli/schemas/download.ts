/** Options of `trimtab download`. */
import { z } from "zod";
import { path } from "./fields";

export const downloadSchema = z.strictObject({
  modelRevision: path()
    .optional()
    .meta({ description: "branch, tag or commit; default: main", aliases: ["revision"] }),
});
