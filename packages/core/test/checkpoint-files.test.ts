/// <reference types="node" />
/** Model directories as files: bits that survive load, save and load, reading by range, shards, and thousands of damaged directories. */
import { readdirSync, readFileSync } from "node:fs";
import { setImmediate as nextTask } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { randomInt, TrimtabError } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, describe, expect, it } from "vitest";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import type { ByteSource } from "../src/checkpoint/files";
import { ConfigError } from "../src/errors";
import { Decoder } from "../src/models/decoder";
import { loadLanguageModel, newLanguageModel, saveLanguageModel } from "../src/models/language-model";
import { at, MemoryDirectory, safetensorsBytes } from "./fixture-files";
import { f32Bits, parseDirectory, parseSafetensors } from "./independent-safetensors";
import { byteTokenizer } from "./trainer-model";

const device = createReferenceDevice();
afterAll(() => device.destroy());

function fixture(name: string): MemoryDirectory {
  const folder = at(`fixtures/models/${name}`);
  return new MemoryDirectory(readdirSync(folder).map((file) => [file, readFileSync(`${folder}/${file}`)]));
}

const generationConfig = { eosTokenIds: undefined, json: {} };

/** Loads a directory and writes it to a new one. */
async function resave(source: MemoryDirectory, options: Parameters<typeof saveLanguageModel>[2] = {}) {
  const decoder = await loadDecoder(device, source);
  const target = new MemoryDirectory();
  await saveLanguageModel({ decoder, tokenizer: byteTokenizer, generationConfig }, target, options);
  decoder.dispose();
  return target;
}

const every = [
  "gpt2",
  "llama-untied",
  "llama-tied",
  "llama3-rope",
  "qwen2",
  "qwen3",
  "mistral",
  "gemma2",
  "gemma3",
  "phi3",
  "smollm3",
  "olmo2",
  "phi3-longrope",
  "qwen2-yarn",
];

/** Numbers of a JSON text by their field, as they are spelled. */
const spelled = (bytes: Uint8Array | undefined) =>
  new Map(
    [
      ...Buffer.from(bytes as Uint8Array)
        .toString()
        .matchAll(/"(\w+)": (-?\d[\d.eE+-]*)/g),
    ].map(([, field, number]) => [field, number as string]),
  );

describe.each(every)("%s", (name) => {
  it("is written with reals as Python spells them: transformers 5 takes no 30 for 30.0", async () => {
    const source = fixture(name);
    const [original, written] = [source, await resave(source)].map(({ files }) => spelled(files.get("config.json")));
    const reals = [...(original as Map<string, string>)].filter(([field, number]) => /[.e]/.test(number) && written?.has(field));
    expect(reals.length).toBeGreaterThan(1);
    for (const [field] of reals) expect(written?.get(field), field).toMatch(/[.e]/);
  });

  it("is written with the names, shapes and bits that were read, in one file and in shards, as an independent reader sees them", async () => {
    const source = fixture(name);
    const original = parseDirectory(source.files);
    for (const maxShardBytes of [undefined, 60_000, 1]) {
      const written = await resave(source, { maxShardBytes });
      const tensors = parseDirectory(written.files);
      expect([...tensors.keys()].sort()).toEqual([...original.keys()].sort());
      for (const [tensor, { shape, ...stored }] of original) {
        const copy = tensors.get(tensor) as NonNullable<ReturnType<typeof tensors.get>>;
        expect(copy.shape).toEqual(shape);
        expect(copy.dtype).toBe("F32");
        expect(Buffer.compare(Buffer.from(f32Bits(copy).buffer), Buffer.from(f32Bits({ shape, ...stored }).buffer)), tensor).toBe(0);
      }
      const shards = [...written.files.keys()].filter((file) => file.endsWith(".safetensors"));
      if (maxShardBytes === 1) expect(shards.length).toBe(original.size);
      for (const shard of shards) {
        const bytes = written.files.get(shard) as Uint8Array;
        expect(parseSafetensors(bytes).metadata).toEqual({ format: "pt" });
        const held = [...parseSafetensors(bytes).tensors.values()];
        const sum = held.reduce((total, { bytes: b }) => total + b.length, 0);
        expect(held.length === 1 || sum <= (maxShardBytes ?? 5e9)).toBe(true);
        if (shards.length > 1) expect(shard).toMatch(new RegExp(`^model-\\d{5}-of-${String(shards.length).padStart(5, "0")}.safetensors$`));
      }
      const again = await resave(written, { maxShardBytes });
      for (const [file, bytes] of written.files) {
        expect(Buffer.compare(bytes, again.files.get(file) as Uint8Array), `${file} written again`).toBe(0);
      }
    }
  });
});

it("BF16 in, BF16 out: the file's own bits", async () => {
  const source = fixture("llama-bf16-sharded");
  const original = parseDirectory(source.files);
  const copy = parseDirectory((await resave(source, { dtype: "bfloat16", maxShardBytes: 12_000 })).files);
  for (const [name, { bytes }] of original)
    expect(Buffer.compare(bytes, (copy.get(name) as NonNullable<ReturnType<typeof copy.get>>).bytes), name).toBe(0);
});

it("shards replace an older single file, and a single file an older index", async () => {
  const decoder = await loadDecoder(device, fixture("qwen3"));
  const model = { decoder, tokenizer: byteTokenizer, generationConfig };
  const target = new MemoryDirectory();
  await saveLanguageModel(model, target);
  await saveLanguageModel(model, target, { maxShardBytes: 100_000 });
  expect(target.files.has("model.safetensors")).toBe(false);
  (await loadDecoder(device, target)).dispose();
  await saveLanguageModel(model, target);
  expect(target.files.has("model.safetensors.index.json")).toBe(false);
  await expect(saveLanguageModel(model, target, { maxShardBytes: 0 })).rejects.toThrow(ConfigError);
  decoder.dispose();
});

describe("a large model", () => {
  const collect = (() => {
    setFlagsFromString("--expose-gc");
    return runInNewContext("gc") as () => void;
  })();

  it("is read a few megabytes at a time, and what has been read is let go", async () => {
    // An embedding of 9 MiB, and matrices of half a MiB.
    const small = newLanguageModel(device, { hiddenSize: 8, layers: 1, heads: 2 }, byteTokenizer, 1);
    const shape = { hiddenSize: 256, headDim: 64, intermediateSize: 512, layers: 2, heads: 4, kvHeads: 4, vocabSize: 9216 };
    const large = new Decoder(device, { ...small.decoder.config, ...shape });
    const directory = new MemoryDirectory();
    await saveLanguageModel({ ...small, decoder: large }, directory, { maxShardBytes: 4e6 });
    for (const decoder of [small.decoder, large]) decoder.dispose();

    let largest = 0;
    let total = 0;
    let mostAlive = 0;
    const handed: WeakRef<Uint8Array>[] = [];
    const counting = (source: ByteSource): ByteSource => ({
      name: source.name,
      size: source.size,
      close: () => source.close(),
      async read(offset, length) {
        await nextTask();
        collect();
        mostAlive = Math.max(
          mostAlive,
          handed.reduce((bytes, ref) => bytes + (ref.deref()?.byteLength ?? 0), 0),
        );
        const bytes = new Uint8Array(await source.read(offset, length));
        largest = Math.max(largest, length);
        total += length;
        handed.push(new WeakRef(bytes));
        return bytes;
      },
    });
    const decoder = await loadDecoder(device, {
      path: "counted",
      open: async (name) => {
        const source = await directory.open(name);
        return source && counting(source);
      },
    });
    decoder.dispose();
    expect(total).toBeGreaterThan(13e6);
    expect(largest).toBe(4 << 20);
    // The piece in hand and the one before it.
    expect(mostAlive).toBeLessThanOrEqual(2 * (4 << 20));
    expect(directory.log.open).toBe(0);
  });
});

it("a tokenizer with more ids than the embedding has rows is refused, by file and tensor", async () => {
  const source = fixture("llama-untied");
  const tokenizer = new MemoryDirectory();
  const model = newLanguageModel(device, { hiddenSize: 8, layers: 1, heads: 2 }, byteTokenizer, 0);
  await saveLanguageModel(model, tokenizer);
  model.decoder.dispose();
  const json = JSON.parse(Buffer.from(tokenizer.files.get("tokenizer.json") as Uint8Array).toString());
  json.added_tokens.push({
    id: 257,
    content: "<extra>",
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  source.files.set("tokenizer.json", Buffer.from(JSON.stringify(json)));
  await expect(loadLanguageModel(device, source)).rejects.toMatchObject({
    code: "CHECKPOINT",
    file: "tokenizer.json",
    tensor: "model.embed_tokens.weight",
    message: expect.stringMatching(/257 rows of "model.embed_tokens.weight", got a vocabulary of 258/),
  });
});

describe("damaged directories", () => {
  const draw = (bound: number, stream: number, counter: number) => randomInt(bound, 77, stream, counter);
  const values = [0, -1, 1, 2, 3, 7, 1e9, 2 ** 53, 0.5, 1e308, null, true, "", "silu", [], [1], {}, { factor: 1 }, "sliding_attention"];
  const textTokens = ['"', "{", "}", "[", "]", ",", ":", "null", "1e999", "-", "\\u0000", "[[[[[["];

  /** Something random done to a directory, by its kind. */
  const damages: ((directory: MemoryDirectory, stream: number) => void)[] = [
    // A field of config.json replaced, removed or added.
    (directory, stream) => {
      const json = JSON.parse(Buffer.from(directory.files.get("config.json") as Uint8Array).toString()) as Record<string, unknown>;
      const keys = Object.keys(json);
      const key = keys[draw(keys.length, stream, 0)] as string;
      if (draw(4, stream, 1) === 0) delete json[key];
      else json[key] = values[draw(values.length, stream, 2)];
      directory.files.set("config.json", Buffer.from(JSON.stringify(json)));
    },
    // Text of config.json or of the index spliced.
    (directory, stream) => {
      const names = [...directory.files.keys()].filter((name) => name.endsWith("config.json") || name.endsWith("index.json"));
      const name = names[draw(names.length, stream, 0)] as string;
      const text = Buffer.from(directory.files.get(name) as Uint8Array).toString();
      const begin = draw(text.length, stream, 1);
      const end = Math.min(text.length, begin + draw(9, stream, 2));
      directory.files.set(name, Buffer.from(text.slice(0, begin) + textTokens[draw(textTokens.length, stream, 3)] + text.slice(end)));
    },
    // Bytes of a weight file's first kilobytes changed: header length, names, offsets, some weights.
    (directory, stream) => {
      const names = [...directory.files.keys()].filter((name) => name.endsWith(".safetensors") && name.startsWith("model"));
      const name = names[draw(names.length, stream, 0)] as string;
      const bytes = Uint8Array.from(directory.files.get(name) as Uint8Array);
      for (let i = 0; i <= draw(3, stream, 1); i++)
        bytes[draw(Math.min(bytes.length, 4000), stream, 2 + 2 * i)] = draw(256, stream, 3 + 2 * i);
      directory.files.set(name, bytes);
    },
    // A weight file cut off, or gone.
    (directory, stream) => {
      const names = [...directory.files.keys()].filter((name) => name.endsWith(".safetensors"));
      const name = names[draw(names.length, stream, 0)] as string;
      const bytes = directory.files.get(name) as Uint8Array;
      if (draw(8, stream, 1) === 0) directory.files.delete(name);
      else directory.files.set(name, bytes.slice(0, draw(bytes.length, stream, 2)));
    },
    // A number in a weight file's header replaced, its length kept right.
    (directory, stream) => {
      const names = [...directory.files.keys()].filter((name) => name.endsWith(".safetensors") && name.startsWith("model"));
      const name = names[draw(names.length, stream, 0)] as string;
      const bytes = directory.files.get(name) as Uint8Array;
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      const text = Buffer.from(bytes.subarray(8, 8 + length)).toString();
      const numbers = [...text.matchAll(/\b\d+\b/g)];
      const { index, 0: digits } = numbers[draw(numbers.length, stream, 1)] as RegExpExecArray;
      const other = ["0", "1", "-1", "64", "4294967296", "9007199254740993", "1e99", "0.5", "[]"][draw(9, stream, 2)];
      directory.files.set(
        name,
        safetensorsBytes(text.slice(0, index) + other + text.slice(index + digits.length), bytes.subarray(8 + length)),
      );
    },
  ];

  it.each(["llama-bf16-sharded", "gpt2-hubnames"])(
    "%s: 1500 of them load or are refused with a typed error, nothing is left open",
    async (name) => {
      const good = fixture(name);
      const size = [...good.files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
      const outcomes = { loaded: 0, refused: 0 };
      for (let stream = 0; stream < 1500; stream++) {
        const directory = new MemoryDirectory(good.files);
        (damages[stream % damages.length] as (typeof damages)[number])(directory, stream);
        const before = device.counters.liveBytes;
        try {
          (await loadDecoder(device, directory)).dispose();
          outcomes.loaded++;
        } catch (error) {
          if (!(error instanceof TrimtabError)) throw new Error(`damage ${stream}`, { cause: error });
          expect(error.message.length).toBeLessThan(2000);
          outcomes.refused++;
        }
        expect(directory.log.open).toBe(0);
        expect(directory.log.largest).toBeLessThanOrEqual(size);
        expect(device.counters.liveBytes).toBe(before);
      }
      expect(outcomes.loaded).toBeGreaterThan(100);
      expect(outcomes.refused).toBeGreaterThan(500);
    },
  );
});
