/** Writes converted or sampled rows and prints how many came in, how many went out, and what was dropped and why. */
import { type Conversion, countReasons, DataError } from "@trimtab/core";
import { writeDataset } from "../datasets";

/** Throws DataError, and writes nothing, where no row is left. */
export async function writeConversion(where: string, rowsIn: number, { rows, dropped }: Conversion, output: string): Promise<void> {
  const reasons = [...countReasons(dropped)].map(([reason, count]) => `${reason} (${count})`);
  if (rows.length === 0) {
    throw new DataError(`${where}: at least one row must remain of ${rowsIn}, got none. Dropped: ${reasons.join("; ")}.`);
  }
  await writeDataset(output, rows);
  console.log(`${rowsIn} rows in, ${rows.length} rows out: ${output}`);
  if (dropped.length > 0) console.log(`${dropped.length} dropped: ${reasons.join("; ")}`);
}
