/**
 * Builds the studio as static files that run under a strict Content-Security-Policy: nothing inline, no blobs, no eval. Core and kernels are taken
 * from their sources, module by module, so that the page evaluates no more of them than it uses; the engine's worker is that of the built package.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** `.wasm` as base64 and `.wgsl` as text, as in the packages' own builds. */
export const assets: Plugin = {
  name: "trimtab-assets",
  enforce: "pre",
  async load(id) {
    if (id.endsWith(".wgsl")) return `export default ${JSON.stringify(await readFile(id, "utf8"))}`;
    if (!id.endsWith(".wasm")) return null;
    return `export default "${(await readFile(id)).toString("base64")}"`;
  },
};

/** Settings that take these packages from their sources. */
export function fromSources(...packages: readonly ("core" | "kernels" | "web")[]) {
  const alias = packages.map((name) => ({ find: new RegExp(`^@trimtab/${name}$`), replacement: at(`../../${name}/src/index.ts`) }));
  return { plugins: [assets], resolve: { alias } };
}

export default defineConfig({
  ...fromSources("core", "kernels"),
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
    // The worker is one file.
    chunkSizeWarningLimit: 1500,
  },
  worker: { format: "es" },
});
