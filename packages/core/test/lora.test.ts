/// <reference types="node" />
/** Adapters: PEFT's numbers, equality with the base at the start, merging, several at once, and what is refused. */
import { readdirSync, readFileSync } from "node:fs";
import { type Device, randomInt, TrimtabError, uniform } from "@trimtab/kernels";
import { expectClose } from "@trimtab/kernels/conformance";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { adapterFiles, loadAdapter } from "../src/checkpoint/adapter-files";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { SafetensorsFile } from "../src/checkpoint/safetensors";
import { type Batch, collate } from "../src/data/batch";
import { ConfigError } from "../src/errors";
import type { Decoder } from "../src/models/decoder";
import { batchLogprobs } from "../src/models/logprobs";
import { type Lora, newLora } from "../src/models/lora";
import type { LoraOptions } from "../src/models/lora-options";
import { mergeAdapter } from "../src/models/merge-adapter";
import type { Parameter } from "../src/nn/parameters";
import { AdamW } from "../src/optim/adamw";
import type { Tensor } from "../src/tensor/tensor";
import { describeDevices, slack } from "./devices";
import { at, bytesOf, diskDirectory, MemoryDirectory } from "./fixture-files";
import { parseSafetensors } from "./independent-safetensors";

const golden = diskDirectory(at("fixtures/models/lora"));
const json = (name: string, folder = "lora") => JSON.parse(readFileSync(at(`fixtures/models/${folder}/${name}`), "utf8"));
const open = async (name: string, folder = "lora") =>
  SafetensorsFile.open((await diskDirectory(at(`fixtures/models/${folder}`)).open(name))!);
const io = await open("io.safetensors");

async function goldenBatch(): Promise<Batch> {
  const bytes = await io.readBytes("input_ids");
  const mask = Array.from(new BigInt64Array((await io.readBytes("attention_mask")).buffer), Number);
  const ids = Array.from(new BigInt64Array(bytes.buffer), Number);
  const rows = [0, 1].map((r) => ids.slice(33 * r, 33 * r + mask.slice(33 * r, 33 * r + 33).reduce((a, b) => a + b, 0)));
  return collate(
    rows.map((row) => ({ tokens: Uint32Array.from(row), mask: new Uint8Array(row.length).fill(1) })),
    257,
  );
}

async function logpsOf(decoder: Decoder, batch: Batch): Promise<Float32Array> {
  const tape = new Tape(decoder.device, { grad: false });
  const logps = (await decoder.device.read(batchLogprobs(tape, decoder, batch).logp)) as Float32Array;
  tape.dispose();
  return logps;
}

/** Kinds of adapters: one module of a fused layer, all of them, whole layers, several ranks and scales. */
const kinds: LoraOptions[] = [
  { targetModules: ["v_proj", "down_proj"], r: 3, loraAlpha: 5 },
  { targetModules: "all-linear", r: 2, useRslora: true },
  { targetModules: ["q_proj", "v_proj", "o_proj", "up_proj"], r: 4, useDora: true },
  { targetModules: "model.layers.1.*(k|gate)_proj", r: 4, rankPattern: { k_proj: 2 }, alphaPattern: { gate_proj: 3 } },
  { targetModules: "all-linear", r: 3, useDora: true, rankPattern: { q_proj: 1, gate_proj: 2 }, alphaPattern: { v_proj: 20 } },
];

/** Values away from the start, in every entry that is the adapter's. */
async function shake(lora: Lora): Promise<void> {
  const { device } = lora;
  for (const group of lora.groups.values()) {
    const b = lora.b(group);
    const values = (await device.read(b.value)) as Float32Array;
    group.modules.forEach(({ part, rank }, t) => {
      const outputs = part.transposed ? part.shape[1]! : part.shape[0]!;
      for (let o = 0; o < outputs; o++) {
        for (let k = 0; k < rank; k++) {
          values[(group.firstRows[t]! + o) * group.rank + k] = 0.2 * (uniform(5, group.ordinal, 1000 * t + o * rank + k) - 0.5);
        }
      }
    });
    device.write(b.value, values);
  }
}

async function valuesOf(lora: Lora): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const { name, value } of lora.parameters.all) values.set(name, (await lora.device.read(value)) as Float32Array);
  return values;
}

async function written(lora: Lora): Promise<MemoryDirectory> {
  const files = adapterFiles(lora, async (name) => (await lora.device.read(lora.parameters.get(name).value)) as Float32Array);
  const directory = new MemoryDirectory();
  for (const [name, contents] of files) directory.files.set(name, await bytesOf(contents));
  return directory;
}

const weightsOf = ({ device, parameters }: Decoder) => Promise.all(parameters.shards.map((shard) => device.read(shard)));

/** Mean negative log-likelihood; its gradient is left in what is trained. */
async function lossAndGradients(decoder: Decoder, batch: Batch): Promise<number> {
  const tape = new Tape(decoder.device);
  const { logp } = batchLogprobs(tape, decoder, batch);
  const logps = (await decoder.device.read(logp)) as Float32Array;
  tape.backward([[logp, tape.constant(new Float32Array(logps.length).fill(-1 / logps.length))]]);
  tape.dispose();
  return -logps.reduce((sum, x) => sum + x, 0) / logps.length;
}

/** The adapter's numbers under PEFT's names against those of a fixture, by relative distance. */
async function compare(
  adapted: Decoder,
  expected: SafetensorsFile,
  of: (parameter: Parameter) => Tensor,
  tolerance: number,
): Promise<void> {
  const lora = adapted.adapter as Lora;
  const files = adapterFiles(lora, async (name) => (await lora.device.read(of(lora.parameters.get(name)))) as Float32Array);
  const { tensors } = parseSafetensors(await bytesOf(files.get("adapter_model.safetensors")!));
  expect([...tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
  for (const [name, { bytes }] of tensors) {
    const actual = new Float32Array(Uint8Array.from(bytes).buffer);
    const wanted = await expected.readFloats(name);
    const distance = Math.sqrt(wanted.reduce((sum, x, i) => sum + (actual[i]! - x) ** 2, 0) / wanted.reduce((sum, x) => sum + x * x, 0));
    expect(distance, name).toBeLessThan(tolerance);
  }
}

const base = (device: Device, name = "llama-untied") => loadDecoder(device, diskDirectory(at(`fixtures/models/${name}`)));

describeDevices("an adapter", (device) => {
  it.each<[string, LoraOptions]>([
    ["query and value", {}],
    ["every linear layer", { targetModules: "all-linear", r: 4 }],
    ["rsLoRA on value and output alone", { targetModules: ["v_proj", "o_proj"], useRslora: true, r: 3 }],
    ["DoRA", { targetModules: ["q_proj", "v_proj", "down_proj"], useDora: true, r: 4 }],
    [
      "ranks and alphas by pattern",
      { targetModules: "all-linear", rankPattern: { q_proj: 2, "1.mlp.up_proj": 5 }, alphaPattern: { v_proj: 3 } },
    ],
  ])("starts as the base: %s", async (_, options) => {
    const batch = await goldenBatch();
    for (const name of ["llama-untied", "qwen2", "gpt2"]) {
      const decoder = await base(device, name);
      const given =
        name === "gpt2" && Array.isArray(options.targetModules) ? { ...options, targetModules: ["c_attn", "mlp.c_proj"] } : options;
      const adapted = decoder.withAdapter(newLora(decoder, given));
      const [ours, theirs] = [await logpsOf(adapted, batch), await logpsOf(decoder, batch)];
      // DoRA adds bias and residual stream after its gains, the base in the product's own pass: another order of rounding.
      if (options.useDora) expectClose(ours, theirs, { rtol: 0, atol: 1e-5 });
      else expect(ours, name).toEqual(theirs);
      adapted.dispose();
      decoder.dispose();
    }
  });

  it.each(["lora", "rslora", "dora"])("%s gives PEFT's log-probabilities, loss, gradients, and parameters after AdamW", async (name) => {
    const batch = await goldenBatch();
    const decoder = await base(device);
    const before = await weightsOf(decoder);
    const adapted = decoder.withAdapter(await loadAdapter(decoder, diskDirectory(at(`fixtures/models/${name}`))));
    const mask = Array.from(new BigInt64Array((await io.readBytes("attention_mask")).buffer), Number);
    const counts = [0, 1].map((r) => mask.slice(33 * r, 33 * r + 33).reduce((a, b) => a + b, 0) - 1);
    const expected = await (await open("io.safetensors", name)).readFloats("logprobs");
    const logps = Float32Array.from(counts.flatMap((count, r) => [...expected.subarray(32 * r, 32 * r + count)]));
    expectClose(await logpsOf(adapted, batch), logps, { rtol: 0, atol: 5e-5 * slack(device) });

    const optimizer = new AdamW(adapted.trainable, {
      betas: [0.9, 0.95],
      eps: 1e-8,
      weightDecay: 0.1,
      decays: () => true,
      maxGradNorm: 1,
    });
    const { adamw, loss } = json("golden.json", name);
    for (let step = 0; step < 3; step++) {
      adapted.trainable.zeroGrads();
      const now = await lossAndGradients(adapted, batch);
      expect(Math.abs(now - adamw.losses_before_each_step_and_after[step])).toBeLessThan(1e-5 * slack(device));
      if (step === 0) {
        expect(Math.abs(now - loss)).toBeLessThan(2e-6 * slack(device));
        await compare(adapted, await open("grads.safetensors", name), (p) => p.grad as Tensor, 2e-5 * slack(device));
      }
      const { gradNorm } = await optimizer.step(1e-3);
      const norm = adamw.grad_norm_before_clip[step];
      expect(Math.abs(gradNorm - norm) / norm).toBeLessThan(2e-5 * slack(device));
    }
    await compare(adapted, await open("params_after.safetensors", name), (p) => p.value, 2e-5 * slack(device));
    expect(decoder.parameters.all.every(({ grad }) => grad === undefined)).toBe(true);
    expect(await weightsOf(decoder)).toEqual(before);
    optimizer.dispose();
    adapted.dispose();
    decoder.dispose();
  });

  it("merges into PEFT's weights, and the base's bits come back", async () => {
    const batch = await goldenBatch();
    const decoder = await base(device);
    const before = await weightsOf(decoder);
    const live = device.counters.liveBytes;
    const adapted = decoder.withAdapter(await loadAdapter(decoder, golden));
    const logps = await logpsOf(adapted, batch);
    const merged = mergeAdapter(adapted);
    expectClose(await logpsOf(merged.decoder, batch), logps, { rtol: 0, atol: 2e-5 * slack(device) });
    const file = await open("merged_sample.safetensors");
    const qkv = (await device.read(decoder.parameters.get("layers.0.attention.qkv").value)) as Float32Array;
    expectClose(qkv.subarray(0, 64 * 64), await file.readFloats("model.layers.0.self_attn.q_proj.weight"), { rtol: 0, atol: 1e-6 });
    expect(await weightsOf(decoder)).not.toEqual(before);
    merged.unmerge();
    expect(await weightsOf(decoder)).toEqual(before);
    adapted.dispose();
    expect(device.counters.liveBytes).toBe(live);
    decoder.dispose();
  });

  it("is written as PEFT's files, and read with the same bits: LoRA, rsLoRA, DoRA, patterns, a score head", async () => {
    const decoder = await base(device);
    for (const options of kinds) {
      const lora = newLora(decoder, { ...options, seed: 4 });
      await shake(lora);
      const directory = await written(lora);
      const again = await loadAdapter(decoder, directory);
      expect(await valuesOf(again)).toEqual(await valuesOf(lora));
      expect(again.settings.modules).toEqual(lora.settings.modules);
      const names = [...parseSafetensors(directory.files.get("adapter_model.safetensors") as Uint8Array).tensors.keys()];
      expect(names.every((name) => name.startsWith("base_model.model.model.layers."))).toBe(true);
      for (const each of [lora, again]) each.dispose();
    }
    const lora = await loadAdapter(decoder, golden);
    const copy = await written(lora);
    const theirs = parseSafetensors(readFileSync(at("fixtures/models/lora/adapter_model.safetensors")));
    const ours = parseSafetensors(copy.files.get("adapter_model.safetensors") as Uint8Array);
    expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
    for (const [name, tensor] of theirs.tensors) expect(ours.tensors.get(name)).toEqual(tensor);
    lora.dispose();
    decoder.dispose();
  });

  it("is several at once on one base", async () => {
    const batch = await goldenBatch();
    const decoder = await base(device);
    const reference = decoder.withAdapter(undefined);
    const plain = await logpsOf(decoder, batch);
    const [first, second] = [newLora(decoder, { targetModules: "all-linear" }), newLora(decoder, { useDora: true, seed: 9 })];
    await shake(first);
    const policies = [decoder.withAdapter(first), decoder.withAdapter(second)] as const;
    expect(await logpsOf(policies[0], batch)).not.toEqual(plain);
    expect(await logpsOf(policies[1], batch)).toEqual(plain);
    await shake(second);
    expect(await logpsOf(policies[1], batch)).not.toEqual(plain);
    expect(await logpsOf(reference, batch)).toEqual(plain);
    const copy = policies[0].clone();
    expect(await logpsOf(copy, batch)).toEqual(await logpsOf(policies[0], batch));
    for (const view of [copy, ...policies, reference]) view.dispose();
    expect(await logpsOf(decoder, batch)).toEqual(plain);
    decoder.dispose();
  });

  it("leaves out the same elements for the same draw, recomputed or not, and none without one", async () => {
    const batch = await goldenBatch();
    const decoder = await base(device);
    for (const useDora of [false, true]) {
      const lora = newLora(decoder, { targetModules: ["v_proj", "o_proj", "up_proj"], loraDropout: 0.4, useDora });
      await shake(lora);
      const adapted = decoder.withAdapter(lora);
      const gradientsOf = async (draw: readonly [number, number] | undefined, checkpoint: boolean) => {
        adapted.trainable.zeroGrads();
        const tape = new Tape(device, { checkpoint, draw });
        const { logp } = batchLogprobs(tape, adapted, batch);
        tape.backward([[logp, tape.constant(new Float32Array(batch.targets.length).fill(1))]]);
        tape.dispose();
        return Promise.all(adapted.trainable.grads().map((shard) => device.read(shard)));
      };
      const one = await gradientsOf([3, 0], false);
      expect(await gradientsOf([3, 0], true)).toEqual(one);
      expect(await gradientsOf([3, 1], false)).not.toEqual(one);
      const none = await gradientsOf(undefined, false);
      expect(none).not.toEqual(one);
      expect(await gradientsOf(undefined, true)).toEqual(none);
      adapted.dispose();
    }
    decoder.dispose();
  });
});

describe("formulas", () => {
  it.each(kinds)("the adapted model is the base with the weights that the paper gives: %o", async (options) => {
    const device = createReferenceDevice();
    const batch = await goldenBatch();
    const decoder = await base(device);
    const lora = newLora(decoder, { ...options, seed: 11 });
    await shake(lora);
    const adapted = decoder.withAdapter(lora);
    const expected = await logpsOf(adapted, batch);
    const { tensors } = parseSafetensors((await written(lora)).files.get("adapter_model.safetensors") as Uint8Array);
    const floats = (name: string) => new Float32Array(Uint8Array.from((tensors.get(name) as { bytes: Uint8Array }).bytes).buffer);
    // By hand: rows of our parameters from the tensors of PEFT's file.
    for (const { name, part, rank, alpha } of lora.settings.modules) {
      const [outputs, inputs] = part.shape as [number, number];
      const [a, b] = [floats(`base_model.model.${name}.lora_A.weight`), floats(`base_model.model.${name}.lora_B.weight`)];
      const s = options.useRslora ? alpha / Math.sqrt(rank) : alpha / rank;
      const { value } = decoder.parameters.get(part.parameter);
      const weights = Float64Array.from(await device.readF64(value));
      for (let o = 0; o < outputs; o++) {
        const at = (part.firstRow + o) * inputs;
        for (let i = 0; i < inputs; i++) for (let k = 0; k < rank; k++) weights[at + i]! += s * b[o * rank + k]! * a[k * inputs + i]!;
        if (!options.useDora) continue;
        const norm = Math.sqrt(weights.subarray(at, at + inputs).reduce((sum, x) => sum + x * x, 0));
        const m = floats(`base_model.model.${name}.lora_magnitude_vector`)[o]!;
        for (let i = 0; i < inputs; i++) weights[at + i]! *= m / norm;
      }
      device.writeF64(value, weights);
    }
    expectClose(await logpsOf(decoder, batch), expected, { rtol: 0, atol: 1e-5 });
    await device.destroy();
  });

  it("every gradient is that of central differences, of DoRA with its norms held", async () => {
    const device = createReferenceDevice();
    const batch = await goldenBatch();
    const decoder = await base(device);
    for (const options of kinds.filter(({ useDora }) => !useDora)) {
      const lora = newLora(decoder, options);
      await shake(lora);
      const adapted = decoder.withAdapter(lora);
      adapted.trainable.zeroGrads();
      await lossAndGradients(adapted, batch);
      for (const parameter of adapted.trainable.all) {
        const gradient = device.readF64(parameter.grad as Tensor);
        const largest = gradient.reduce((best, g, i) => (Math.abs(g) > Math.abs(gradient[best]!) ? i : best), 0);
        const values = device.readF64(parameter.value);
        const lossAt = async (delta: number) => {
          device.writeF64(
            parameter.value,
            values.map((x, i) => (i === largest ? x + delta : x)),
          );
          const tape = new Tape(device, { grad: false });
          const logps = device.readF64(batchLogprobs(tape, adapted, batch).logp);
          tape.dispose();
          return -logps.reduce((sum, x) => sum + x, 0) / logps.length;
        };
        const numeric = ((await lossAt(1e-4)) - (await lossAt(-1e-4))) / 2e-4;
        device.writeF64(parameter.value, values);
        expect(Math.abs(numeric - gradient[largest]!), parameter.name).toBeLessThan(1e-5 * Math.max(1, Math.abs(numeric)));
      }
      adapted.dispose();
    }
    await device.destroy();
  });
});

describe("refusals", () => {
  const device = createReferenceDevice();
  const files = () =>
    new MemoryDirectory(readdirSync(at("fixtures/models/lora")).map((file) => [file, readFileSync(at(`fixtures/models/lora/${file}`))]));
  const withConfig = (change: Record<string, unknown>) => {
    const directory = files();
    directory.files.set("adapter_config.json", Buffer.from(JSON.stringify({ ...json("adapter_config.json"), ...change })));
    return directory;
  };

  const without = (name: string) => {
    const directory = files();
    directory.files.delete(name);
    return directory;
  };

  it.each<[string, () => MemoryDirectory, string, RegExp, Record<string, string>]>([
    ["an adapter of another base", files, "qwen3", /another base's/, { file: "adapter_model.safetensors" }],
    ["no weights", () => without("adapter_model.safetensors"), "llama-untied", /must exist/, {}],
    ["no configuration", () => without("adapter_config.json"), "llama-untied", /adapter_config.json: the file must exist/, {}],
    ["another method", () => withConfig({ peft_type: "IA3" }), "llama-untied", /`peft_type` must be "LORA", got "IA3"/, {}],
    ["trained biases", () => withConfig({ bias: "all" }), "llama-untied", /`bias` must be "none", got "all"/, {}],
    [
      "a rank that is not the file's",
      () => withConfig({ r: 5 }),
      "llama-untied",
      /must be \(5, 64\), got \(4, 64\)/,
      { file: "adapter_model.safetensors" },
    ],
    [
      "more targets than the file has",
      () => withConfig({ target_modules: ["q_proj", "v_proj", "o_proj"] }),
      "llama-untied",
      /o_proj.lora_A.weight" \(4, 64\) is missing/,
      {},
    ],
    ["fewer targets", () => withConfig({ target_modules: ["q_proj"] }), "llama-untied", /v_proj.lora_A.weight" is not part/, {}],
    [
      "targets that are nowhere",
      () => withConfig({ target_modules: ["query"] }),
      "llama-untied",
      /targetModules.*q_proj.*got \["query"\]/,
      { file: "adapter_config.json" },
    ],
  ])("%s", async (_, make, name, message, where) => {
    const decoder = await base(device, name);
    const before = device.counters.liveBytes;
    const directory = make();
    await expect(loadAdapter(decoder, directory)).rejects.toMatchObject({
      code: "CHECKPOINT",
      message: expect.stringMatching(message),
      ...where,
    });
    expect(directory.log.open).toBe(0);
    expect(device.counters.liveBytes).toBe(before);
    decoder.dispose();
  });

  it("a thousand damaged adapters are read or refused with a typed error, and nothing stays open or allocated", async () => {
    const decoder = await base(device);
    const before = device.counters.liveBytes;
    const good = files();
    const outcomes = { read: 0, refused: 0 };
    for (let stream = 0; stream < 1000; stream++) {
      const draw = (bound: number, counter: number) => randomInt(bound, 91, stream, counter);
      const directory = new MemoryDirectory(good.files);
      const name = stream % 2 === 0 ? "adapter_config.json" : "adapter_model.safetensors";
      const bytes = Uint8Array.from(good.files.get(name) as Uint8Array);
      const span = name === "adapter_config.json" ? bytes.length : 1200;
      for (let i = 0; i <= draw(3, 0); i++)
        bytes[draw(span, 1 + 2 * i)] = stream % 3 === 0 ? draw(256, 2 + 2 * i) : 48 + draw(10, 2 + 2 * i);
      directory.files.set(name, stream % 11 === 0 ? bytes.slice(0, draw(bytes.length, 20)) : bytes);
      try {
        (await loadAdapter(decoder, directory)).dispose();
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof TrimtabError)) throw new Error(`damage ${stream}`, { cause: error });
        outcomes.refused++;
      }
      expect(directory.log.open).toBe(0);
      expect(device.counters.liveBytes).toBe(before);
    }
    expect(outcomes.read).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(300);
    decoder.dispose();
  });

  it.each<[LoraOptions, RegExp]>([
    [{ r: 0, loraDropout: 1 }, /`r` must be.*got 0; `loraDropout` must be/],
    [{ targetModules: "[" }, /regular expression/],
    [{ targetModules: ["lm_head"] }, /targetModules.*got \["lm_head"\]/],
    [{ modulesToSave: ["q_proj"] }, /modulesToSave.*"q_proj"/],
    [{ rankPattern: { q_proj: -1 } }, /above 0, got -1/],
  ])("options %o", async (options, message) => {
    const decoder = await base(device);
    expect(() => newLora(decoder, options)).toThrow(ConfigError);
    expect(() => newLora(decoder, options)).toThrow(message);
    decoder.dispose();
  });
});
