/** Builds the gallery page with Vite, from sources, and serves it under a strict Content-Security-Policy. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";
import { type Site, STRICT_POLICY, serveSite } from "../site";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PAGE =
  '<!doctype html><html lang="en"><title>Gallery</title><link rel="icon" href="data:,"><main></main><script type="module" src="/gallery.js"></script></html>';

/** `.wasm` as bytes and `.wgsl` as text, as in the packages' own builds. */
const assets: Plugin = {
  name: "trimtab-assets",
  enforce: "pre",
  async load(id) {
    if (id.endsWith(".wgsl")) return `export default ${JSON.stringify(await readFile(id, "utf8"))}`;
    if (!id.endsWith(".wasm")) return null;
    return `export default Uint8Array.from(atob("${(await readFile(id)).toString("base64")}"), (c) => c.charCodeAt(0))`;
  },
};

/** Call `close` at the end. */
export async function serveGallery(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "trimtab-gallery-"));
  await build({
    configFile: false,
    root: at("."),
    logLevel: "error",
    plugins: [assets],
    resolve: {
      alias: [{ find: /^@trimtab\/(core|kernels|web)$/, replacement: at("../../../$1/src/index.ts") }],
    },
    build: {
      outDir: folder,
      target: "es2022",
      minify: false,
      rollupOptions: { input: at("gallery.ts"), output: { entryFileNames: "gallery.js" } },
    },
  });
  await writeFile(join(folder, "index.html"), PAGE);
  const site = await serveSite({ directories: { "/": folder }, policy: STRICT_POLICY });
  return {
    ...site,
    async close() {
      await site.close();
      await rm(folder, { recursive: true });
    },
  };
}
