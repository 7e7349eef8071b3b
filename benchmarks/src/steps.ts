/** Training steps: the four GPT shapes beside the peers, and the Llama shapes with counts per step. */
import { fileURLToPath } from "node:url";
import { type Device, type DeviceInfo, profiled } from "@trimtab/core";
import { type ChildContestant, startChild } from "./child";
import { boundMs, type Ceilings } from "./measure/ceilings";
import type { Section, SectionTiming, Share, Target } from "./measure/section";
import {
  type GptShape,
  gptConfig,
  gptShapes,
  type LlamaShape,
  llamaConfig,
  llamaShapesFor,
  nameOf,
  type ShapeChoice,
} from "./measure/shapes";
import { type Contestant, geometricMean, PASSES, race, raceInPasses, type Timing } from "./measure/timing";
import { makeTrainingStep, tokenAt } from "./measure/training-step";
import { importPeer, offerGpuToPeers, peersInstalled } from "./peers";

/** Times of PyTorch over ours that are asked for, on the CPU by shape. */
const TORCH_TARGETS: Readonly<Record<string, number>> = { tiny: 0.7, small: 0.55 };
const TORCH_TARGET_GPU = 0.5;

interface PeerModule {
  makeStep(shape: GptShape, backend: "wasm" | "webgpu"): Promise<(inputs: Uint32Array, targets: Uint32Array) => Promise<number>>;
}

/** Forward, loss, backward and AdamW (tfjs: Adam) of a GPT, best milliseconds, and how many times faster than each peer. */
export async function benchmarkGptSteps(device: Device, options: { peers: boolean; quick: boolean }): Promise<Section> {
  const peers = options.peers && peersInstalled() ? ["jax-js", "tfjs"] : [];
  const rows: (string | number | null)[][] = [];
  const ratios: Record<string, number[]> = { "jax-js": [], tfjs: [] };
  const groups: SectionTiming[] = [];
  const failures: string[] = [];
  const backend = device.info.kind === "webgpu" ? "webgpu" : "wasm";
  if (backend === "webgpu" && peers.length > 0) await offerGpuToPeers();
  const made = [];
  for (const shape of device.info.software ? gptShapes.slice(0, 1) : options.quick ? gptShapes.slice(0, 2) : gptShapes) {
    const step = makeTrainingStep(device, gptConfig(shape), shape.B, shape.T);
    const contestants: Contestant[] = [{ name: "trimtab", run: step.run }];
    const inputs = Uint32Array.from({ length: shape.B * shape.T }, (_, i) => tokenAt(i, shape.V));
    const targets = inputs.map((_, i) => tokenAt(i + 1, shape.V));
    for (const name of peers) {
      // tfjs needs minutes for the last shape: it is measured on the others
      if (name === "tfjs" && shape.L === 8) continue;
      try {
        const peer = await (await importPeer<PeerModule>(name === "tfjs" ? "gpt-tfjs.mjs" : "gpt-jax.mjs")).makeStep(shape, backend);
        await peer(inputs, targets);
        contestants.push({ name, run: () => peer(inputs, targets) });
      } catch (problem) {
        failures.push(`${name} on ${nameOf(shape)}: ${String(problem).split("\n")[0]}`);
      }
    }
    made.push({ shape, step, contestants });
  }
  const raced = await raceInPasses(
    made.map(({ contestants }) => contestants),
    options.quick ? 1 : PASSES,
    { minRounds: 1, maxRounds: 20, budgetMs: 7000, warmUpMs: 300 },
  );
  for (const [m, { shape, step }] of made.entries()) {
    const timings = raced[m] as Timing[];
    groups.push({ of: nameOf(shape), timings });
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
    notes: [...means, ...failures],
    timings: groups,
    targets: backend === "wasm" ? peerTargets(ratios) : [],
  };
}

function peerTargets({ "jax-js": jax = [], tfjs = [] }: Readonly<Record<string, readonly number[]>>): Target[] {
  const against = (what: string, ratios: readonly number[], target: number, of: (ratios: readonly number[]) => number): Target => {
    return { what: `GPT training step ${what}`, target, measured: ratios.length > 0 ? of(ratios) : null, unit: "x" };
  };
  return [
    against("against jax-js: geometric mean", jax, 5, geometricMean),
    against("against jax-js: least", jax, 4, (ratios) => Math.min(...ratios)),
    against("against tfjs: least", tfjs, 20, (ratios) => Math.min(...ratios)),
  ];
}

/** PyTorch (eager, f32) on the same shape and as many threads, or on CUDA beside a GPU of ours, where python3 has it; else why not. */
export function startTorch(
  work: "train" | "generate",
  { kind, threads }: DeviceInfo,
  { layers, C, heads, kvHeads, F, V }: LlamaShape,
  batch: number,
  length: number,
): Promise<ChildContestant | string> {
  const script = fileURLToPath(new URL("../peers/torch_steps.py", import.meta.url));
  const on = kind === "webgpu" ? "cuda" : "cpu";
  return startChild("PyTorch", "python3", [script, work, on, ...[threads, layers, C, heads, kvHeads, F, V, batch, length].map(String)]);
}

/** The Llama shapes: tokens per second and what one step costs in dispatches, submits, pipelines and bytes. */
export async function benchmarkLlamaSteps(
  device: Device,
  ceilings: Ceilings | undefined,
  options: ShapeChoice & { readonly peers: boolean },
): Promise<Section> {
  const rows: (string | number | null)[][] = [];
  const shares: Share[] = [];
  const groups: SectionTiming[] = [];
  const targets: Target[] = [];
  const notes: string[] = [];
  for (const shape of llamaShapesFor(device, options)) {
    const step = makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T);
    await step.run();
    const before = { ...device.counters };
    await step.run();
    const after = { ...device.counters };
    const delta = (key: keyof typeof before) => after[key] - before[key];
    const torch = options.peers && !device.info.software ? await startTorch("train", device.info, shape, shape.B, shape.T) : "";
    const contestants = [{ name: "trimtab", run: step.run }, ...(typeof torch === "string" ? [] : [torch])];
    const timings = await race(contestants, { minRounds: 3, maxRounds: 20, budgetMs: 6000, warmUpMs: 1000 });
    step.dispose();
    if (typeof torch !== "string") torch.close();
    else if (torch !== "") notes.push(`PyTorch, ${shape.name}: ${torch}`);
    groups.push({ of: shape.name, timings });
    const ms = timings[0]?.bestMs as number;
    const theirs = timings[1]?.bestMs ?? null;
    const goal = device.info.kind === "webgpu" ? TORCH_TARGET_GPU : TORCH_TARGETS[shape.name];
    if (goal !== undefined && !device.info.software)
      targets.push({ what: `training step, ${shape.name}, against PyTorch`, target: goal, measured: theirs && theirs / ms, unit: "x" });
    const share = ceilings ? (await boundOfStep(device, shape, ceilings)) / ms : Number.NaN;
    shares.push({ name: `training step, ${shape.name}`, share });
    rows.push([
      shape.name,
      step.parameters / 1e6,
      ms,
      ceilings ? 100 * share : null,
      (step.tokens / ms) * 1000,
      (6 * step.parameters * step.tokens) / ms / 1e6,
      theirs && (step.tokens / theirs) * 1000,
      theirs && theirs / ms,
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
      "PyTorch tokens/s",
      "ratio",
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
    targets,
    timings: groups,
    notes: [
      ...notes,
      ...(device.info.kind === "wasm"
        ? ["PyTorch 2.14 (AVX-512, two threads) on the reference machine: tiny 12,451 and small 2,185 tokens/s"]
        : []),
    ],
  };
}

/** The sum over one step's ops of what each takes at the machine's ceilings. */
async function boundOfStep(device: Device, shape: LlamaShape, ceilings: Ceilings): Promise<number> {
  const counted = profiled(device, { now: () => performance.now(), bound: (cost) => boundMs(ceilings, cost) });
  const step = makeTrainingStep(counted, llamaConfig(shape), shape.B, shape.T);
  counted.profiler.reset();
  await step.run();
  await counted.sync();
  step.dispose();
  const ops = counted.profiler.take().phases.flatMap((phase) => phase.ops);
  return ops.reduce((sum, op) => sum + op.boundMs, 0);
}
