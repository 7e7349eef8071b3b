/** A directory on a server, e.g. of the Hugging Face hub: files by ranges, kept in the browser's cache. */
import { type ByteSource, CheckpointError, type Directory, type DirectoryTree } from "@trimtab/core";
import { blobSource } from "./blob-source";
import { fetchAgain } from "./fetch-again";
import { type KnownFile, UrlCache } from "./url-cache";

/** What is fetched at a time: small files come whole, with their size, in one request. */
const PART_BYTES = 4 << 20;

export interface UrlPlace {
  /** The directory's address, relative to the page's; files lie below it. */
  readonly url: string;
  /** Sent with every request, e.g. `{ Authorization: "Bearer hf_..." }`. They are not stored. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The files that there are, where that is known: no other is asked for, so that nothing is missing in the browser's console. */
  readonly names?: readonly string[] | undefined;
  /** Keeps files for the next time, in the Cache API. Default true; whether a file has changed is asked every time. */
  readonly cache?: boolean | undefined;
}

/** `baseUrl` is what a relative `url` is relative to. */
export function urlDirectory(place: UrlPlace, baseUrl: string): Directory & DirectoryTree {
  const base = new URL(place.url, baseUrl);
  // A directory's address, with or without the slash; what follows `?` belongs to every file.
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const path = base.origin + base.pathname;
  const readOnly = async (): Promise<never> => {
    throw new CheckpointError(
      `save: the place must be one that can be written, got the address ${path}. Save to browser storage or to a directory that was picked.`,
    );
  };
  const directoryAt = (directory: URL): Directory => ({
    path: directory.origin + directory.pathname,
    async open(name) {
      if (place.names && !place.names.includes(name)) return undefined;
      const file = new URL(directory);
      file.pathname += encodeURIComponent(name);
      return openUrl(file, name, place);
    },
    write: readOnly,
  });
  return {
    ...directoryAt(base),
    // Servers do not say what there is.
    list: async () => [],
    child(name) {
      const inside = new URL(base);
      inside.pathname += `${encodeURIComponent(name)}/`;
      return directoryAt(inside);
    },
    remove: readOnly,
  };
}

/** `mayBeKnown`: what was kept of the file counts, as long as the server has no other version. */
async function openUrl(url: URL, name: string, place: UrlPlace, mayBeKnown = true): Promise<ByteSource | undefined> {
  const { headers = {}, cache: isCached = true } = place;
  const cache = isCached ? new UrlCache(url) : undefined;
  const known = mayBeKnown ? await cache?.known() : undefined;
  const first = known && known.size > 0 && known.version !== "" ? await cache?.part(known, 0) : undefined;
  // Of a file that is known, one byte says whether it is still the same.
  const wanted = first ? 1 : PART_BYTES;
  let response: Response;
  try {
    response = await fetchPart(url, headers, 0, wanted);
  } catch (error) {
    if (known && first) return new UrlFile({ url, name, headers, cache, file: known, first });
    throw error;
  }
  if (response.status === 404 || response.status === 410 || isPage(response)) {
    await response.body?.cancel();
    return undefined;
  }
  // An empty file has no first byte.
  if (response.status === 416) return blobSource(name, new Blob(), url.origin);
  if (response.status === 200) {
    const blob = await response.blob();
    if (blob.size > wanted) {
      console.warn(
        `${name}: ${url.origin} ignores Range requests, so the whole file (${Math.ceil(blob.size / 2 ** 20)} MiB) was fetched at once and is not kept. Use a server that answers ranges.`,
      );
    }
    return blobSource(name, blob, url.origin);
  }
  if (response.status !== 206) {
    throw new CheckpointError(
      `${name}: the file must come from ${url.origin}, got status ${response.status}. Check the address and access.`,
      { file: name },
    );
  }
  const file: KnownFile = {
    size: await sizeOf(url, headers, response, name),
    version: versionOf(response),
  };
  const bytes = await bytesOf(response, Math.min(wanted, file.size), name);
  if (first && known?.size === file.size && known.version === file.version) {
    return new UrlFile({ url, name, headers, cache, file, first });
  }
  if (first) return openUrl(url, name, place, false);
  // Nobody could say later whether a file without a version is still the same.
  const keeper = file.version === "" ? undefined : cache;
  await keeper?.keep(file, 0, bytes);
  return new UrlFile({ url, name, headers, cache: keeper, file, first: bytes });
}

interface UrlFileParts {
  readonly url: URL;
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly cache: UrlCache | undefined;
  readonly file: KnownFile;
  readonly first: Uint8Array<ArrayBuffer>;
}

class UrlFile implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #parts: UrlFileParts;
  /** The part read last: tensors are read one after the other. */
  #latest: { readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> };

  constructor(parts: UrlFileParts) {
    this.name = parts.name;
    this.size = parts.file.size;
    this.#parts = parts;
    this.#latest = { offset: 0, bytes: parts.first };
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new CheckpointError(
        `${this.name}: bytes ${offset} to ${offset + length} must be in the file, got an end at ${this.size}. The file is truncated: get it again.`,
        { file: this.name },
      );
    }
    const bytes = new Uint8Array(length);
    for (let at = offset - (offset % PART_BYTES); at < offset + length; at += PART_BYTES) {
      const part = await this.#part(at);
      const from = Math.max(offset, at);
      bytes.set(part.subarray(from - at, Math.min(part.length, offset + length - at)), from - offset);
    }
    return bytes;
  }

  async close(): Promise<void> {}

  async #part(offset: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#latest.offset === offset) return this.#latest.bytes;
    const { url, name, headers, cache, file } = this.#parts;
    let bytes = await cache?.part(file, offset);
    if (!bytes) {
      const length = Math.min(PART_BYTES, file.size - offset);
      const response = await fetchPart(url, headers, offset, length);
      if (response.status !== 206) {
        throw new CheckpointError(
          `${name}: bytes from ${offset} must come from ${url.origin}, got status ${response.status}. Load it again.`,
          { file: name },
        );
      }
      const version = versionOf(response);
      if (version !== file.version) {
        await response.body?.cancel();
        throw new CheckpointError(
          `${name}: the file must stay as it was opened, version ${file.version || "none"}, got version ${version || "none"} from ${url.origin}. Load it again.`,
          { file: name },
        );
      }
      bytes = await bytesOf(response, length, name);
      await cache?.keep(file, offset, bytes);
    }
    this.#latest = { offset, bytes };
    return bytes;
  }
}

function fetchPart(url: URL, headers: Readonly<Record<string, string>>, offset: number, length: number): Promise<Response> {
  const range = { Range: `bytes=${offset}-${offset + length - 1}` };
  // What is kept is kept by us; servers of single-page applications answer `text/html` for what is missing unless something else is asked for.
  return fetchAgain(url, { headers: { ...headers, Accept: "application/octet-stream, application/json", ...range }, cache: "no-store" });
}

/** The server's mark of the version that it sends; empty where there is none. */
function versionOf(response: Response): string {
  return response.headers.get("ETag") ?? response.headers.get("Last-Modified") ?? "";
}

/** A page in place of a file: what such servers answer all the same. */
function isPage(response: Response): boolean {
  return response.headers.get("Content-Type")?.startsWith("text/html") ?? false;
}

async function sizeOf(url: URL, headers: Readonly<Record<string, string>>, response: Response, name: string): Promise<number> {
  const range = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "");
  if (range) return Number(range[1]);
  // Another origin's server may hide that header, but not the length of the whole.
  const whole = await fetchAgain(url, { method: "HEAD", headers, cache: "no-store" });
  const length = whole.headers.get("Content-Length");
  if (whole.ok && length !== null && whole.headers.get("Content-Encoding") === null) return Number(length);
  throw new CheckpointError(
    `${name}: ${url.origin} must say how long the file is, got neither Content-Range nor Content-Length. Let it send \`Access-Control-Expose-Headers: Content-Range, ETag\`.`,
    { file: name },
  );
}

async function bytesOf(response: Response, length: number, name: string): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new CheckpointError(
      `${name}: the file must arrive whole, got: ${(cause as Error).message}. Check the connection and load it again.`,
      { file: name },
      { cause },
    );
  }
  if (bytes.length === length) return bytes;
  throw new CheckpointError(`${name}: ${length} bytes must arrive, got ${bytes.length}. Check the connection and load it again.`, {
    file: name,
  });
}
