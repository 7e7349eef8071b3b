import { defineConfig } from "tsup";

const typesOnly = process.argv.includes("--dts-only");

export default defineConfig({
  entry: {
    index: "src/index.ts",
    cli: "src/cli.ts",
    "engine-worker": "src/engine-worker.ts",
    "pool-worker": "src/pool-worker.ts",
    "reward-worker": "src/rewards/reward-worker.ts",
    "sandbox-worker": "src/sandbox/sandbox-worker.ts",
  },
  format: ["esm"],
  // An optional dependency, which tsup would bundle; Dawn's binary lies beside its own files.
  external: ["webgpu"],
  platform: "node",
  target: "node20",
  // `build:types` adds the declarations beside what `build` wrote: they take longer than everything else together
  dts: typesOnly && { only: true, entry: { index: "src/index.ts" }, compilerOptions: { paths: {} } },
  clean: !typesOnly,
  treeshake: true,
});
