import { defineConfig } from "tsup";

export default defineConfig({
  entry: { index: "src/index.ts", cli: "src/cli.ts", "pool-worker": "src/pool-worker.ts", "reward-worker": "src/rewards/reward-worker.ts" },
  format: ["esm"],
  // An optional dependency, which tsup would bundle; Dawn's binary lies beside its own files.
  external: ["webgpu"],
  platform: "node",
  target: "node20",
  dts: { entry: { index: "src/index.ts" }, compilerOptions: { paths: {} } },
  clean: true,
  treeshake: true,
});
