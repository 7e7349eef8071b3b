/** What a browser throws when it cannot keep a file, as one typed error with the numbers. */
import { StorageError, TrimtabError } from "@trimtab/core";
import { storageEstimate } from "./storage-estimate";

/** The error to throw for `error`, which came of writing to `path`. */
export async function storageFailure(error: unknown, path: string, advice: string): Promise<Error> {
  if (error instanceof TrimtabError) return error;
  const said = error instanceof Error ? error.message : String(error);
  if (!(error instanceof DOMException)) return error instanceof Error ? error : new Error(said);
  if (error.name !== "QuotaExceededError")
    return new StorageError(`save: ${path} must be writable, got: ${said} ${advice}`, { cause: error });
  const { usageBytes, quotaBytes } = await storageEstimate();
  const got = usageBytes === undefined || quotaBytes === undefined ? "no room" : `${inMiB(usageBytes)} of ${inMiB(quotaBytes)} in use`;
  return new StorageError(
    `save: ${path} must have room for the files, got ${got}. Remove models and runs that are not needed, free the disk, or download instead.`,
    { cause: error, usageBytes, quotaBytes },
  );
}

const inMiB = (bytes: number): string => `${Math.round(bytes / 2 ** 20).toLocaleString("en-US")} MiB`;
