/** Runs every workspace's tests from sources; only wasm artefacts and the thread pool's worker entry come from the build. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { HASH_FILE, sourcesHash } from "./packages/kernels/scripts/sources-hash.mjs";

// Artefacts of other sources than these would fail in ways that say nothing of the cause.
if (!existsSync(HASH_FILE) || readFileSync(HASH_FILE, "utf8") !== sourcesHash()) {
  throw new Error(
    "vitest: packages/kernels/build must be built from packages/kernels/assembly as it is. Run `npm run build:wasm -w @trimtab/kernels`.",
  );
}

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What tsup's loaders do for the packages, for vitest: `.wgsl` as text, `.wasm` as base64. */
const assets = {
  name: "trimtab-assets",
  enforce: "pre" as const,
  load(id: string) {
    if (id.endsWith(".wgsl")) return `export default ${JSON.stringify(readFileSync(id, "utf8"))}`;
    if (id.endsWith(".wasm")) return `export default "${readFileSync(id).toString("base64")}"`;
    return null;
  },
};

const source = (folder: string) => at(`./packages/${folder}`);
const alias = [
  { find: /^@trimtab\/kernels$/, replacement: source("kernels/src/index.ts") },
  { find: /^@trimtab\/kernels\/conformance$/, replacement: source("kernels/conformance/index.ts") },
  { find: /^@trimtab\/kernels\/wasm\/pool$/, replacement: source("kernels/src/wasm/pool.ts") },
  { find: /^@trimtab\/kernels\/(dry|reference|wasm|webgpu)$/, replacement: source("kernels/src/$1/index.ts") },
  { find: /^@trimtab\/core$/, replacement: source("core/src/index.ts") },
  { find: /^@trimtab\/node$/, replacement: source("node/src/index.ts") },
  { find: /^@trimtab\/web$/, replacement: source("web/src/index.ts") },
  { find: /^@trimtab\/web\/feedback$/, replacement: source("web/src/feedback/index.ts") },
];

/** Node 20 knows relaxed SIMD behind a flag (refused in NODE_OPTIONS); later versions have it on and may drop the flag. */
const execArgv = process.versions.node.startsWith("20.") ? ["--experimental-wasm-relaxed-simd"] : [];

/** The files that take longest, in this order: one that began last would keep one worker while the others have nothing left. */
const LONGEST = [
  "packages/web/test/conformance.test.ts",
  "packages/node/test/cli.test.ts",
  "packages/web/test/studio.test.ts",
  "examples/test/known-optimum.test.ts",
  "packages/kernels/test/conformance-webgpu.test.ts",
  "packages/web/test/training.test.ts",
  "examples/test/positive-speeches.test.ts",
  "packages/web/test/conditions.test.ts",
  "packages/core/test/generate-golden.test.ts",
  "packages/core/test/generate.test.ts",
  "packages/kernels/test/conformance-wasm.test.ts",
].map(at);

/** Files of LONGEST first, then the others in vitest's order: those with more text before those with less. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => (LONGEST.includes(moduleId) ? LONGEST.indexOf(moduleId) : LONGEST.length);
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  plugins: [assets],
  resolve: { alias },
  test: {
    include: ["{packages/*,examples,benchmarks}/test/**/*.test.ts"],
    execArgv,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    // Modules stay from file to file of a worker, since to import them all takes a second or more: no file may mock one.
    isolate: false,
    sequence: { sequencer: LongestFirst },
  },
});
