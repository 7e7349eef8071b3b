/** A model of the hub as a directory on this disk: downloaded into the Hugging Face cache, or found there. */
import { mkdir, readFile, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import {
  HubError,
  type HubModel,
  type HubPlace,
  hubModelFiles,
  hubModelOf,
  hubShards,
  isWeightIndex,
  type LoadProgress,
  StorageError,
  TOKENIZER_FILES,
  TrimtabError,
} from "@trimtab/core";
import { downloadBlob, type HubFile } from "./download-blob";
import { HubCache, isCommit } from "./hub-cache";
import { HubClient, type HubPatience, PATIENCE, reasonOf } from "./hub-client";
import { type HubSettings, hubSettings } from "./hub-settings";

export interface HubOptions extends Partial<Pick<HubPlace, "revision" | "endpoint">> {
  /** Default: `HF_TOKEN`, else the file that `hf auth login` writes. False sends none. */
  readonly token?: string | false | undefined;
  /** Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, which is `~/.cache/huggingface` by default. */
  readonly cacheDir?: string | undefined;
  /** Nothing is asked of the hub; what is not in the cache is an error. Default: true with `HF_HUB_OFFLINE=1`. */
  readonly localFilesOnly?: boolean | undefined;
  /** Told while files are downloaded, file by file. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Gives up; what was downloaded stays for the next time. */
  readonly signal?: AbortSignal | undefined;
}

/** What of a repository is wanted. */
export type HubContents = "model" | "tokenizer";

/**
 * The directory with a model's files (`org/name`, or `org/name@revision`), whose missing ones are downloaded. Where the hub does not answer and the cache
 * has all of them, these are taken, and a warning says so.
 *
 * Throws HubError for what the hub refuses or sends wrong and for what is missing offline, StorageError where it cannot be kept, ConfigError for bad names.
 */
export async function hubSnapshot(
  hub: string,
  options: HubOptions = {},
  contents: HubContents = "model",
  patience: HubPatience = PATIENCE,
): Promise<string> {
  const model = hubModelOf({ hub, revision: options.revision });
  const settings = withOptions(hubSettings(), options);
  const cache = new HubCache(settings.cacheDirectory, model.repository);
  const cached = await cachedSnapshot(cache, model, contents);
  if (settings.isOffline) {
    if (typeof cached === "string") return cached;
    throw new HubError(
      `${model.repository}: offline, every file of the revision ${JSON.stringify(model.revision)} must be in ${settings.cacheDirectory}, got ${cached.missing}. Leave HF_HUB_OFFLINE (localFilesOnly) out once, or run \`trimtab download ${hub}\` where the hub can be reached.`,
      { repository: model.repository },
    );
  }
  const client = (patient: HubPatience) => new HubClient(model, { ...settings, patience: patient, signal: options.signal });
  let listing: Listing;
  try {
    // Who has the files waits less for the hub.
    listing = await list(client(typeof cached === "string" ? { ...patience, tries: 1 } : patience));
  } catch (error) {
    if (typeof cached !== "string" || !isUnreachable(error)) throw error;
    console.warn(`${(error as Error).message} Meanwhile the files in the cache are used: ${cached}`);
    return cached;
  }
  return download(client(patience), cache, listing, contents, options.onProgress);
}

function withOptions(settings: HubSettings, { endpoint, token, cacheDir, localFilesOnly }: HubOptions): HubSettings {
  return {
    endpoint: endpoint?.replace(/\/+$/, "") ?? settings.endpoint,
    cacheDirectory: cacheDir ?? settings.cacheDirectory,
    isOffline: localFilesOnly ?? settings.isOffline,
    token: token === false ? undefined : (token ?? settings.token),
  };
}

/** A commit and the files at its root. */
interface Listing {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

async function list(client: HubClient): Promise<Listing> {
  const { listFiles, modelInfo } = await import("@huggingface/hub");
  const { repository, revision } = client.model;
  const shared = { hubUrl: client.endpoint, fetch: client.fetchApi };
  const files = new Map<string, HubFile>();
  try {
    const commit = isCommit(revision)
      ? revision
      : (await modelInfo({ ...shared, name: repository, revision, additionalFields: ["sha"] })).sha;
    if (!isCommit(commit)) throw new Error(`the commit ${JSON.stringify(commit)}`);
    for await (const { type, path, size, oid, lfs } of listFiles({
      ...shared,
      repo: { type: "model", name: repository },
      revision: commit,
    })) {
      if (type !== "file") continue;
      const etag = lfs?.oid ?? oid ?? "";
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag) || !(size >= 0)) throw new Error(`no hash or size of ${path}`);
      files.set(path, { name: path, sizeBytes: lfs?.size ?? size, etag });
    }
    return { commit, files };
  } catch (cause) {
    if (cause instanceof TrimtabError || client.signal?.aborted) throw cause;
    throw new HubError(
      `${repository}: ${client.endpoint} must answer as the Hugging Face hub does, got ${reasonOf(cause)}. Check HF_ENDPOINT, and whether a proxy answers in its place.`,
      { repository },
      { cause },
    );
  }
}

async function download(
  client: HubClient,
  cache: HubCache,
  { commit, files }: Listing,
  contents: HubContents,
  onProgress: HubOptions["onProgress"],
): Promise<string> {
  const { repository, revision } = client.model;
  const names = [...files.keys()];
  const fetchAll = async (wanted: readonly string[]): Promise<void> => {
    const needed = wanted.map((name) => files.get(name) as HubFile);
    await requireRoom(cache, needed);
    for (const file of needed) {
      await downloadBlob(client, commit, file, cache.blob(file.etag), (loadedBytes) =>
        onProgress?.({ file: file.name, loadedBytes, totalBytes: file.sizeBytes }),
      );
      await cache.link(commit, file.name, file.etag);
    }
  };
  const wanted = contents === "model" ? hubModelFiles(repository, names) : TOKENIZER_FILES.filter((name) => files.has(name));
  await fetchAll(wanted);
  const index = wanted.find(isWeightIndex);
  if (index !== undefined) await fetchAll(hubShards(repository, names, await readFile(join(cache.snapshot(commit), index), "utf8")));
  await cache.setCommit(revision, commit);
  return cache.snapshot(commit);
}

/** Refuses before it starts what cannot end well. Throws StorageError. */
async function requireRoom(cache: HubCache, files: readonly HubFile[]): Promise<void> {
  await mkdir(cache.path, { recursive: true });
  let missingBytes = 0;
  for (const { etag, sizeBytes } of files) {
    if (!(await stat(cache.blob(etag)).catch(() => undefined))) missingBytes += sizeBytes;
  }
  const { bavail, bsize } = await statfs(cache.path);
  const freeBytes = bavail * bsize;
  if (missingBytes <= freeBytes) return;
  throw new StorageError(
    `download: ${cache.path} must have room for ${missingBytes} bytes, got ${freeBytes}. Free the disk, or set HF_HOME to a place with room.`,
  );
}

/** The snapshot of a revision where the cache has all that is needed, else what is missing in words. */
async function cachedSnapshot(
  cache: HubCache,
  { repository, revision }: HubModel,
  contents: HubContents,
): Promise<string | { readonly missing: string }> {
  const commit = await cache.commitOf(revision);
  const names = commit === undefined ? [] : await cache.files(commit);
  if (commit === undefined || names.length === 0) return { missing: "nothing of it" };
  const snapshot = cache.snapshot(commit);
  try {
    if (contents === "tokenizer") {
      const isThere = names.includes("tokenizer.json") || (names.includes("vocab.json") && names.includes("merges.txt"));
      return isThere ? snapshot : { missing: "no tokenizer.json" };
    }
    const index = hubModelFiles(repository, names).find(isWeightIndex);
    if (index !== undefined) hubShards(repository, names, await readFile(join(snapshot, index), "utf8"));
    return snapshot;
  } catch {
    return { missing: `only ${names.join(", ")}` };
  }
}

/** True for a hub that does not answer, or not now; not for one that refuses. */
function isUnreachable(error: unknown): boolean {
  return error instanceof HubError && (error.status === undefined || error.status === 429 || error.status >= 500);
}
