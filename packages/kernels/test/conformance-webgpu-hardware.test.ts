/**
 * The kernels that real GPUs get (staged tiles, unrolled loops), on whatever adapter there is. An emulated GPU gets others by default, and
 * takes minutes to compile the widest of these, so the trials here keep to narrow ones: heads of up to 32 channels, of 64 in attention's forward pass, 1 or 2 skinny rows.
 */
import { cases } from "../conformance/index";
import { runConformance } from "../conformance/vitest";
import { createWebGpuDevice } from "../src/webgpu/index";
import { findAdapter } from "./webgpu-adapter";

const OPS = ["matmul_", "normed_matmul_gated", "token_logprob_", "attention_"];

runConformance({
  name: "webgpu (hardware kernels)",
  cases: cases
    .filter(({ entry }) => OPS.some((op) => entry.name.startsWith(op)))
    .map((item) => ({
      ...item,
      sizes: item.sizes.filter(({ D, M }) => {
        if (item.entry.name === "matmul_forward") return M! <= 2 || M! > 8;
        if (item.entry.name === "normed_matmul_gated") return M === 2 || M === 32;
        return D === undefined || (D <= (item.entry.name === "attention_forward" ? 64 : 32) && D % 4 === 0);
      }),
    })),
  create: async () => {
    const adapter = await findAdapter();
    return "missing" in adapter ? adapter : createWebGpuDevice({ adapter, limits: "default", isSoftware: false });
  },
});
