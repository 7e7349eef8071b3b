/** `trimtab tune`: fits kernels to this machine's GPU, once, by measurement. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { TimedCut, TimedForm, TunedClass, TunedKernels, TunedProducts } from "@trimtab/kernels/webgpu";
import type { z } from "zod";
import { tuneGpu } from "../../tune-gpu";
import { tuningDirectory } from "../../tuning-directory";
import type { tuneSchema } from "../schemas/tune";

export async function runTune({ allowSoftware, remove, json }: z.output<typeof tuneSchema>): Promise<number> {
  if (remove) {
    await rm(join(tuningDirectory(), "tuning.json"), { force: true });
    console.log("What was measured is forgotten: kernels run by the rule.");
    return 0;
  }
  const tuning = await tuneGpu({ allowSoftware, ...(json ? {} : { onClass: (tuned) => console.log(formatTuned(tuned)) }) });
  if (json) {
    console.log(JSON.stringify(tuning, null, 2));
    return 0;
  }
  const path = join(tuning.directory, "tuning.json");
  console.log(`\n${tuning.device}, by the clock of the ${tuning.clock === "gpu" ? "GPU" : "host"}.`);
  console.log(`Kept in ${path}: devices made of this GPU use it from now on, and the last bits of their results change with it.`);
  return 0;
}

/** A class and what was chosen, then each product or call of it: by the rule, and as chosen. */
export const formatTuned = (tuned: TunedClass): string => ("cuts" in tuned ? formatProducts(tuned) : formatKernels(tuned));

function formatKernels({ name, choice, gain, forms }: TunedKernels): string {
  const lines = [`${name.padEnd(20)}${choice ? `${gain.toFixed(2)}x: with subgroups` : "the rule"}`];
  for (const rule of forms.filter(({ isRule }) => isRule)) {
    const other = forms.find(({ call, isRule }) => !isRule && call === rule.call) as TimedForm;
    lines.push(`  ${rule.call.padEnd(44)}${rule.ms.toFixed(3)} ms, with subgroups ${other.ms.toFixed(3)} ms`);
    if (other.problem !== undefined) lines.push(`  left out: ${other.problem}`);
  }
  return lines.join("\n");
}

function formatProducts({ name, choice, gain, cuts }: TunedProducts): string {
  const tile = choice?.tile ? `${choice.tile} tiles` : "tiles by the rule";
  const slices = choice?.groups === 0 ? "never sliced" : `sliced up to ${choice?.groups} workgroups`;
  const lines = [`${name.padEnd(20)}${choice ? `${gain.toFixed(2)}x: ${tile}, ${slices}` : "the rule"}`];
  for (const rule of cuts.filter(({ isRule }) => isRule)) {
    const { rows, columns, depth } = rule.shape;
    const chosen = cuts.find(({ shape, isChosen }) => isChosen && shape === rule.shape) as TimedCut;
    const product = `(${rows}, ${depth}) · (${depth}, ${columns})`;
    lines.push(`  ${product.padEnd(32)}${formatCut(rule)}${chosen === rule ? "" : `  ->  ${formatCut(chosen)}`}`);
  }
  for (const cut of cuts)
    if (cut.problem !== undefined) lines.push(`  left out: ${cut.tile} tiles in ${cut.slices} slices: ${cut.problem}`);
  return lines.join("\n");
}

function formatCut({ tile, slices, ms, gflops }: TimedCut): string {
  return `${ms.toFixed(3)} ms, ${gflops.toFixed(0)} GFLOP/s (${tile}, ${slices === 1 ? "whole" : `${slices} slices`})`;
}
