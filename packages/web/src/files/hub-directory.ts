/** A model of the Hugging Face hub in a browser: its files by ranges from wherever the hub has them, kept in the browser's cache. */
import {
  type Directory,
  type DirectoryTree,
  HUB_ENDPOINT,
  HubError,
  type HubPlace,
  hubModelFiles,
  hubModelOf,
  hubRefusal,
} from "@trimtab/core";
import { fetchAgain } from "./fetch-again";
import { UrlCache } from "./url-cache";
import { urlDirectory } from "./url-directory";

/**
 * The directory of a model on the hub. What is known of its files is kept, and serves where the hub does not answer. Throws HubError for what the hub
 * refuses and for models without safetensors, ConfigError for names that no repository has.
 */
export async function hubDirectory(place: HubPlace): Promise<Directory & DirectoryTree> {
  const { repository, revision } = hubModelOf(place);
  const endpoint = (place.endpoint ?? HUB_ENDPOINT).replace(/\/+$/, "");
  const headers: Record<string, string> = place.token === undefined ? {} : { Authorization: `Bearer ${place.token}` };
  const api = new URL(`${endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}`);
  const cache = new UrlCache(api);
  let listing: Uint8Array<ArrayBuffer>;
  try {
    const response = await fetchAgain(api, { headers, cache: "no-store" });
    if (!response.ok) {
      const tokenAdvice = `Give a token of ${endpoint}/settings/tokens`;
      throw hubRefusal({ repository, revision, endpoint, hasToken: place.token !== undefined, tokenAdvice }, response);
    }
    listing = new Uint8Array(await response.arrayBuffer());
    await cache.keep({ size: listing.length, version: revision }, 0, listing);
  } catch (error) {
    const known = error instanceof HubError ? undefined : await cache.known();
    const kept = known && (await cache.part(known, 0));
    if (!kept) throw error;
    listing = kept;
  }
  const names = namesOf(listing, repository, endpoint);
  hubModelFiles(repository, names);
  // A browser takes the token off a request that is redirected to another server.
  return urlDirectory({ url: `${endpoint}/${repository}/resolve/${encodeURIComponent(revision)}/`, headers, names }, endpoint);
}

function namesOf(listing: Uint8Array, repository: string, endpoint: string): string[] {
  try {
    const { siblings } = JSON.parse(new TextDecoder().decode(listing)) as { readonly siblings: readonly { readonly rfilename: string }[] };
    return siblings.map(({ rfilename }) => rfilename);
  } catch (cause) {
    throw new HubError(
      `${repository}: ${endpoint} must answer as the Hugging Face hub does, got ${(cause as Error).message}. Check the address, and whether a proxy answers in its place.`,
      { repository },
      { cause },
    );
  }
}
