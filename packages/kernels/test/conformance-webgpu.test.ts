/** Every op on the webgpu device against the f64 reference: at the adapter's limits, and at WebGPU's guaranteed ones. */
import { runConformance } from "../conformance/vitest";
import { createWebGpuDevice } from "../src/webgpu/index";
import { findAdapter } from "./webgpu-adapter";

for (const limits of ["adapter", "default"] as const) {
  runConformance({
    name: `webgpu (${limits} limits)`,
    create: async () => {
      const adapter = await findAdapter();
      // A small scratch sends token-logprob through its vocabulary in many chunks.
      return "missing" in adapter
        ? adapter
        : createWebGpuDevice({ adapter, limits, ...(limits === "default" ? { scratchBytes: 4096 } : {}) });
    },
  });
}
