/** Serves the built benchmarks' page on this machine, with or without the headers that give a page threads. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** dist/page, seen from dist/main.js. */
const folder = new URL("./page/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

export interface PageServer {
  /** With a slash at its end. */
  readonly url: string;
  close(): void;
}

/** `port` 0 is one of the system's choice. */
export async function servePage(options: { readonly isCrossOriginIsolated: boolean; readonly port?: number }): Promise<PageServer> {
  const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://page");
    const file = new URL(`.${pathname === "/" ? "/index.html" : pathname}`, folder);
    try {
      if (!file.href.startsWith(folder.href)) throw new Error("outside the page's folder");
      const body = await readFile(fileURLToPath(file));
      response.writeHead(200, {
        "Content-Type": TYPES[extname(file.pathname)] ?? "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
        ...(options.isCrossOriginIsolated ? isolation : {}),
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
