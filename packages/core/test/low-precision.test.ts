/// <reference types="node" />
/** Models whose linear layers are frozen in low precision: what they compute, what they weigh, adapters on them (QLoRA), and what is refused. */
import { readFileSync } from "node:fs";
import { type Device, elementCount, WEIGHT_FORMATS, type WeightFormatName } from "@trimtab/kernels";
import { expectClose } from "@trimtab/kernels/conformance";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { parameterReader } from "../src/checkpoint/read-parameter";
import { modelBytes } from "../src/checkpoint/room";
import { SafetensorsFile } from "../src/checkpoint/safetensors";
import { type Batch, collate } from "../src/data/batch";
import { ConfigError } from "../src/errors";
import { type BaseDtype, linearFormat } from "../src/models/base-dtype";
import type { Decoder } from "../src/models/decoder";
import { loadLanguageModel, saveLanguageModel } from "../src/models/language-model";
import { batchLogprobs } from "../src/models/logprobs";
import { newLora } from "../src/models/lora";
import { mergeAdapter, mergedCopy } from "../src/models/merge-adapter";
import { newScalarModel } from "../src/models/scalar-model";
import { logits } from "../src/nn/head";
import { AdamW } from "../src/optim/adamw";
import type { Tensor } from "../src/tensor/tensor";
import { sft } from "../src/trainers/sft";
import { describeDevices, slack } from "./devices";
import { at, diskDirectory, MemoryDirectory, memorySource } from "./fixture-files";
import { llamaConfig, randomDecoder } from "./generate-model";
import { allOf, byteTokenizer } from "./trainer-model";

const low = ["float16", "bfloat16", "int8", "nf4", "int4"] as const satisfies readonly BaseDtype[];
const formatOf: Record<(typeof low)[number], WeightFormatName> = {
  float16: "f16",
  bfloat16: "bf16",
  int8: "int8",
  nf4: "nf4",
  int4: "int4",
};

const folder = (name: string) => at(`fixtures/models/${name}`);
const load = (device: Device, name: string, dtype: BaseDtype): Promise<Decoder> =>
  loadDecoder(device, diskDirectory(folder(name)), linearFormat({ dtype }));

/** The golden batch's rows without padding, and their logits. */
async function golden(name: string): Promise<{ batch: Batch; expected: Float32Array }> {
  const file = await SafetensorsFile.open(memorySource("io.safetensors", readFileSync(`${folder(name)}/io.safetensors`)));
  const integers = async (tensor: string) => Array.from(new BigInt64Array((await file.readBytes(tensor)).buffer), Number);
  const [rows, width, vocabSize] = file.tensors.get("logits")!.shape as [number, number, number];
  const ids = await integers("input_ids");
  const mask = await integers("attention_mask");
  const lengths = Array.from({ length: rows }, (_, r) => mask.slice(r * width, (r + 1) * width).reduce((a, b) => a + b, 0));
  const values = await file.readFloats("logits");
  const sequences = lengths.map((length, r) => ({
    tokens: Uint32Array.from(ids.slice(r * width, r * width + length)),
    mask: new Uint8Array(length).fill(1),
  }));
  const expected = lengths.flatMap((length, r) => [...values.subarray(r * width * vocabSize, (r * width + length) * vocabSize)]);
  return { batch: collate(sequences, vocabSize), expected: Float32Array.from(expected) };
}

async function logitsOf(decoder: Decoder, batch: Batch): Promise<Float32Array> {
  const tape = new Tape(decoder.device, { grad: false });
  const values = (await decoder.device.read(logits(tape, decoder.forward(tape, batch), decoder.head))) as Float32Array;
  tape.dispose();
  return values;
}

const rms = (values: ArrayLike<number>) => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0) / values.length);
const drift = (a: Float32Array, b: Float32Array) => rms(a.map((x, i) => x - b[i]!)) / rms(b);

const generationConfig = { eosTokenIds: undefined, json: {} };

/** The same values in f32, on the reference device, through what is saved. */
async function decodedCopy(decoder: Decoder): Promise<Decoder> {
  const directory = new MemoryDirectory();
  await saveLanguageModel({ decoder, tokenizer: byteTokenizer, generationConfig }, directory);
  return loadDecoder(createReferenceDevice(), directory);
}

/**
 * The root mean square error of a weight, relative to the weights'. Floats: uniform within half a step of 2^-11 (f16) or 2^-8 (bf16) at 1, less on
 * average over a binade. Else a step is the largest of 64 normals, 2.4 σ on average, over 127 or 7, and its error that over √12; nf4's levels
 * are denser where weights are.
 */
const WEIGHT_ERROR: Record<(typeof low)[number], number> = {
  float16: 2 ** -11 / Math.sqrt(6),
  bfloat16: 2 ** -8 / Math.sqrt(6),
  int8: 2.4 / 127 / Math.sqrt(12),
  nf4: 0.09,
  int4: 2.4 / 7 / Math.sqrt(12),
};

async function weightDrift(decoder: Decoder, original: Decoder): Promise<number> {
  const [read, readOriginal] = [parameterReader(decoder), parameterReader(original)];
  const names = decoder.parameters.packed.map(({ name }) => name);
  const all = async (from: (name: string) => Promise<Float32Array>) =>
    Float32Array.from((await Promise.all(names.map(from))).flatMap((values) => [...values]));
  return drift(await all(read), await all(readOriginal));
}

describeDevices("golden models", (device, name) => {
  const chosen = name === "webgpu" ? (["nf4"] as const) : low;
  it.each(chosen)("%s: weights are as exact as the format allows, and logits are those of the decoded weights", async (dtype) => {
    const { batch, expected } = await golden("llama-untied");
    const decoder = await load(device, "llama-untied", dtype);
    const error = await weightDrift(decoder, await load(createReferenceDevice(), "llama-untied", "float32"));
    expect(error / WEIGHT_ERROR[dtype]).toBeGreaterThan(0.7);
    expect(error / WEIGHT_ERROR[dtype]).toBeLessThan(1.3);
    const got = await logitsOf(decoder, batch);
    expectClose(got, await logitsOf(await decodedCopy(decoder), batch), { rtol: 2e-5 * slack(device), atol: 2e-5 * slack(device) });
    // Two layers of four products each, on weights so large that each doubles what the ones before it did.
    expect(drift(got, expected) / error).toBeGreaterThan(0.5);
    expect(drift(got, expected) / error).toBeLessThan(8);
    decoder.dispose();
  });
});

describe("loading", () => {
  it("a checkpoint in bfloat16 loses nothing in bfloat16: its golden logits", async () => {
    const { batch, expected } = await golden("qwen2");
    const decoder = await load(createReferenceDevice(), "qwen2", "bfloat16");
    expectClose(await logitsOf(decoder, batch), expected, { rtol: 5e-5, atol: 5e-5 });
  });

  it("GPT-2's transposed layers come out as the rows they are", async () => {
    const { batch, expected } = await golden("gpt2");
    const decoder = await load(createReferenceDevice(), "gpt2", "int8");
    expect(decoder.parameters.packed.map(({ name }) => name).slice(0, 4)).toEqual(
      ["attention.qkv", "attention.out", "mlp.up", "mlp.down"].map((name) => `layers.0.${name}`),
    );
    expect(drift(await logitsOf(decoder, batch), expected)).toBeLessThan(4e-2);
  });

  it.each(low)("%s takes the memory that it is said to take, on the device", async (dtype) => {
    const device = createReferenceDevice();
    const whole = await load(device, "qwen2", "float32");
    const before = device.counters.liveBytes;
    const decoder = await load(device, "qwen2", dtype);
    const bytes = device.counters.liveBytes - before;
    const { weights, tables } = modelBytes(decoder.config, formatOf[dtype]);
    expect(bytes).toBe(weights + tables);
    // Linear layers only: 32 bits become 16, 8.5 or 4.5, but for the windows' alignment and rows that are no multiple of 64.
    const linear = whole.parameters.all.filter(({ name }) => /\.(qkv|out|up|down)$/.test(name));
    const saved = before - bytes;
    const { bits, blockLength } = WEIGHT_FORMATS[formatOf[dtype]];
    const share = 1 - (bits + (blockLength ? 32 / blockLength : 0)) / 32;
    const expected = share * 4 * linear.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    expect(Math.abs(saved / expected - 1)).toBeLessThan(0.1);
  });

  it("refuses an unknown dtype", async () => {
    await expect(tinyBase(createReferenceDevice(), "fp4" as BaseDtype)).rejects.toThrow(
      'loadModel: `dtype` must be one of float32, float16, bfloat16, int8, nf4, int4, got "fp4".',
    );
  });
});

/** A tiny model through a file, with layers of more than one block. */
async function tinyBase(device: Device, dtype: BaseDtype) {
  const directory = new MemoryDirectory();
  const tokenizer = byteTokenizer;
  const decoder = randomDecoder(createReferenceDevice(), {
    ...llamaConfig,
    vocabSize: tokenizer.vocabSize,
    intermediateSize: 72,
    layers: 1,
    headNorm: "none",
    tied: true,
    bosTokenId: undefined,
    eosTokenIds: [tokenizer.eosTokenId as number],
    initializerRange: 0.1,
  });
  await saveLanguageModel({ decoder, tokenizer, generationConfig }, directory);
  return loadLanguageModel(device, directory, { dtype });
}

const lora = { targetModules: "all-linear", r: 3, loraAlpha: 6 } as const;
const texts = ["abab", "abba", "aabb", "baba"].map((text) => ({ text }));

async function gradientsOf(decoder: Decoder, batch: Batch): Promise<Map<string, Float32Array>> {
  const { device, trainable } = decoder;
  trainable.zeroGrads();
  const tape = new Tape(device);
  const { logp } = batchLogprobs(tape, decoder, batch);
  tape.backward([[logp, tape.constant(Float32Array.from({ length: batch.targets.length }, (_, i) => -1 / (1 + i)))]]);
  const gradients = new Map<string, Float32Array>();
  for (const { name, grad } of trainable.all) gradients.set(name, (await device.read(grad as Tensor)) as Float32Array);
  tape.dispose();
  return gradients;
}

const kinds = [
  ["nf4", false],
  ["float16", false],
  ["int8", true],
] as const;

describeDevices("adapters on a frozen base", (device, name) => {
  const batch = collate([{ tokens: Uint32Array.of(98, 99, 100, 98, 101), mask: new Uint8Array(5).fill(1) }], 257);
  const chosen = name === "webgpu" ? kinds.slice(0, 1) : kinds;

  it.each(chosen)(
    "%s, DoRA %s: at the first step the policy is the base bit for bit; then its gradients are those over the decoded weights",
    async (dtype, useDora) => {
      const { decoder: base } = await tinyBase(device, dtype);
      const options = { ...lora, useDora };
      const policy = base.withAdapter(newLora(base, options));
      // DoRA divides by norms that it multiplied by: equal, but not to the last bit.
      if (!useDora) expect(await logitsOf(policy, batch)).toEqual(await logitsOf(base, batch));
      const decoded = await decodedCopy(base);
      const expected = decoded.withAdapter(newLora(decoded, options));
      // Away from B = 0, where A has no gradient: one step on either side.
      for (const decoder of [policy, expected]) {
        const optimizer = new AdamW(decoder.trainable);
        await gradientsOf(decoder, batch);
        await optimizer.step(1e-2);
      }
      const got = await gradientsOf(policy, batch);
      for (const [parameter, gradient] of await gradientsOf(expected, batch)) {
        const actual = got.get(parameter) as Float32Array;
        expect(rms(gradient)).toBeGreaterThan(0);
        expectClose(actual, gradient, { rtol: 2e-4 * slack(device), atol: 1e-5 * slack(device), scale: "array", label: parameter });
      }
      policy.dispose();
      base.dispose();
    },
  );
});

describe("QLoRA", () => {
  it("lowers the loss and leaves the base's bits alone", async () => {
    const device = createReferenceDevice();
    const base = await tinyBase(device, "nf4");
    const bits = () =>
      Promise.all([...base.decoder.parameters.shards, ...base.decoder.parameters.packedShards].map((shard) => device.read(shard)));
    const before = await bits();
    const model = { ...base, decoder: base.decoder.withAdapter(newLora(base.decoder, lora)) };
    const steps = await allOf(sft({ model, dataset: texts, learningRate: 5e-2, perDeviceTrainBatchSize: 2, maxSteps: 30 }));
    expect(steps.at(-1)?.metrics.loss).toBeLessThan(0.9 * (steps[0]?.metrics.loss as number));
    expect(await bits()).toEqual(before);

    // Merged, it is a whole model in f32 that does the same.
    const batch = collate([{ tokens: Uint32Array.of(98, 99, 100, 98), mask: new Uint8Array(4).fill(1) }], 257);
    const merged = mergedCopy(model.decoder);
    expect(merged.parameters.packed).toEqual([]);
    expectClose(await logitsOf(merged, batch), await logitsOf(model.decoder, batch), { rtol: 1e-6, atol: 1e-6 });
    expect(() => mergeAdapter(model.decoder)).toThrow(ConfigError);
    expect(() => mergeAdapter(model.decoder)).toThrow(/mergeAdapter: the base must be in float32 to hold the update, got nf4/);
  });

  it("full fine-tuning is refused before anything is done", async () => {
    const model = await tinyBase(createReferenceDevice(), "int8");
    const training = sft({ model, dataset: texts, learningRate: 1e-3, maxSteps: 1 });
    await expect(allOf(training)).rejects.toThrow(ConfigError);
    expect(() => model.decoder.parameters.grads()).toThrow(
      "training: the weights must be in float32 to be trained whole, got int8. Train an adapter (LoRA) on them, or load the model in float32.",
    );
  });

  it("a clone and a reward model on the same trunk keep the format and the bits", async () => {
    const device = createReferenceDevice();
    const base = await tinyBase(device, "int4");
    const { decoder: scored } = newScalarModel(base, 1);
    for (const copy of [base.decoder.clone(), scored]) {
      expect(copy.parameters.packed.map(({ format }) => format)).toEqual(base.decoder.parameters.packed.map(() => "int4"));
      for (const { name, packed } of copy.parameters.packed) {
        const original = base.decoder.parameters.weight(name);
        expect(await device.read(packed)).toEqual(await device.read("packed" in original ? original.packed : original.value));
      }
    }
    expect(scored.parameters.get("score").shape).toEqual([1, 16]);
  });
});
