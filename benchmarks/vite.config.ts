/** Builds the benchmarks' page into dist/page: static files that any server can offer. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { speeches } from "./src/text.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** `.wasm` imported as base64, as tsup's loader does. */
const wasmAsBase64: Plugin = {
  name: "trimtab-wasm-base64",
  enforce: "pre",
  load: (id) => (id.endsWith(".wasm") ? `export default "${readFileSync(id).toString("base64")}";` : null),
};

/** The English text, beside the page. */
const text: Plugin = {
  name: "trimtab-speeches",
  generateBundle() {
    this.emitFile({ type: "asset", fileName: "speeches.txt", source: speeches() });
  },
};

export default defineConfig({
  root: at("page"),
  base: "./",
  plugins: [wasmAsBase64, text],
  worker: { format: "es", plugins: () => [wasmAsBase64] },
  build: { outDir: at("dist/page"), emptyOutDir: true, target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
});
