/** Names under which measurements are kept: the adapter, and the kernels as they are compiled for it. */
import { ops } from "../ops/index";
import type { TuningKey } from "../tuning";
import { cutRule } from "./plans/cut";
import { plans } from "./plans/index";
import { f32Programs, matmulBackwardWeight, matmulCombine, usualTiles, weightSlices } from "./plans/matmul";
import { type Program, shaderCode } from "./program";

let kernels: string | undefined;

/** Emulated GPUs get other kernels, so that an adapter treated as one goes by another name. */
export function tuningKey({ vendor, architecture, device, description }: GPUAdapterInfo, isSoftware: boolean): TuningKey {
  const names = [vendor, architecture, device, description].filter(Boolean).join(", ") || "unknown GPU";
  kernels ??= hash(kernelTexts().join("\n"));
  return { adapter: isSoftware ? `${names}, emulated` : names, kernels };
}

/** All that decides how fast a cut is and what it means. */
function kernelTexts(): string[] {
  const { forward, forwardSlices, input, inputSlices } = f32Programs;
  const products = [forward, forwardSlices, input, inputSlices, matmulBackwardWeight, weightSlices];
  // One of each source with a form that has subgroups.
  const twoForms = [ops.rmsNorm.forward, ops.kvCache.attend, ops.attention.forward, ops.attention.backward]
    .flatMap(({ name }) => plans.get(name)?.programs({ isSoftware: false }, { D: 64 }) ?? [])
    .filter(({ withSubgroups }) => withSubgroups);
  const tiles = [false, true].flatMap((isSoftware) => usualTiles(isSoftware, ...products));
  const measured = [...tiles, matmulCombine, ...twoForms.flatMap((program) => [program, program.withSubgroups?.program as Program])];
  return [JSON.stringify(cutRule), ...measured.flatMap((program) => [program.name, shaderCode(program)])];
}

/** FNV-1a of 32 bits: to tell versions apart, not to keep secrets. */
function hash(text: string): string {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return (state >>> 0).toString(16).padStart(8, "0");
}
