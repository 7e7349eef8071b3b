/** Where measurements of GPUs are kept: `tuning.json` in a directory of the machine or of the browser's storage. */
import { joinTuning, type TuningTable } from "@trimtab/kernels";
import type { Directory, ReadableDirectory } from "./checkpoint/files";
import { jsonBytes, readText } from "./checkpoint/json-file";

const FILE = "tuning.json";

/** What is kept there, for a device to judge; undefined where there is nothing, an error where it cannot be read: a run starts all the same. */
export async function readTuning(directory: ReadableDirectory): Promise<unknown> {
  try {
    const text = await readText(directory, FILE);
    return text === undefined ? undefined : JSON.parse(text);
  } catch (error) {
    return error;
  }
}

/** Adds a table to what is kept: the file is replaced at once, and adapters that were not measured again stay. */
export async function keepTuning(directory: Directory, table: TuningTable): Promise<void> {
  const joined = joinTuning(await readTuning(directory), table);
  await directory.write(new Map([[FILE, jsonBytes(joined)]]));
}
