/** The measurements that every platform takes: Node and browsers, wasm and WebGPU run this very code. */
import { type Device, Tokenizer } from "@trimtab/core";
import { cases, measure, type Values } from "@trimtab/kernels/conformance";
import { makeGeneration } from "./generation";
import { layouts, makeProduct } from "./products";
import { type LlamaShape, llamaConfig, llamaShapes, microShape } from "./shapes";
import { race } from "./timing";
import { makeTrainingStep } from "./training-step";

export type Unit = "GFLOP/s" | "GB/s" | "tokens/s" | "MB/s";

export interface Reading {
  /** The same on every platform: rows of a table meet by it. */
  readonly name: string;
  readonly unit: Unit;
  /** The best of the rounds; null where it was not measured. */
  readonly value: number | null;
  /** Why there is no value; empty otherwise. */
  readonly note: string;
}

export interface ReadingOptions {
  readonly device: Device;
  /** English text for the tokenizer. */
  readonly text: string;
  /** Smaller sizes and fewer rounds, for a first look. */
  readonly quick: boolean;
}

/** One run may be predicted to take this long; a larger model than that is left out, e.g. on a GPU that is emulated. */
const LONGEST_RUN_MS = 2500;

/** Tokens that the tokenizer's vocabulary grows to. */
const VOCABULARY = 4096;

interface OpSize {
  readonly entry: string;
  readonly unit: "GFLOP/s" | "GB/s";
  readonly values: Values;
}

/** 512 tokens of the `tiny` Llama shape: 128 channels, 4 heads of 32 over 2 keys, and a vocabulary of 4,096. */
const OPS: readonly OpSize[] = [
  { entry: "attention_forward", unit: "GFLOP/s", values: { N: 512, S: 4, H: 4, K: 2, D: 32, scale: 32 ** -0.5, cap: 0, window: 0 } },
  { entry: "attention_backward", unit: "GFLOP/s", values: { N: 512, S: 4, H: 4, K: 2, D: 32, scale: 32 ** -0.5, cap: 0, window: 0 } },
  { entry: "token_logprob_forward", unit: "GFLOP/s", values: { N: 512, C: 128, V: 4096, inverse_temperature: 1, cap: 0 } },
  { entry: "token_logprob_backward", unit: "GFLOP/s", values: { N: 512, C: 128, V: 4096, inverse_temperature: 1, cap: 0, first: 0 } },
  { entry: "rms_norm_forward", unit: "GB/s", values: { N: 2048, C: 256, eps: 1e-5 } },
  {
    entry: "adamw_step",
    unit: "GB/s",
    values: { N: 1_000_000, Q: 2, lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, correction1: 0.1, correction2: 0.05 },
  },
];

/** How many readings {@link takeReadings} yields. */
export const readingCount = (quick: boolean): number => layouts.length + OPS.length + 2 * shapes(quick).length + 3;

const shapes = (quick: boolean): readonly LlamaShape[] => (quick ? [microShape] : [microShape, ...llamaShapes]);

/** Takes every reading in order, each as soon as it is there. */
export async function* takeReadings({ device, text, quick }: ReadingOptions): AsyncGenerator<Reading> {
  const rounds = quick ? { minRounds: 1, maxRounds: 5, budgetMs: 200 } : { minRounds: 2, maxRounds: 20, budgetMs: 1000 };
  const best = async (run: () => Promise<unknown>) => (await race([{ name: "", run }], rounds))[0]?.bestMs as number;
  yield* products(device, quick ? 256 : 512, best);
  yield* singleOps(device, quick);
  yield* climb("training step", shapes(quick), best, (shape) => {
    const { run, tokens, parameters, dispose } = makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T);
    return { run, tokens, work: tokens * parameters, dispose };
  });
  yield* climb("generation, batch 32", shapes(quick), best, (shape) => {
    const { run, tokens, parameters, dispose } = makeGeneration(device, shape, { batch: 32, prompt: 16, newTokens: 48 });
    return { run, tokens, work: tokens * parameters, dispose };
  });
  yield* tokenizer(quick ? text.slice(0, 200_000) : text, best);
}

type Best = (run: () => Promise<unknown>) => Promise<number>;

async function* products(device: Device, n: number, best: Best): AsyncGenerator<Reading> {
  for (const layout of layouts) {
    const { contestant, dispose } = makeProduct(layout, device, layout, n);
    const ms = await best(contestant.run);
    dispose();
    yield { name: `matrix product ${layout} ${n}`, unit: "GFLOP/s", value: (2 * n ** 3) / ms / 1e6, note: "" };
  }
}

async function* singleOps(device: Device, quick: boolean): AsyncGenerator<Reading> {
  for (const { entry, unit, values } of OPS) {
    const item = cases.find((c) => c.entry.name === entry);
    if (!item) throw new Error(`benchmarks: the conformance suite must have a case for ${entry}, got none.`);
    const { medianMs, bestMs, gflops, gigabytesPerSecond } = await measure(device, item, values, {
      now: () => performance.now(),
      samples: quick ? 2 : 5,
    });
    const atMedian = unit === "GFLOP/s" ? gflops : gigabytesPerSecond;
    yield { name: entry, unit, value: (atMedian * medianMs) / bestMs, note: "" };
  }
}

interface Climb {
  readonly run: () => Promise<unknown>;
  readonly tokens: number;
  /** Proportional to the arithmetic of one run. */
  readonly work: number;
  readonly dispose: () => void;
}

/** The same for larger and larger models, as long as a run is not predicted to take too long. */
async function* climb(
  what: string,
  shapes: readonly LlamaShape[],
  best: Best,
  make: (shape: LlamaShape) => Climb,
): AsyncGenerator<Reading> {
  let last: { ms: number; work: number } | undefined;
  for (const shape of shapes) {
    const { run, tokens, work, dispose } = make(shape);
    const name = `${what}, ${shape.name}`;
    const predicted = last ? (last.ms * work) / last.work : 0;
    if (predicted > LONGEST_RUN_MS) {
      const seconds = Math.round(predicted / 1000);
      yield { name, unit: "tokens/s", value: null, note: `left out: one run was predicted to take ${seconds} s` };
    } else {
      const ms = await best(run);
      last = { ms, work };
      yield { name, unit: "tokens/s", value: (tokens * 1000) / ms, note: "" };
    }
    dispose();
  }
}

async function* tokenizer(text: string, best: Best): AsyncGenerator<Reading> {
  const megabytes = new TextEncoder().encode(text).length / 1e6;
  const rate = (ms: number) => (megabytes * 1000) / ms;
  const before = performance.now();
  const trained = Tokenizer.train([text], { vocabSize: VOCABULARY });
  yield { name: `tokenizer: train ${VOCABULARY} tokens`, unit: "MB/s", value: rate(performance.now() - before), note: "" };
  const ids = trained.encode(text);
  yield { name: "tokenizer: encode", unit: "MB/s", value: rate(await best(async () => trained.encode(text))), note: "" };
  yield { name: "tokenizer: decode", unit: "MB/s", value: rate(await best(async () => trained.decode(ids))), note: "" };
}
