/** WebGPU in Node: npm `webgpu` (Dawn), imported only when a GPU is asked for. */
import { tmpdir } from "node:os";
import { type Device, DeviceError } from "@trimtab/core";
import type { WebGpuDevice, WebGpuOptions } from "@trimtab/kernels/webgpu";

const DRIVER_ADVICE =
  "Install a GPU driver (on Linux a Vulkan one; for a software GPU Mesa 23 or newer: mesa-vulkan-drivers, libvulkan1), or use the wasm device";

/** Dawn shuts down when its GPU object is collected, so that must live as long as any device. */
const dawnOf = new WeakMap<Device, GPU>();

/** An adapter that was found. */
export interface Gpu {
  /** The GPU is emulated on the CPU. */
  readonly isSoftware: boolean;
  /** `memoryBytes`: what it may hand out; default: no limit. `tuning`: what was kept of measurements. */
  device(options: Pick<WebGpuOptions, "memoryBytes" | "tuning">): Promise<WebGpuDevice>;
}

/** Finds the GPU. Throws DeviceError saying what to install. */
export async function openGpu(): Promise<Gpu> {
  const gpu = await loadDawn();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new DeviceError(`webgpu: a GPU must be there, got no adapter. ${DRIVER_ADVICE}.`);
  return {
    isSoftware: adapter.info.isFallbackAdapter || ["software", "swiftshader"].includes(adapter.info.architecture),
    device: async (options) => {
      const { createWebGpuDevice } = await import("@trimtab/kernels/webgpu");
      const device = await createWebGpuDevice({ adapter, ...options });
      dawnOf.set(device, gpu);
      return device;
    },
  };
}

async function loadDawn(): Promise<GPU> {
  let dawn: typeof import("webgpu");
  try {
    dawn = await import("webgpu");
  } catch (cause) {
    const got = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new DeviceError(`webgpu: the npm package webgpu must load, got: ${got}. Run \`npm install webgpu\`, or use the wasm device.`, {
      cause,
    });
  }
  // Mesa wants a directory for its sockets and says so on standard error where there is none.
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
  Object.assign(globalThis, dawn.globals);
  return dawn.create([]);
}
