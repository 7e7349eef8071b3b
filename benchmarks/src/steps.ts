/** Training steps: the four GPT shapes beside the peers, and the Llama shapes with counts per step. */
import { type Device, profiled } from "@trimtab/core";
import { boundMs, type Ceilings } from "./measure/ceilings";
import type { Section, Share } from "./measure/section";
import { type GptShape, gptConfig, gptShapes, llamaConfig, llamaShapes, nameOf } from "./measure/shapes";
import { type Contestant, geometricMean, race } from "./measure/timing";
import { makeTrainingStep } from "./measure/training-step";
import { importPeer, peersInstalled } from "./peers";

interface PeerModule {
  makeStep(shape: GptShape): Promise<(inputs: Uint32Array, targets: Uint32Array) => Promise<number>>;
}

/** Forward, loss, backward and AdamW (tfjs: Adam) of a GPT, best milliseconds, and how many times faster than each peer. */
export async function benchmarkGptSteps(device: Device, options: { peers: boolean; quick: boolean }): Promise<Section> {
  const peers = options.peers && peersInstalled() ? ["jax-js", "tfjs"] : [];
  const rows: (string | number | null)[][] = [];
  const ratios: Record<string, number[]> = { "jax-js": [], tfjs: [] };
  for (const shape of options.quick ? gptShapes.slice(0, 2) : gptShapes) {
    const ids = (i: number) => (i * 7919) % shape.V;
    const step = makeTrainingStep(device, gptConfig(shape), shape.B, shape.T, ids);
    const contestants: Contestant[] = [{ name: "trimtab", run: step.run }];
    const inputs = Uint32Array.from({ length: shape.B * shape.T }, (_, i) => ids(i));
    const targets = inputs.map((_, i) => ids(i + 1));
    for (const name of peers) {
      // tfjs needs minutes for the last shape: it is measured on the others
      if (name === "tfjs" && shape.L === 8) continue;
      const peer = await (await importPeer<PeerModule>(name === "tfjs" ? "gpt-tfjs.mjs" : "gpt-jax.mjs")).makeStep(shape);
      contestants.push({ name, run: () => peer(inputs, targets) });
    }
    const timings = await race(contestants, { minRounds: 3, maxRounds: 20, budgetMs: 4000 });
    step.dispose();
    const best = (name: string) => timings.find((t) => t.name === name)?.bestMs;
    const own = best("trimtab") as number;
    rows.push([
      nameOf(shape),
      own,
      (6 * step.parameters * step.tokens) / own / 1e6,
      (step.tokens / own) * 1000,
      ...peers.flatMap((name) => {
        const theirs = best(name);
        if (theirs === undefined) return [null, null];
        ratios[name]?.push(theirs / own);
        return [theirs, theirs / own];
      }),
    ]);
  }
  const means = peers.map((name) => `geometric mean against ${name}: ${geometricMean(ratios[name] as number[]).toFixed(2)}x`);
  return {
    title: `GPT training step with AdamW on ${device.info.name}, best ms`,
    columns: ["shape", "trimtab ms", "GFLOP/s (6 N t)", "tokens/s", ...peers.flatMap((name) => [`${name} ms`, "ratio"])],
    rows,
    notes: means,
  };
}

/** The Llama shapes: tokens per second and what one step costs in dispatches, submits, pipelines and bytes. */
export async function benchmarkLlamaSteps(device: Device, ceilings: Ceilings | undefined, options: { quick: boolean }): Promise<Section> {
  const rows: (string | number | null)[][] = [];
  const shares: Share[] = [];
  for (const shape of options.quick ? llamaShapes.slice(0, 1) : llamaShapes) {
    const step = makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T, (i) => (i * 7919) % shape.V);
    await step.run();
    const before = { ...device.counters };
    await step.run();
    const after = { ...device.counters };
    const delta = (key: keyof typeof before) => after[key] - before[key];
    const [timing] = await race([{ name: "step", run: step.run }], { minRounds: 3, maxRounds: 20, budgetMs: 4000 });
    step.dispose();
    const ms = timing?.bestMs as number;
    const share = ceilings ? (await boundOfStep(device, shape, ceilings)) / ms : Number.NaN;
    shares.push({ name: `training step, ${shape.name}`, share });
    rows.push([
      shape.name,
      step.parameters / 1e6,
      ms,
      ceilings ? 100 * share : null,
      (step.tokens / ms) * 1000,
      (6 * step.parameters * step.tokens) / ms / 1e6,
      delta("dispatches"),
      delta("submits"),
      after.pipelines,
      delta("readbacks"),
      delta("readbackBytes"),
      delta("uploadBytes"),
      after.peakBytes / 2 ** 20,
    ]);
  }
  return {
    title: `Llama training step on ${device.info.name}`,
    columns: [
      "shape",
      "M params",
      "ms",
      "% of ceiling",
      "tokens/s",
      "GFLOP/s",
      "dispatches",
      "submits",
      "pipelines",
      "readbacks",
      "read B",
      "upload B",
      "peak MiB",
    ],
    rows,
    shares,
    notes: ["PyTorch 2.14 (AVX-512, two threads) on the reference machine: tiny 12,451 and small 2,185 tokens/s"],
  };
}

/** The sum over one step's ops of what each takes at the machine's ceilings. */
async function boundOfStep(device: Device, shape: (typeof llamaShapes)[number], ceilings: Ceilings): Promise<number> {
  const counted = profiled(device, { now: () => performance.now(), bound: (cost) => boundMs(ceilings, cost) });
  const step = makeTrainingStep(counted, llamaConfig(shape), shape.B, shape.T, (i) => (i * 7919) % shape.V);
  counted.profiler.reset();
  await step.run();
  await counted.sync();
  step.dispose();
  const ops = counted.profiler.take().phases.flatMap((phase) => phase.ops);
  return ops.reduce((sum, op) => sum + op.boundMs, 0);
}
