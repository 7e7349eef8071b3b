/**
 * Every algorithm on tasks whose optimum is known exactly: a tiny model learns from nothing, and what it reaches is set beside the best there is.
 *
 *   node examples/known-optimum/dist/main.js [--algorithm grpo,dpo-sigmoid] [--output runs/known-optimum] [--seed 1] [--device wasm]
 */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createDevice, type DeviceChoice, environmentOf, renderReport } from "@trimtab/node";
import { chosen } from "./algorithms";
import { curveSvg, curveText, markdownTable, reachedText } from "./figures";
import { type Result, runAlgorithm } from "./run";

const { values: flags } = parseArgs({
  options: {
    algorithm: { type: "string", default: "all" },
    output: { type: "string", default: "runs/known-optimum" },
    seed: { type: "string", default: "1" },
    device: { type: "string", default: "wasm" },
  },
});
const seed = Number(flags.seed);
if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`--seed: it must be a whole number, got ${flags.seed}.`);
const taken = chosen(flags.algorithm.split(","));
mkdirSync(flags.output, { recursive: true });

// Matrices of 16 channels are too small to share among threads; the strict build gives the same bits on every machine.
const device = await createDevice(flags.device as DeviceChoice, { threads: 1, relaxed: false });
try {
  console.log(`Running on ${device.info.name}.\n`);
  const results: Result[] = [];
  for (const algorithm of taken) {
    const result = await runAlgorithm(algorithm, { device, seed });
    results.push(result);
    console.log(
      `${result.name.padEnd(30)} ${curveText(result).padEnd(21)} ${String(result.steps).padStart(4)} steps ${result.seconds.toFixed(1).padStart(5)} s  ${reachedText(result)}`,
    );
    await writeFile(join(flags.output, `${result.name}.svg`), curveSvg(result));
  }
  console.log(`\n${markdownTable(results)}`);
  await writeFile(join(flags.output, "results.json"), `${JSON.stringify({ seed, device: device.info.name, results }, null, 2)}\n`);
  await writeFile(
    join(flags.output, "report.html"),
    renderReport({
      title: "Known optimum",
      lead: `${results.length} runs of a model of one layer and 16 channels, each beside the best that its task allows. Seed ${seed}.`,
      figures: [
        { label: "At least 95 %", value: `${results.filter(({ percent }) => percent >= 95).length} of ${results.length}` },
        { label: "Training", value: `${results.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(0)} s`, note: "all runs" },
      ],
      charts: results.map(({ name, setting, measures, optimum, curve }) => ({
        title: name,
        description: setting,
        xLabel: "step",
        yLabel: measures,
        smooth: false,
        series: [
          { name: measures, points: curve },
          { name: "optimum", points: [[0, optimum] as const, [curve.at(-1)?.[0] ?? 0, optimum] as const] },
        ],
      })),
      tables: [
        {
          title: "Results",
          columns: ["Run", "Setting", "Measured", "Steps", "Seconds", "Reached"],
          rows: results.map((r) => [r.name, r.setting, r.measures, r.steps, r.seconds.toFixed(1), reachedText(r)]),
        },
        { title: "Environment", columns: ["What", "Which"], rows: environmentOf(device) },
      ],
    }),
  );
  console.log(`\nreport.html, results.json and a curve for each in ${flags.output}.`);
} finally {
  await device.destroy();
}
