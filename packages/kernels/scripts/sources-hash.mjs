/** A hash of the AssemblyScript sources, by which tests tell artefacts of these sources from artefacts of others. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Where a build records the hash of its sources. */
export const HASH_FILE = join(root, "build", "sources.sha256");

/** Over every file below assembly/, names included. */
export function sourcesHash() {
  const hash = createHash("sha256");
  const files = readdirSync(join(root, "assembly"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of files) hash.update(file.slice(root.length)).update(readFileSync(file));
  return hash.digest("hex");
}
