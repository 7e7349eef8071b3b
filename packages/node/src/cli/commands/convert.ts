/** `trimtab convert`: feedback from one format to another. */
import { convertRows } from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import type { convertSchema } from "../schemas/convert";
import { writeConversion } from "../write-conversion";

export async function runConvert(options: z.output<typeof convertSchema>): Promise<number> {
  const { datasetName, output, ...settings } = options;
  const rows = await readDataset(datasetName);
  const converted = convertRows(rows, settings);
  console.log(`${converted.from} to ${options.to}`);
  await writeConversion("trimtab convert", rows.length, converted, output);
  return 0;
}
