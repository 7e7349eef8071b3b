/** `trimtab download`: models of the hub into the Hugging Face cache, for machines or times without it. */
import { adapterBase, ConfigError, isAdapter } from "@trimtab/core";
import type { z } from "zod";
import { nodeDirectory } from "../../files";
import { baseOf, isOnHub } from "../../model";
import { namedDirectory } from "../../run/named-model";
import type { downloadSchema } from "../schemas/download";

export async function runDownload({ modelRevision }: z.output<typeof downloadSchema>, names: readonly string[]): Promise<number> {
  if (names.length === 0) {
    throw new ConfigError("trimtab download: models must be named, `org/name` or `org/name@revision`, got none. Name them.");
  }
  for (const name of names) await download(name, modelRevision);
  return 0;
}

/** An adapter comes with its base, without which it cannot be loaded. */
async function download(hub: string, revision: string | undefined): Promise<void> {
  const path = await namedDirectory({ hub, revision });
  console.log(path);
  const directory = nodeDirectory(path);
  if (!(await isAdapter(directory))) return;
  const base = baseOf(await adapterBase(directory));
  if (isOnHub(base.from)) await download(base.from, base.revision);
}
