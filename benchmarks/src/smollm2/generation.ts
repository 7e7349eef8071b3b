/** Generation from a checkpoint of SmolLM2-135M's shape, beside ONNX Runtime with the same weights: first the same tokens, then the speed. */
import { type Device, generate, type LanguageModel } from "@trimtab/core";
import { createDevice, loadModel } from "@trimtab/node";
import type { Cell, Section } from "../measure/section";
import { type Contestant, race } from "../measure/timing";
import { importPeer, peersInstalled } from "../peers";
import type { Checkpoint } from "./checkpoint";

const PROMPT = 16;
const NEW_TOKENS = 48;
/** Greedy tokens that both must choose alike. */
const CHECKED = 8;

interface PeerDecoder {
  /** Logits of the last position of each of `batch` prompts of equal length, (batch, V). */
  start(tokens: Uint32Array, batch: number): Promise<Float32Array>;
  next(tokens: Uint32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

interface PeerModule {
  openDecoder(directory: string, build: "web" | "node", threads: number): Promise<PeerDecoder>;
}

export interface GenerationOptions {
  readonly threads: number;
  readonly relaxed: boolean;
  readonly peers: boolean;
}

export async function benchmarkCheckpointGeneration(checkpoint: Checkpoint, options: GenerationOptions): Promise<Section> {
  const { threads, relaxed } = options;
  const devices: Device[] = [];
  const models = new Map<string, LanguageModel>();
  for (const build of relaxed ? ["strict", "relaxed"] : ["strict"]) {
    const device = await createDevice("wasm", { threads, relaxed: build === "relaxed" });
    devices.push(device);
    models.set(build, await loadModel(checkpoint.path, { device }));
  }
  const peers = new Map<string, PeerDecoder>();
  if (options.peers && peersInstalled()) {
    const { openDecoder } = await importPeer<PeerModule>("decoder-ort.mjs");
    peers.set("onnxruntime-web", await openDecoder(checkpoint.path, "web", threads));
    peers.set("onnxruntime-node", await openDecoder(checkpoint.path, "node", threads));
  }
  for (const [name, peer] of peers) {
    for (const [build, model] of models) await requireSameTokens(model, peer, `${name} and the ${build} build`);
  }

  const rows: Cell[][] = [];
  for (const batch of [1, 32]) {
    const contestants: Contestant[] = [
      ...[...models].map(([name, model]) => ({
        name,
        run: () => generate({ model, prompts: promptsOf(batch), maxNewTokens: NEW_TOKENS, temperature: 1, eosTokenIds: [], seed: 1 }),
      })),
      ...[...peers].map(([name, peer]) => ({ name, run: () => decodeWithPeer(peer, batch) })),
    ];
    const timings = await race(contestants, { minRounds: 3, maxRounds: 8, budgetMs: 20_000 });
    const rate = (name: string) => {
      const ms = timings.find((timing) => timing.name === name)?.bestMs;
      return ms === undefined ? null : (batch * NEW_TOKENS * 1000) / ms;
    };
    const [strict, fast, web, native] = ["strict", "relaxed", "onnxruntime-web", "onnxruntime-node"].map(rate);
    const over = (own: number | null | undefined) => (own && web ? own / web : null);
    rows.push([batch, strict ?? null, fast ?? null, web ?? null, over(strict), over(fast), native ?? null]);
  }
  for (const peer of peers.values()) await peer.close();
  for (const device of devices) await device.destroy();
  return {
    title: `Generation, ${checkpoint.layers} layers of SmolLM2-135M's shape, ${PROMPT} + ${NEW_TOKENS} tokens, ${threads} threads, tokens/s`,
    columns: ["batch", "strict", "relaxed", "onnxruntime-web", "strict / web", "relaxed / web", "onnxruntime-node"],
    rows,
    notes: [
      "onnxruntime runs the same weights in f32 as a graph of fused operators, and chooses no tokens; ours are sampled",
      ...(peers.size > 0 ? [`all of them chose the same ${CHECKED} greedy tokens first`] : []),
    ],
  };
}

const promptsOf = (batch: number): Uint32Array[] =>
  Array.from({ length: batch }, (_, row) => Uint32Array.from({ length: PROMPT }, (_, t) => (row * 3121 + t * 173 + 7) % 49152));

async function decodeWithPeer(peer: PeerDecoder, batch: number): Promise<void> {
  await peer.start(Uint32Array.from(promptsOf(batch).flatMap((prompt) => [...prompt])), batch);
  const tokens = Uint32Array.from({ length: batch }, (_, row) => row * 911);
  for (let step = 1; step < NEW_TOKENS; step++) await peer.next(tokens);
}

/** Throws where the two choose other tokens: then it would not be one model that is timed. */
async function requireSameTokens(model: LanguageModel, peer: PeerDecoder, between: string): Promise<void> {
  const prompts = promptsOf(2);
  const ours = await generate({ model, prompts, maxNewTokens: CHECKED, temperature: 0, eosTokenIds: [] });
  let logits = await peer.start(Uint32Array.from(prompts.flatMap((prompt) => [...prompt])), 2);
  for (let step = 0; step < CHECKED; step++) {
    const chosen = Uint32Array.from({ length: 2 }, (_, row) =>
      largest(logits.subarray((row * logits.length) / 2, ((row + 1) * logits.length) / 2)),
    );
    const expected = ours.map(({ tokens }) => tokens[step]);
    if (String([...chosen]) !== String(expected)) {
      throw new Error(`bench: ${between} must choose the same tokens, got ${[...chosen]} and ${expected} at position ${step}.`);
    }
    logits = await peer.next(chosen);
  }
}

const largest = (values: Float32Array): number => values.reduce((best, value, i) => (value > (values[best] as number) ? i : best), 0);
