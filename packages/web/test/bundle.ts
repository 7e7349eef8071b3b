/** Sources as one script for a page of a test. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The ES module that `entry` (relative to packages/) and all that it imports make, from sources. */
export async function bundleForBrowser(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    root: source("web"),
    plugins: [
      {
        name: "trimtab-assets",
        enforce: "pre",
        async load(id) {
          if (!id.endsWith(".wasm") && !id.endsWith(".wgsl")) return null;
          const bytes = await readFile(id);
          if (id.endsWith(".wgsl")) return `export default ${JSON.stringify(bytes.toString())}`;
          return `export default "${bytes.toString("base64")}"`;
        },
      },
    ],
    resolve: {
      alias: [
        { find: /^@trimtab\/kernels\/(reference|wasm|webgpu)$/, replacement: source("kernels/src/$1/index.ts") },
        { find: /^@trimtab\/(kernels|core|web)$/, replacement: source("$1/src/index.ts") },
      ],
    },
    build: { write: false, minify: false, lib: { entry: source(entry), formats: ["es"] } },
  });
  const [output] = Array.isArray(result) ? result : [result];
  const chunk = output && "output" in output ? output.output[0] : undefined;
  if (!chunk) throw new Error(`bundleForBrowser: vite must return a bundle of ${entry}, got none.`);
  return chunk.code;
}
