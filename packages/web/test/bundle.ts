/** Sources as one script for a page of a test. */
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { assets } from "../studio/vite.config";

const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The ES module that `entry` (relative to packages/) and all that it imports make, from sources. */
export async function bundleForBrowser(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    root: source("web"),
    plugins: [assets],
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
