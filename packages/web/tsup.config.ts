import { defineConfig } from "tsup";

const typesOnly = process.argv.includes("--dts-only");

const shared = { format: ["esm"], platform: "browser", target: "es2022", treeshake: true } as const;

const WORKER = "engine-worker";

export default defineConfig([
  {
    ...shared,
    entry: { index: "src/index.ts", feedback: "src/feedback/index.ts" },
    // `build:types` adds the declarations beside what `build` wrote: they take longer than everything else together
    dts: typesOnly && { only: true, compilerOptions: { paths: {} } },
    clean: !typesOnly && [`!${WORKER}.js`],
  },
  ...(typesOnly
    ? []
    : [
        {
          ...shared,
          // One file without imports, from the sources of all packages: import maps do not reach workers, and Vite's development server hands
          // a dependency's worker out as it is
          entry: { [WORKER]: `src/${WORKER}.ts` },
          noExternal: [/.*/],
          loader: { ".wgsl": "text", ".wasm": "base64" } as const,
          splitting: false,
          minify: true,
        },
      ]),
]);
