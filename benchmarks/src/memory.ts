/** The most memory that steps take, by what it is for: counted on a device that allocates like the real one and computes nothing. */
import { Decoder, type Device, generate } from "@trimtab/core";
import { type DeviceInfo, MEMORY_KINDS } from "@trimtab/kernels";
import { createDryDevice } from "@trimtab/kernels/dry";
import type { Section } from "./measure/section";
import { type LlamaShape, llamaConfig, llamaShapes, microShape } from "./measure/shapes";
import { makeTrainingStep } from "./measure/training-step";

export async function benchmarkMemory(info: DeviceInfo): Promise<Section> {
  const rows: (string | number)[][] = [];
  const work: readonly (readonly [what: string, run: (device: Device, shape: LlamaShape) => Promise<unknown>])[] = [
    ["training step", (device, shape) => makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T).run()],
    [
      "generation, batch 32",
      (device, shape) => {
        const decoder = new Decoder(device, llamaConfig(shape));
        const prompts = Array.from({ length: 32 }, () => new Uint32Array(16));
        return generate({ model: { decoder }, prompts, maxNewTokens: 112, temperature: 1, eosTokenIds: [], seed: 1 });
      },
    ],
  ];
  for (const shape of [microShape, ...llamaShapes]) {
    for (const [what, run] of work) {
      const device = await createDryDevice(info);
      await run(device, shape);
      const { atPeak, peakBytes } = device.memory();
      await device.destroy();
      rows.push([`${what}, ${shape.name}`, peakBytes / 2 ** 20, ...MEMORY_KINDS.map((kind) => atPeak[kind] / 2 ** 20)]);
    }
  }
  return {
    title: `Peak memory by kind, MiB, on ${info.name}`,
    columns: ["", "needed at once", ...MEMORY_KINDS],
    rows,
    notes: ["needed at once: with what rounding and fragments cost; scratch is what single ops need while they run"],
  };
}
