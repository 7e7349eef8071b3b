import { defineConfig } from "tsup";

export default defineConfig({
  entry: {
    main: "src/main.ts",
    "ceiling-worker": "src/ceiling-worker.ts",
    "smollm2-task": "src/smollm2/task.ts",
    "startup-child": "src/startup-child.ts",
  },
  format: ["esm"],
  platform: "node",
  target: "node20",
  clean: true,
  external: ["webgpu"],
  loader: { ".wasm": "base64" },
});
