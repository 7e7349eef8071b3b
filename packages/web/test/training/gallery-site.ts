/** Builds the gallery page with Vite, from sources, and serves it under a strict Content-Security-Policy. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { fromSources } from "../../studio/vite.config";
import { type Site, STRICT_POLICY, serveSite } from "../site";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PAGE =
  '<!doctype html><html lang="en"><title>Gallery</title><link rel="icon" href="data:,"><main></main><script type="module" src="/gallery.js"></script></html>';

/** Call `close` at the end. */
export async function serveGallery(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "trimtab-gallery-"));
  await build({
    configFile: false,
    root: at("."),
    logLevel: "error",
    ...fromSources("core", "kernels", "web"),
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
