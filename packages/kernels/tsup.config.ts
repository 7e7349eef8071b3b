import { readFileSync } from "node:fs";
import { defineConfig, type Options } from "tsup";

/** Shaders ship without comments and indentation, line by line, so that the compiler's line numbers stay. WGSL has no strings in which `//` could stand. */
const bareShaders: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "bare shaders",
  setup: (build) =>
    build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace(/^ +| *\/\/.*$/gm, ""),
      loader: "text",
    })),
};

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
  loader: { ".wasm": "base64" },
  esbuildPlugins: [bareShaders],
});
