import { runConformance } from "../conformance/vitest";
import { createWebGpuDevice } from "../src/webgpu/index";
import { findAdapter } from "./webgpu-adapter";
runConformance({
  name: "webgpu (hardware kernels)",
  create: async () => {
    const adapter = await findAdapter();
    return "missing" in adapter ? adapter : createWebGpuDevice({ adapter, limits: "default", isSoftware: false });
  },
});
