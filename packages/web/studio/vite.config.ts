/** Builds the studio as static files that run under a strict Content-Security-Policy: nothing inline, no blobs, no eval. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at("."),
  base: "./",
  publicDir: at("public"),
  build: {
    outDir: at("../dist-studio"),
    emptyOutDir: true,
    target: "es2022",
    // Inlined assets would be data: URLs, and the preload helper an inline script.
    assetsInlineLimit: 0,
    modulePreload: false,
    // Words that a person reads while the engine loads are few; one file is one request.
    chunkSizeWarningLimit: 1500,
  },
  worker: { format: "es" },
});
