/** Parts of files that were fetched, kept in the browser's Cache API so that a model is downloaded once. */

const NAME = "trimtab-models";

/** What is known of a file that was fetched before. */
export interface KnownFile {
  readonly size: number;
  /** The server's mark of this version: its ETag, or when it was changed. Empty where it says neither. */
  readonly version: string;
}

/** Parts of one file. Nothing here fails for want of room: what cannot be kept is fetched again. */
export class UrlCache {
  readonly #url: URL;

  constructor(url: URL) {
    this.#url = url;
  }

  async known(): Promise<KnownFile | undefined> {
    return (await this.#match("file"))?.json();
  }

  async part(file: KnownFile, offset: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#match(partKey(file, offset));
    return response && new Uint8Array(await response.arrayBuffer());
  }

  async keep(file: KnownFile, offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      const cache = await open();
      if (!cache) return;
      if (offset === 0) {
        for (const request of await cache.keys(this.#key(""), { ignoreSearch: true })) await cache.delete(request);
        await cache.put(this.#key("file"), new Response(JSON.stringify(file)));
      }
      await cache.put(this.#key(partKey(file, offset)), new Response(bytes));
    } catch {
      // No room, or not allowed: see the class.
    }
  }

  async #match(key: string): Promise<Response | undefined> {
    try {
      return await (await open())?.match(this.#key(key));
    } catch {
      return undefined;
    }
  }

  #key(key: string): string {
    const url = new URL(this.#url);
    url.hash = "";
    url.searchParams.set("trimtab-part", key);
    return url.href;
  }
}

/** Removes every model that was kept; true where there were some. */
export async function clearModelCache(): Promise<boolean> {
  return "caches" in globalThis ? caches.delete(NAME) : false;
}

function partKey({ size, version }: KnownFile, offset: number): string {
  return `${offset} of ${size}, ${version}`;
}

/** Undefined on pages that are not secure. */
async function open(): Promise<Cache | undefined> {
  return "caches" in globalThis ? caches.open(NAME) : undefined;
}
