/// <reference types="node" />
/** Model directories: what loads, what is refused and how it is named, and what is written. */
import { readdirSync, readFileSync } from "node:fs";
import { type Device, OutOfMemoryError, TrimtabError } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, describe, expect, it } from "vitest";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { modelBytes, requireRoom } from "../src/checkpoint/room";
import { SafetensorsFile } from "../src/checkpoint/safetensors";
import { type WrittenTensor, writeSafetensors } from "../src/checkpoint/safetensors-writer";
import { CheckpointError, ConfigError, UnsupportedModelError } from "../src/errors";
import type { Decoder } from "../src/models/decoder";
import { loadLanguageModel, newLanguageModel, saveLanguageModel } from "../src/models/language-model";
import { Tokenizer } from "../src/tokenizer";
import { at, bytesOf, MemoryDirectory, memorySource } from "./fixture-files";

const device = createReferenceDevice();
afterAll(() => device.destroy());

/** A copy of a fixture, to be spoilt. */
function fixture(name: string): MemoryDirectory {
  const folder = at(`fixtures/models/${name}`);
  return new MemoryDirectory(readdirSync(folder).map((file) => [file, readFileSync(`${folder}/${file}`)]));
}

type Json = Record<string, unknown>;

function editJson(directory: MemoryDirectory, file: string, edit: (json: Json) => void): MemoryDirectory {
  const json = JSON.parse(Buffer.from(directory.files.get(file) as Uint8Array).toString()) as Json;
  edit(json);
  directory.files.set(file, Buffer.from(JSON.stringify(json)));
  return directory;
}

/** Rewrites the weights as f32 after `edit` has changed them. */
async function editWeights(
  directory: MemoryDirectory,
  edit: (tensors: Map<string, { shape: readonly number[]; values: Float32Array }>) => void,
) {
  const file = await SafetensorsFile.open(memorySource("model.safetensors", directory.files.get("model.safetensors") as Uint8Array));
  const tensors = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const [name, { shape }] of file.tensors) tensors.set(name, { shape, values: await file.readFloats(name) });
  edit(tensors);
  const written = [...tensors].map(([name, { shape, values }]): WrittenTensor => ({ name, dtype: "F32", shape, data: () => values }));
  directory.files.set("model.safetensors", await bytesOf(writeSafetensors(written, "model.safetensors")));
  return directory;
}

async function failure(directory: MemoryDirectory, on: Device = device): Promise<TrimtabError> {
  const before = on.counters.liveBytes;
  const error: unknown = await loadDecoder(on, directory).then(
    () => undefined,
    (e) => e,
  );
  expect(error).toBeInstanceOf(TrimtabError);
  expect(directory.log.open, "open files").toBe(0);
  expect(on.counters.liveBytes, "device memory").toBe(before);
  return error as TrimtabError;
}

async function weightsOf(decoder: Decoder): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const p of decoder.parameters.all) weights.set(p.name, (await decoder.device.read(p.value)) as Float32Array);
  return weights;
}

/** The same device with other limits. */
function limited(info: Partial<Device["info"]>): Device {
  return new Proxy<Device>(device, {
    get(target, key) {
      if (key === "info") return { ...target.info, ...info };
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("weights that do not fit their configuration", () => {
  it("names a missing tensor", async () => {
    const error = await failure(await editWeights(fixture("qwen2"), (t) => t.delete("model.layers.1.mlp.up_proj.weight")));
    expect(error).toMatchObject({ code: "CHECKPOINT", file: "model.safetensors", tensor: "model.layers.1.mlp.up_proj.weight" });
    expect(error.message).toMatch(/"model.layers.1.mlp.up_proj.weight" \(96, 48\) is missing/);
  });

  it("names a tensor that is not part of the model", async () => {
    const extra = { shape: [1], values: Float32Array.of(1) };
    const error = await failure(await editWeights(fixture("llama-tied"), (t) => t.set("score.weight", extra)));
    expect(error).toMatchObject({ file: "model.safetensors", tensor: "score.weight" });
  });

  it("names a tensor of another shape", async () => {
    const error = await failure(
      await editWeights(fixture("gpt2"), (t) =>
        t.set("transformer.h.0.attn.c_attn.weight", { shape: [192, 64], values: new Float32Array(64 * 192) }),
      ),
    );
    expect(error.message).toMatch(/"transformer.h.0.attn.c_attn.weight" must be \(64, 192\), got \(192, 64\)/);
  });

  it("lists the first of many", async () => {
    const error = await failure(
      editJson(fixture("llama-untied"), "config.json", (c) => Object.assign(c, { hidden_size: 32, head_dim: 8 })),
    );
    expect(error.message).toMatch(/and \d+ more/);
    expect(error.message.length).toBeLessThan(1200);
  });

  it.each([Number.NaN, Number.NEGATIVE_INFINITY])("refuses a weight of %s, with its place", async (bad) => {
    const directory = await editWeights(fixture("qwen3"), (t) => {
      const weight = t.get("model.layers.0.self_attn.k_norm.weight");
      if (weight) weight.values[5] = bad;
    });
    expect((await failure(directory)).message).toMatch(new RegExp(`got ${bad} in "model.layers.0.self_attn.k_norm.weight" at element 5`));
  });

  it("refuses an integer tensor", async () => {
    const directory = fixture("gpt2-hubnames");
    const bytes = directory.files.get("model.safetensors") as Uint8Array;
    const text = Buffer.from(bytes).toString("latin1").replace('"wte.weight":{"dtype":"F32"', '"wte.weight":{"dtype":"I32"');
    directory.files.set("model.safetensors", Buffer.from(text, "latin1"));
    expect(await failure(directory)).toMatchObject({ code: "CHECKPOINT", tensor: "wte.weight" });
  });

  it("refuses two tensors that are the same by an old name", async () => {
    const directory = await editWeights(fixture("gpt2"), (t) => {
      const weight = t.get("transformer.wte.weight");
      if (weight) t.set("wte.weight", weight);
    });
    expect((await failure(directory)).message).toMatch(/"transformer.wte.weight" as "transformer.wte.weight" and as "wte.weight"/);
  });

  it("does not count to a billion layers", async () => {
    const error = await failure(editJson(fixture("llama-tied"), "config.json", (c) => Object.assign(c, { num_hidden_layers: 4000 })));
    expect(error.message).toMatch(/number of layers must be at most/);
  });
});

describe("tied heads", () => {
  it("may be stored as well", async () => {
    const directory = await editWeights(fixture("llama-tied"), (t) => {
      const embedding = t.get("model.embed_tokens.weight");
      if (embedding) t.set("lm_head.weight", embedding);
    });
    const [plain, stored] = [await loadDecoder(device, fixture("llama-tied")), await loadDecoder(device, directory)];
    expect(await weightsOf(stored)).toEqual(await weightsOf(plain));
    expect(stored.parameters.all.some(({ name }) => name === "head")).toBe(false);
    plain.dispose();
    stored.dispose();
  });

  it("must then equal the embedding", async () => {
    const directory = await editWeights(fixture("llama-tied"), (t) => {
      const embedding = t.get("model.embed_tokens.weight");
      if (embedding) t.set("lm_head.weight", { ...embedding, values: embedding.values.map((x, i) => (i === 9 ? x + 1 : x)) });
    });
    expect(await failure(directory)).toMatchObject({ tensor: "lm_head.weight" });
  });
});

describe("files", () => {
  it("must exist", async () => {
    expect(await failure(new MemoryDirectory())).toMatchObject({ file: "config.json" });
    const directory = fixture("gpt2");
    directory.files.delete("model.safetensors");
    expect((await failure(directory)).message).toMatch(/model.safetensors: weights must be in/);
  });

  it("must be whole", async () => {
    const directory = fixture("gpt2");
    const bytes = directory.files.get("model.safetensors") as Uint8Array;
    directory.files.set("model.safetensors", bytes.subarray(0, bytes.length - 5));
    expect((await failure(directory)).message).toMatch(/truncated/);
    directory.files.set("config.json", Buffer.from('{"model_type": "gpt2"'));
    expect(await failure(directory)).toMatchObject({ code: "CHECKPOINT", file: "config.json" });
  });

  it.each<[string, (map: Json) => void, RegExp]>([
    ["a shard that is missing", (map) => Object.assign(map, { "lm_head.weight": "other.safetensors" }), /other.safetensors: the shard/],
    [
      "a path out of the directory",
      (map) => Object.assign(map, { "lm_head.weight": "../x.safetensors" }),
      /must be a .safetensors file name/,
    ],
    ["a shard that is no text", (map) => Object.assign(map, { "lm_head.weight": 3 }), /must be a .safetensors file name, got 3/],
    [
      "a tensor in another shard",
      (map) => Object.assign(map, { "model.layers.0.mlp.down_proj.weight": "model-00001-of-00003.safetensors" }),
      /"model.layers.0.mlp.down_proj.weight" must be where/,
    ],
    [
      "a tensor that the shard lacks",
      (map) => Object.assign(map, { ghost: "model-00001-of-00003.safetensors" }),
      /"ghost" must be in the shard/,
    ],
    [
      "a tensor that the index lacks",
      (map) => Reflect.deleteProperty(map, "model.layers.0.mlp.down_proj.weight"),
      /down_proj.weight" must be where.*nowhere/,
    ],
  ])("an index with %s is refused", async (_, edit, message) => {
    const directory = editJson(fixture("llama-bf16-sharded"), "model.safetensors.index.json", (index) => edit(index.weight_map as Json));
    expect((await failure(directory)).message).toMatch(message);
  });

  it.each<[string, Json, RegExp]>([
    [
      "an unknown architecture",
      { architectures: ["MambaForCausalLM"], model_type: "mamba" },
      /architectures` must be one of.*"MambaForCausalLM"/,
    ],
    ["an unknown model type", { architectures: undefined, model_type: "mamba" }, /model_type` must be one of.*"mamba"/],
    ["a size that is none", { hidden_size: "64" }, /`hidden_size` must be a positive integer, got "64"/],
    ["heads that do not divide", { num_key_value_heads: 3 }, /multiple of the 3 key/],
    ["an unknown activation", { hidden_act: "relu6" }, /`hidden_act` must be one of.*"relu6"/],
    ["an unknown rope", { rope_scaling: { rope_type: "proportional", factor: 2 } }, /`rope_type` must be one of.*"proportional"/],
  ])("a configuration with %s is refused", async (_, change, message) => {
    const error = await failure(editJson(fixture("llama-untied"), "config.json", (c) => Object.assign(c, change)));
    expect(error.message).toMatch(message);
    expect(error instanceof CheckpointError || error instanceof UnsupportedModelError).toBe(true);
  });
});

describe("a model that does not fit", () => {
  it("is refused before its weights are opened, with what it needs and what there is", async () => {
    const directory = fixture("llama-untied");
    directory.files.delete("model.safetensors");
    const error = (await failure(
      directory,
      limited({ memoryBytes: 300_000 + device.counters.liveBytes, name: "tiny" }),
    )) as OutOfMemoryError;
    expect(error).toBeInstanceOf(OutOfMemoryError);
    // 123,840 parameters, 128 × 8 × 2 rotary values.
    expect(error.requestedBytes).toBe(4 * (123_840 + 2048));
    expect(error.availableBytes).toBe(300_000);
    expect(error.message).toMatch(/1 MiB that tiny has left, got a need of 1 MiB/);
  });

  it("is refused when one tensor beside embedding and head exceeds a buffer", async () => {
    const error = (await failure(fixture("gpt2"), limited({ maxBufferBytes: 60_000 }))) as OutOfMemoryError;
    expect(error).toMatchObject({ code: "OUT_OF_MEMORY", requestedBytes: 4 * 256 * 64, availableBytes: 60_000 });
  });

  it("is judged by what training takes, where that is asked", async () => {
    const decoder = await loadDecoder(device, fixture("qwen2"));
    const { weights, tables } = modelBytes(decoder.config);
    expect(weights).toBe(decoder.parameters.shards.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
    const free = (bytes: number) => limited({ memoryBytes: bytes + device.counters.liveBytes });
    expect(() => requireRoom(free(4 * weights + tables), decoder.config, 4)).not.toThrow();
    expect(() => requireRoom(free(4 * weights + tables - 1), decoder.config, 4)).toThrow(OutOfMemoryError);
    decoder.dispose();
  });

  it("costs nothing to ask about, however large", () => {
    const config = { ...newLanguageModel(device, { hiddenSize: 8, layers: 1, heads: 2 }, tokenizer, 0).decoder.config, layers: 1e9 };
    expect(modelBytes(config).weights).toBeGreaterThan(1e12);
  });
});

const tokenizer = Tokenizer.train(["the cat sat on the mat and the dog sat on the log"], {
  vocabSize: 270,
  chatTemplate: "{{ messages }} naïve 名",
});

describe("language models", () => {
  it.each(["llama", "qwen2", "qwen3", "gpt2"])("%s: made, saved, and loaded with the same bits", async (modelType) => {
    const model = newLanguageModel(
      device,
      { modelType, hiddenSize: 24, layers: 2, heads: 4, kvHeads: modelType === "gpt2" ? 4 : 2, maxPositions: 32 },
      tokenizer,
      7,
    );
    const directory = new MemoryDirectory([["notes.txt", "stays"]]);
    await saveLanguageModel(model, directory);
    expect([...directory.files.keys()].sort()).toEqual([
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "notes.txt",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const again = await loadLanguageModel(device, directory);
    expect(again.decoder.config).toEqual(model.decoder.config);
    expect(await weightsOf(again.decoder)).toEqual(await weightsOf(model.decoder));
    expect(again.tokenizer.chatTemplate).toBe("{{ messages }} naïve 名");
    expect(again.tokenizer.encode("the cat")).toEqual(tokenizer.encode("the cat"));
    expect(again.generationConfig.eosTokenIds).toEqual([0]);
    expect(again.decoder.config.eosTokenIds).toEqual([0]);
    for (const { decoder } of [model, again]) decoder.dispose();
  });

  it("starts the same from the same seed, and otherwise from another", async () => {
    const make = async (seed: number) => {
      const { decoder } = newLanguageModel(device, { hiddenSize: 16, layers: 1, heads: 2 }, tokenizer, seed);
      const weights = await weightsOf(decoder);
      decoder.dispose();
      return weights;
    };
    expect(await make(1)).toEqual(await make(1));
    expect((await make(1)).get("embedding")).not.toEqual((await make(2)).get("embedding"));
  });

  it.each(["gpt2", "llama-untied", "qwen3", "llama3-rope"])(
    "%s: what is written has the published names, shapes and bits",
    async (name) => {
      const source = fixture(name);
      const decoder = await loadDecoder(device, source);
      const target = new MemoryDirectory();
      await saveLanguageModel({ decoder, tokenizer, generationConfig: { eosTokenIds: [2, 5], json: { temperature: 0.7 } } }, target);
      const open = (d: MemoryDirectory) =>
        SafetensorsFile.open(memorySource("model.safetensors", d.files.get("model.safetensors") as Uint8Array));
      const [before, after] = [await open(source), await open(target)];
      expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort());
      for (const [tensor, { shape }] of before.tensors) {
        expect(after.tensors.get(tensor)?.shape).toEqual(shape);
        expect(await after.readFloats(tensor)).toEqual(await before.readFloats(tensor));
      }
      const json = (file: string) => JSON.parse(Buffer.from(target.files.get(file) as Uint8Array).toString()) as Json;
      expect(json("generation_config.json")).toEqual({ temperature: 0.7, bos_token_id: 1, pad_token_id: 0, eos_token_id: [2, 5] });
      const published = JSON.parse(Buffer.from(source.files.get("config.json") as Uint8Array).toString()) as Json;
      const written = json("config.json");
      for (const field of [
        "model_type",
        "architectures",
        "vocab_size",
        "rope_theta",
        "rope_scaling",
        "tie_word_embeddings",
        "n_embd",
        "head_dim",
      ]) {
        expect(written[field], field).toEqual(published[field]);
      }
      decoder.dispose();
    },
  );

  it.each([
    ["float16", 2 ** -11],
    ["bfloat16", 2 ** -8],
  ] as const)("can be stored in %s", async (dtype, rounding) => {
    const model = newLanguageModel(device, { hiddenSize: 16, layers: 1, heads: 2 }, tokenizer, 3);
    const directory = new MemoryDirectory();
    await saveLanguageModel(model, directory, { dtype });
    expect(Buffer.from(directory.files.get("config.json") as Uint8Array).toString()).toContain(`"torch_dtype": "${dtype}"`);
    const again = await loadLanguageModel(device, directory);
    const loaded = await weightsOf(again.decoder);
    for (const [name, values] of await weightsOf(model.decoder)) {
      values.forEach((value, i) => {
        expect(Math.abs((loaded.get(name)?.[i] as number) - value)).toBeLessThanOrEqual(rounding * Math.abs(value) + 2 ** -25);
      });
    }
    for (const { decoder } of [model, again]) decoder.dispose();
  });

  it.each<[string, Parameters<typeof newLanguageModel>[1], RegExp]>([
    ["heads that do not divide the width", { hiddenSize: 10, layers: 1, heads: 4 }, /head_dim/],
    ["too small a vocabulary", { hiddenSize: 8, layers: 1, heads: 2, vocabSize: 10 }, /vocabSize must be at least the tokenizer's/],
    ["no layers", { hiddenSize: 8, layers: 0, heads: 2 }, /num_hidden_layers/],
  ])("a new model with %s is refused", (_, shape, message) => {
    expect(() => newLanguageModel(device, shape, tokenizer, 0)).toThrow(ConfigError);
    expect(() => newLanguageModel(device, shape, tokenizer, 0)).toThrow(message);
  });

  it("needs a tokenizer", async () => {
    await expect(loadLanguageModel(device, fixture("gpt2"))).rejects.toMatchObject({ code: "CHECKPOINT", file: "tokenizer.json" });
    const directory = fixture("gpt2");
    directory.files.set("tokenizer.json", Buffer.from("{}"));
    await expect(loadLanguageModel(device, directory)).rejects.toBeInstanceOf(TrimtabError);
  });

  it("takes the chat template from chat_template.jinja, where transformers 5 puts it", async () => {
    const model = newLanguageModel(device, { hiddenSize: 8, layers: 1, heads: 2 }, tokenizer, 0);
    const directory = new MemoryDirectory([["chat_template.jinja", "{{ other }}"]]);
    await saveLanguageModel(model, directory);
    expect((await loadLanguageModel(device, directory)).tokenizer.chatTemplate).toBe("{{ other }}");
  });
});
