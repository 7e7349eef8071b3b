import { defineConfig } from "tsup";

const typesOnly = process.argv.includes("--dts-only");

export default defineConfig({
  entry: {
    index: "src/index.ts",
    "reference/index": "src/reference/index.ts",
    "dry/index": "src/dry/index.ts",
    "wasm/index": "src/wasm/index.ts",
    "wasm/pool": "src/wasm/pool.ts",
    "webgpu/index": "src/webgpu/index.ts",
    "conformance/index": "conformance/index.ts",
  },
  format: ["esm"],
  platform: "neutral",
  target: "es2022",
  // `build:types` adds the declarations beside what `build` wrote: they take longer than everything else together
  dts: typesOnly && { only: true },
  clean: !typesOnly,
  treeshake: true,
  loader: { ".wgsl": "text", ".wasm": "base64" },
});
