/** Measurements of GPUs in the browser's storage for this site. */
import { type Directory, readTuning, StorageError } from "@trimtab/core";
import { storageDirectory } from "./storage-directory";

const [PARENT, NAME] = ["trimtab", "tuning"];

/** The directory to keep them in. Throws StorageError where the browser keeps no files. */
export async function tuningDirectory(): Promise<Directory> {
  return (await storageDirectory(PARENT)).child(NAME);
}

/** What was kept, for a device to judge; undefined where nothing was, or the browser keeps no files. */
export async function storedTuning(): Promise<unknown> {
  try {
    const parent = await storageDirectory(PARENT);
    return (await parent.list()).includes(NAME) ? await readTuning(parent.child(NAME)) : undefined;
  } catch (error) {
    return error instanceof StorageError ? undefined : error;
  }
}
