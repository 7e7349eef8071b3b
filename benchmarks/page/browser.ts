/** What this browser is, and which of its devices can be measured. */
import type { Machine, Runtime } from "../src/measure/platform";
import type { Choice } from "./messages";

/** WebAssembly always; WebGPU and relaxed SIMD say themselves, when asked, that they are missing. */
export function choices(): readonly Choice[] {
  const wasm: readonly Choice[] = [
    { id: "wasm-strict", label: "WebAssembly, strict SIMD", device: "wasm", relaxed: false },
    { id: "wasm-relaxed", label: "WebAssembly, relaxed SIMD", device: "wasm", relaxed: true },
  ];
  const single: Choice = { id: "wasm-single", label: "WebAssembly, relaxed SIMD, one thread", device: "wasm", relaxed: true, threads: 1 };
  return [...wasm, ...(crossOriginIsolated ? [single] : []), { id: "webgpu", label: "WebGPU", device: "webgpu" }];
}

interface Brand {
  readonly brand: string;
  readonly version: string;
}

/** The browser by its own account: user-agent hints where there are any, else the last product of the user agent. */
export function runtimeOf({
  userAgent,
  ...hints
}: {
  readonly userAgent: string;
  readonly userAgentData?: { readonly brands: readonly Brand[] };
}): Runtime {
  const brands = hints.userAgentData?.brands.filter(({ brand }) => !/not.*brand/i.test(brand)) ?? [];
  const own = brands.find(({ brand }) => brand !== "Chromium") ?? brands[0];
  if (own) return { name: own.brand, version: own.version };
  const [, name = "browser", version = ""] = /(Firefox|Edg|Chrome|Version)\/([\d.]+)/.exec(userAgent) ?? [];
  return { name: name === "Version" ? "Safari" : name, version };
}

export function machineOf(navigator: Navigator): Machine {
  const memory = (navigator as { readonly deviceMemory?: number }).deviceMemory;
  return { cpu: null, cores: navigator.hardwareConcurrency, memoryGiB: memory ?? null, system: navigator.platform };
}
