import { defineConfig } from "tsup";

export default defineConfig({
  entry: { index: "src/index.ts", cli: "src/cli.ts", "pool-worker": "src/pool-worker.ts", "reward-worker": "src/rewards/reward-worker.ts" },
  format: ["esm"],
  platform: "node",
  target: "node20",
  dts: { entry: { index: "src/index.ts" }, compilerOptions: { paths: {} } },
  clean: true,
  treeshake: true,
});
