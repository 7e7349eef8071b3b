import { defineConfig } from "tsup";

const typesOnly = process.argv.includes("--dts-only");

export default defineConfig({
  entry: { index: "src/index.ts", feedback: "src/feedback/index.ts" },
  format: ["esm"],
  platform: "browser",
  target: "es2022",
  // `build:types` adds the declarations beside what `build` wrote: they take longer than everything else together
  dts: typesOnly && { only: true, compilerOptions: { paths: {} } },
  clean: !typesOnly,
  treeshake: true,
});
