/** A small static server for tests: several directories under one origin, with the headers that a page's powers depend on. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

/** What a page that hosts Trimtab may forbid: inline code and styles, eval, blobs, and everything of other origins. */
export const STRICT_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".jsonl": "application/jsonl",
  ".map": "application/json",
  ".md": "text/markdown; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

export interface SiteOptions {
  /** Directories by URL prefix; the longest prefix that fits is taken, e.g. `{ "/": page, "/model/": model }`. */
  readonly directories?: Readonly<Record<string, string>>;
  /** Contents by URL path, before any directory. The extension says the type. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Sends COOP and COEP, so that pages have SharedArrayBuffer. Default true. */
  readonly isCrossOriginIsolated?: boolean;
  /** A Content-Security-Policy, e.g. STRICT_POLICY. Default none. */
  readonly policy?: string;
  /** Answers Range requests with a part; false ignores them, as some servers do. Default true. */
  readonly hasRanges?: boolean;
  /** The ETag of every file; undefined sends none. Default: of its contents, or of when it was written. */
  readonly version?: () => string | undefined;
  /** Sees every request first, and answers it by returning true. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** One request that a site got. */
export interface SiteRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
}

export interface Site {
  /** `http://127.0.0.1:port`, which browsers count as secure. */
  readonly origin: string;
  readonly requests: readonly SiteRequest[];
  close(): Promise<void>;
}

/** Serves until closed, on a port of the system's choice. */
export async function serveSite(options: SiteOptions): Promise<Site> {
  const requests: SiteRequest[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://site").pathname);
    requests.push({ method: request.method ?? "GET", path, range: request.headers.range });
    if (options.intercept?.(request, response)) return;
    answer(options, path, request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: SiteOptions, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { isCrossOriginIsolated = true, policy, hasRanges = true, version } = options;
  response.setHeader("Cache-Control", "no-store");
  response.setHeader("X-Content-Type-Options", "nosniff");
  if (isCrossOriginIsolated) {
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  }
  if (policy) response.setHeader("Content-Security-Policy", policy);
  const found = await find(options, path.endsWith("/") ? `${path}index.html` : path);
  if (!found) {
    response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("not found");
    return;
  }
  response.setHeader("Content-Type", TYPES[extname(found.name)] ?? "application/octet-stream");
  const tag = version ? version() : found.tag;
  if (tag !== undefined) response.setHeader("ETag", `"${tag}"`);
  let [first, last, status] = [0, found.size - 1, 200];
  if (hasRanges) {
    response.setHeader("Accept-Ranges", "bytes");
    const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    if (from !== "" || to !== "") {
      first = from === "" ? Math.max(0, found.size - Number(to)) : Number(from);
      last = from === "" || to === "" ? last : Math.min(last, Number(to));
      if (first > last) {
        response.writeHead(416, { "Content-Range": `bytes */${found.size}` });
        response.end();
        return;
      }
      status = 206;
      response.setHeader("Content-Range", `bytes ${first}-${last}/${found.size}`);
    }
  }
  response.writeHead(status, { "Content-Length": last - first + 1 });
  if (request.method === "HEAD" || found.size === 0) response.end();
  else if ("bytes" in found) response.end(found.bytes.subarray(first, last + 1));
  else createReadStream(found.file, { start: first, end: last }).pipe(response);
}

type Found = { readonly name: string; readonly size: number; readonly tag: string } & (
  | { readonly bytes: Uint8Array }
  | { readonly file: string }
);

async function find({ files = {}, directories = {} }: SiteOptions, path: string): Promise<Found | undefined> {
  const contents = files[path];
  if (contents !== undefined) {
    const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
    return { name: path, size: bytes.length, tag: createHash("sha1").update(bytes).digest("hex"), bytes };
  }
  const prefixes = Object.keys(directories).filter((prefix) => path.startsWith(prefix));
  const prefix = prefixes.sort((a, b) => b.length - a.length)[0];
  if (prefix === undefined) return undefined;
  const file = join(directories[prefix] as string, normalize(`/${path.slice(prefix.length)}`));
  const stats = await stat(file).catch(() => undefined);
  return stats?.isFile() ? { name: file, size: stats.size, tag: `${stats.size}-${stats.mtimeMs}`, file } : undefined;
}
