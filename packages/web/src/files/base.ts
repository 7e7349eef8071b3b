/** The base of an adapter in a browser: by its name on the hub. */
import { type AdapterBase, CheckpointError, parseHubName, type ReadableDirectory } from "@trimtab/core";
import { openPlace, type Place } from "./place";

/** The directory of the base that the adapter at `place` names; from the adapter's hub, with its token. Throws CheckpointError for a base elsewhere. */
export async function openBase(place: Place, { name, revision, adapterPath }: AdapterBase): Promise<ReadableDirectory> {
  const { endpoint, token } = typeof place === "object" && "hub" in place ? place : {};
  if (name !== undefined && parseHubName(name)) return openPlace({ hub: name, revision, endpoint, token });
  throw new CheckpointError(
    `adapter_config.json: \`base_model_name_or_path\` must be a name on the hub, got ${JSON.stringify(name ?? null)} in ${adapterPath}. Name the base there.`,
    { file: "adapter_config.json" },
  );
}
