/**
 * Serves the built studio on this machine, with the headers of its `_headers` file.
 *
 *   node packages/web/scripts/serve-studio.mjs [--port 4173] [--directory packages/web/dist-studio]
 */
import { createReadStream, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "4173" },
    directory: { type: "string", default: fileURLToPath(new URL("../dist-studio", import.meta.url)) },
  },
});
const headers = readFileSync(join(values.directory, "_headers"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("  "))
  .map((line) => /^ {2}([^:]+): (.*)$/.exec(line))
  .map(([, name, value]) => [name, value]);

const server = createServer(async (request, response) => {
  for (const [name, value] of headers) response.setHeader(name, value);
  response.setHeader("Cache-Control", "no-cache");
  const { pathname } = new URL(request.url ?? "/", "http://studio");
  const file = join(values.directory, normalize(decodeURIComponent(pathname.endsWith("/") ? `${pathname}index.html` : pathname)));
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("not found");
    return;
  }
  response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Length": found.size });
  if (request.method === "HEAD") response.end();
  else createReadStream(file).pipe(response);
});
server.on("error", (error) => {
  console.error(error.code === "EADDRINUSE" ? `Port ${values.port} is taken: choose another with --port.` : error.message);
  process.exitCode = 1;
});
server.listen(Number(values.port), "127.0.0.1", () => console.log(`Trimtab Studio: http://127.0.0.1:${server.address().port}/`));
