import { defineConfig } from "tsup";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    "reference/index": "src/reference/index.ts",
    "wasm/index": "src/wasm/index.ts",
    "wasm/pool": "src/wasm/pool.ts",
    "webgpu/index": "src/webgpu/index.ts",
    "conformance/index": "conformance/index.ts",
  },
  format: ["esm"],
  platform: "neutral",
  target: "es2022",
  dts: true,
  clean: true,
  treeshake: true,
  loader: { ".wgsl": "text", ".wasm": "binary" },
});
