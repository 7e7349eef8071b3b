/** Where this user's measurements of GPUs are kept. */
import { homedir } from "node:os";
import { join } from "node:path";

/** `trimtab` in `XDG_CACHE_HOME`, else in `.cache` of the home directory. */
export function tuningDirectory(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "trimtab");
}
