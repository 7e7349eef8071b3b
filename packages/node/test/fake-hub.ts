/**
 * The Hugging Face hub on this machine, for tests: two servers that speak its endpoints (revision, tree, resolve) with its headers and error codes, large
 * files on another origin behind a signed redirect, and faults where a test wants them. Written from huggingface_hub's client code, which works with it.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What goes wrong with the next request for a file, or for the API ("api"). */
export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The connection ends after this many bytes of the answer. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The answer stops after this many bytes, and the connection stays. */
  | { readonly kind: "silence"; readonly afterBytes: number }
  | { readonly kind: "flip" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "ignore-range" }
  | { readonly kind: "page" };

export interface FakeRepository {
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Commits by branch or tag. Default: `main`, the only commit. */
  readonly refs?: Readonly<Record<string, string>>;
  /** Nobody without this token sees it. */
  readonly token?: string;
  /** The licence must be accepted, which nobody has. */
  readonly isGated?: boolean;
  /** Its new name, to which the old one redirects. */
  readonly movedTo?: string;
  /** Listed instead of the real ones. */
  readonly sizes?: Readonly<Record<string, number>>;
}

export interface Seen {
  readonly server: "hub" | "storage";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** Files of a listing that come at once. */
const PAGE = 4;

/** What git LFS takes over in model repositories. */
const isLarge = (name: string) => name.endsWith(".safetensors") || name === "tokenizer.json";
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const gitHash = (bytes: Uint8Array) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

export class FakeHub {
  readonly repositories = new Map<string, FakeRepository>();
  readonly seen: Seen[] = [];
  readonly #faults = new Map<string, Fault[]>();
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor(hub: Server, storage: Server) {
    this.#hub = hub;
    this.#storage = storage;
    hub.on("request", (request, response) => this.#answer(request, response));
    storage.on("request", (request, response) => this.#answerFile(request, response));
  }

  static async start(): Promise<FakeHub> {
    const servers = [createServer(), createServer()] as const;
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))));
    return new FakeHub(...servers);
  }

  get endpoint(): string {
    return originOf(this.#hub);
  }

  /** Another host by name as well: Python's client takes servers of one host for one. */
  get #storageOrigin(): string {
    return originOf(this.#storage).replace("127.0.0.1", "localhost");
  }

  /** The name under which a file is in the cache. */
  static etag(name: string, bytes: Uint8Array): string {
    return isLarge(name) ? sha256(bytes) : gitHash(bytes);
  }

  /** Lets the next requests for `file` (or for "api") go wrong, one fault each. */
  fail(file: string, ...faults: readonly Fault[]): void {
    this.#faults.set(file, [...(this.#faults.get(file) ?? []), ...faults]);
  }

  /** Forgets requests and faults. */
  reset(): void {
    this.seen.length = 0;
    this.#faults.clear();
  }

  /** Ranges asked of the storage for a file, in order; undefined for all of it. */
  ranges(file: string): (string | undefined)[] {
    return this.seen.filter(({ server, path }) => server === "storage" && path.endsWith(`/${file}`)).map(({ range }) => range);
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #see(server: Seen["server"], request: IncomingMessage): URL {
    const url = new URL(request.url ?? "/", this.endpoint);
    const { range, authorization } = request.headers;
    this.seen.push({ server, path: decodeURIComponent(url.pathname), range, authorization });
    return url;
  }

  #answer(request: IncomingMessage, response: ServerResponse): unknown {
    const { pathname, searchParams } = this.#see("hub", request);
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "*");
    const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(revision|tree)\/([^/]+))?$/.exec(pathname);
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
    const [, name = "", kind = "revision", revision = "main"] = api ?? (file ? ["", file[1] as string, "resolve", file[2] as string] : []);
    const path = decodeURIComponent(file?.[3] ?? "");
    const fault = api ? this.#next("api") : undefined;
    if (fault?.kind === "status") return refuse(response, fault.status, undefined, fault.headers);
    if (fault?.kind === "page") return response.setHeader("Content-Type", "text/html").end("<html>Please log in to this network</html>");
    const repository = this.repositories.get(name);
    const hasAccess = repository?.token === undefined || request.headers.authorization === `Bearer ${repository.token}`;
    // The hub does not tell strangers what there is.
    if (!repository || !hasAccess) return refuse(response, request.headers.authorization ? 404 : 401, "RepoNotFound");
    if (repository.isGated && kind === "resolve") return refuse(response, request.headers.authorization ? 403 : 401, "GatedRepo");
    if (repository.movedTo) return response.writeHead(307, { Location: pathname.replace(name, repository.movedTo) }).end();
    const { refs = { main: COMMIT } } = repository;
    const asked = decodeURIComponent(revision);
    const commit = refs[asked] ?? [COMMIT, ...Object.values(refs)].find((known) => known === asked);
    if (commit === undefined) return refuse(response, 404, "RevisionNotFound");
    response.setHeader("X-Repo-Commit", commit);
    if (kind === "revision") {
      const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }));
      return json(response, {
        _id: "1",
        id: name,
        modelId: name,
        sha: commit,
        private: false,
        gated: false,
        downloads: 0,
        likes: 0,
        lastModified: "2026-01-01T00:00:00.000Z",
        siblings,
      });
    }
    if (kind === "tree") {
      const all = entries(repository);
      const from = Number(searchParams.get("cursor") ?? 0);
      if (from + PAGE < all.length) response.setHeader("Link", `<${this.endpoint}${pathname}?cursor=${from + PAGE}>; rel="next"`);
      return json(response, all.slice(from, from + PAGE));
    }
    const bytes = repository.files[path];
    if (!bytes) return refuse(response, 404, "EntryNotFound");
    response.setHeader("ETag", `"${isLarge(path) ? sha256(bytes) : gitHash(bytes)}"`);
    if (!isLarge(path)) return this.#send(request, response, path, bytes);
    response.setHeader("X-Linked-Size", bytes.length);
    response.setHeader("X-Linked-ETag", `"${sha256(bytes)}"`);
    response.setHeader("Location", `${this.#storageOrigin}/signed/${name}/${encodeURIComponent(path)}?signature=secret`);
    return response.writeHead(302).end();
  }

  #answerFile(request: IncomingMessage, response: ServerResponse): unknown {
    const { pathname } = this.#see("storage", request);
    const [, name = "", path = ""] = /^\/signed\/([^/]+\/[^/]+)\/(.+)$/.exec(pathname) ?? [];
    const bytes = this.repositories.get(name)?.files[decodeURIComponent(path)];
    // As S3 does for signed addresses that come with other credentials too.
    if (request.headers.authorization) return refuse(response, 400);
    if (!bytes) return refuse(response, 404);
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("ETag", `"${sha256(bytes)}"`);
    return this.#send(request, response, decodeURIComponent(path), bytes);
  }

  #send(request: IncomingMessage, response: ServerResponse, name: string, whole: Uint8Array): unknown {
    const fault = request.method === "HEAD" ? undefined : this.#next(name);
    if (fault?.kind === "status") return refuse(response, fault.status, undefined, fault.headers);
    const [, from = "0", to = ""] = (fault?.kind !== "ignore-range" && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")) || [];
    const isRange = request.headers.range !== undefined && fault?.kind !== "ignore-range";
    const end = Math.min(whole.length, to === "" ? whole.length : Number(to) + 1);
    let bytes = whole.slice(Number(from), end);
    if (fault?.kind === "flip") bytes = bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    if (isRange) response.setHeader("Content-Range", `bytes ${from}-${end - 1}/${whole.length}`);
    response.setHeader("Accept-Ranges", "bytes");
    response.setHeader("Content-Length", fault?.kind === "length" ? fault.bytes : bytes.length);
    response.writeHead(isRange ? 206 : 200);
    if (request.method === "HEAD") return response.end();
    if (fault?.kind === "cut") return response.write(bytes.slice(0, fault.afterBytes), () => setTimeout(() => response.destroy(), 100));
    if (fault?.kind === "silence") return response.write(bytes.slice(0, fault.afterBytes));
    return response.end(fault?.kind === "length" ? bytes.slice(0, fault.bytes) : bytes);
  }

  #next(what: string): Fault | undefined {
    return this.#faults.get(what)?.shift();
  }
}

function entries({ files, sizes = {} }: FakeRepository) {
  return Object.entries(files).map(([path, bytes]) => {
    const size = sizes[path] ?? bytes.length;
    if (!isLarge(path)) return { type: "file", oid: gitHash(bytes), size, path };
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(bytes)}\nsize ${size}\n`;
    const lfs = { oid: sha256(bytes), size, pointerSize: pointer.length };
    return { type: "file", oid: gitHash(new TextEncoder().encode(pointer)), size, lfs, path };
  });
}

function refuse(response: ServerResponse, status: number, code?: string, headers: Readonly<Record<string, string>> = {}): unknown {
  if (code) response.setHeader("X-Error-Code", code);
  return response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify({ error: code ?? "Refused" }));
}

function json(response: ServerResponse, value: unknown): unknown {
  response.setHeader("Content-Type", "application/json");
  return response.end(JSON.stringify(value));
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
