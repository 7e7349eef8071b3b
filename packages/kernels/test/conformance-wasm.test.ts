/** The wasm device against the f64 reference: both builds, with and without threads and shared memory. */
import { runConformance } from "../conformance/vitest";
import { DeviceError } from "../src/errors";
import { createWasmDevice } from "../src/wasm/index";
import { spawn } from "./wasm-spawn";

runConformance({ name: "wasm (strict, 1 thread)", create: () => createWasmDevice({ relaxed: false, shared: true }) });
runConformance({ name: "wasm (strict, 2 threads)", create: () => createWasmDevice({ relaxed: false, threads: 2, spawn }) });
runConformance({ name: "wasm (strict, unshared memory)", create: () => createWasmDevice({ relaxed: false, shared: false }) });
runConformance({
  name: "wasm-relaxed",
  create: async () => {
    try {
      return await createWasmDevice({ relaxed: true, threads: 2, spawn });
    } catch (error) {
      if (error instanceof DeviceError) return { missing: error.message };
      throw error;
    }
  },
});
