/** WebGPU in a browser, page or worker: navigator.gpu, and in plain words why there is none. */
import { DeviceError } from "@trimtab/core";
import { createWebGpuDevice, type WebGpuDevice } from "@trimtab/kernels/webgpu";

/** An adapter that was found. */
export interface Gpu {
  /** The GPU is emulated on the CPU. */
  readonly isSoftware: boolean;
  /** `tuning`: what was kept of measurements. */
  device(tuning?: unknown): Promise<WebGpuDevice>;
}

/** Finds the GPU. Throws DeviceError saying why there is none. */
export async function openGpu(): Promise<Gpu> {
  // Typed as always there; browsers without it, and pages that are not secure, have none.
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu) throw new DeviceError(`webgpu: the browser must offer WebGPU, got none. ${adviceWithoutWebGpu()}`);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" }).catch(refused);
  if (!adapter) {
    throw new DeviceError(
      "webgpu: the browser must find a GPU, got none: it has WebGPU, but no GPU or driver that it trusts. Update the driver, turn hardware acceleration on in the browser's settings, or use the wasm device.",
    );
  }
  const { isFallbackAdapter, architecture, description } = adapter.info;
  return {
    isSoftware: isFallbackAdapter || /swiftshader|llvmpipe|software|basic render/i.test(`${architecture} ${description}`),
    device: (tuning) => createWebGpuDevice({ adapter, tuning }),
  };
}

function refused(cause: unknown): never {
  const got = cause instanceof Error ? cause.message : String(cause);
  throw new DeviceError(`webgpu: the browser must find a GPU, got: ${got}. Use the wasm device.`, { cause });
}

function adviceWithoutWebGpu(): string {
  return globalThis.isSecureContext
    ? "Use a browser that has it (Chrome, Edge, Firefox or Safari of today), or the wasm device."
    : "Browsers offer it to secure pages only: serve the page over https or from localhost, or use the wasm device.";
}
