/** Names under which measurements are kept: the adapter, and the kernels as they are compiled for it. */
import type { TuningKey } from "../tuning";
import { cutRule } from "./plans/cut";
import { f32Programs, matmulBackwardWeight, matmulCombine, usualTiles, weightSlices } from "./plans/matmul";
import { shaderCode } from "./program";

/** By whether the GPU is emulated, whose kernels are others. */
const kernelsOf = new Map<boolean, string>();

export function tuningKey({ vendor, architecture, device, description }: GPUAdapterInfo, isSoftware: boolean): TuningKey {
  const adapter = [vendor, architecture, device, description].filter(Boolean).join(", ") || "unknown GPU";
  let kernels = kernelsOf.get(isSoftware);
  if (kernels === undefined) {
    kernels = hash(kernelTexts(isSoftware).join("\n"));
    kernelsOf.set(isSoftware, kernels);
  }
  return { adapter, kernels };
}

/** All that decides how fast a cut is and what it means. */
function kernelTexts(isSoftware: boolean): string[] {
  const { forward, forwardSlices, input, inputSlices } = f32Programs;
  const tiles = usualTiles(isSoftware, forward, forwardSlices, input, inputSlices, matmulBackwardWeight, weightSlices);
  return [JSON.stringify(cutRule), ...[...tiles, matmulCombine].flatMap((program) => [program.name, shaderCode(program)])];
}

/** FNV-1a of 32 bits: to tell versions apart, not to keep secrets. */
function hash(text: string): string {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return (state >>> 0).toString(16).padStart(8, "0");
}
