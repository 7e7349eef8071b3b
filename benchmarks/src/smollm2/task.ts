/** One measurement in a process of its own: loads a checkpoint, trains it for a few steps, and sends what that took to the parent. */
import { setFlagsFromString } from "node:v8";
import type { BaseDtype } from "@trimtab/core";
import { createDevice, loadModel, newLora, sft } from "@trimtab/node";

export interface TaskOptions {
  readonly path: string;
  readonly train: "nothing" | "full" | "lora";
  readonly dtype: BaseDtype;
  readonly gradientCheckpointing: boolean;
  readonly threads: number;
  readonly relaxed: boolean;
}

export interface TaskResult {
  readonly loadSeconds: number;
  /** Of the fastest step; null where nothing is trained. */
  readonly tokensPerSecond: number | null;
  /** Of the device. */
  readonly peakBytes: number;
  /** The most that was resident. */
  readonly residentBytes: number;
}

const SEQUENCES = 4;
const TOKENS = 256;
const STEPS = 3;

const options = JSON.parse(process.argv[2] as string) as TaskOptions;
if (options.relaxed && Number(process.versions.node.split(".")[0]) < 22) setFlagsFromString("--experimental-wasm-relaxed-simd");
const device = await createDevice("wasm", { threads: options.threads, relaxed: options.relaxed });
const started = performance.now();
const model = await loadModel(options.path, { device, dtype: options.dtype });
const loadSeconds = (performance.now() - started) / 1000;
const tokensPerSecond = options.train === "nothing" ? null : await train();
const result: TaskResult = {
  loadSeconds,
  tokensPerSecond,
  peakBytes: device.counters.peakBytes,
  residentBytes: process.resourceUsage().maxRSS * 1024,
};
process.send?.(result);
await device.destroy();
process.disconnect();

async function train(): Promise<number> {
  const { decoder } = model;
  const trained =
    options.train === "full" ? decoder : decoder.withAdapter(newLora(decoder, { r: 16, loraAlpha: 32, targetModules: "all-linear" }));
  // Every row is cut to the same length.
  const text = "a few words of English ".repeat(TOKENS);
  let [best, before] = [Number.POSITIVE_INFINITY, performance.now()];
  for await (const step of sft({
    model: { ...model, decoder: trained },
    dataset: Array.from({ length: SEQUENCES }, () => ({ text })),
    perDeviceTrainBatchSize: SEQUENCES,
    maxLength: TOKENS,
    maxSteps: STEPS,
    gradientCheckpointing: options.gradientCheckpointing,
    learningRate: 1e-4,
    seed: 1,
  })) {
    const tokens = step.step * SEQUENCES * TOKENS;
    if (step.metrics.num_tokens !== tokens) throw new Error(`bench: ${tokens} tokens must be trained on, got ${step.metrics.num_tokens}.`);
    best = Math.min(best, performance.now() - before);
    before = performance.now();
  }
  return (SEQUENCES * TOKENS * 1000) / best;
}
