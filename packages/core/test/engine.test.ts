/// <reference types="node" />
/** The engine across a message channel: models by handle, files, and errors that keep their class. */
import { describe, expect, it } from "vitest";
import * as core from "../src";
import {
  CheckpointError,
  ConfigError,
  ConstraintError,
  DataError,
  type DatasetRow,
  DeviceError,
  type EngineModel,
  inspectCompletion,
  type LoadProgress,
  loadLanguageModel,
  OutOfMemoryError,
  rewardModelFunction,
  scalarModel,
  TrimtabError,
} from "../src";
import { failure, reasonOf } from "../src/engine/outcome";
import { type Disk, engineOpener, thrownBy, tiny } from "./engine-host";

const start = engineOpener();

describe("an engine's models", () => {
  it("say what they are", async () => {
    const { engine, device } = await start();
    expect(engine.info).toEqual({ device: device.info, notes: ["a note"] });
    const model = await engine.newModel(tiny);
    expect([model.kind, model.hasChatTemplate, model.config.hiddenSize, model.config.vocabSize]).toEqual(["lm", false, 16, 257]);
    const scorer = await model.toRewardModel(1);
    expect([scorer.kind, scorer.parameterCount]).toEqual(["score", model.parameterCount + 16]);
  });

  it("generate every completion of a prompt before the next prompt's, and tell of text as it grows", async () => {
    const { engine } = await start();
    const model = await engine.newModel(tiny);
    const texts = new Map<number, string>();
    const options = { prompts: ["ab", "c"], n: 2, temperatures: [0, 1], maxNewTokens: 9, seed: 1 } as const;
    const completions = await model.generate({
      ...options,
      onText: (index, text) => texts.set(index, (texts.get(index) ?? "") + text),
    });
    expect(completions.map(({ promptIndex, temperature }) => [promptIndex, temperature])).toEqual([
      [0, 0],
      [0, 0],
      [0, 1],
      [0, 1],
      [1, 0],
      [1, 0],
      [1, 1],
      [1, 1],
    ]);
    expect(completions.map((_, index) => texts.get(index) ?? "")).toEqual(completions.map(({ text }) => text));
    expect(completions[0]).toEqual(completions[1]);
    expect(new Set(completions.map(({ text }) => text)).size).toBeGreaterThan(4);
    expect(await model.generate(options)).toEqual(completions);
  });

  it("hold completions to a regular expression or a JSON schema", async () => {
    const { engine } = await start();
    const model = await engine.newModel(tiny);
    const options = { prompts: ["ab", "c"], n: 4, temperatures: [1, 2], seed: 1 } as const;
    const words = await model.generate({ ...options, constraint: { regex: "(yes|no), (sir|madam)\\." } });
    for (const { text, finishReason } of words) {
      expect(text).toMatch(/^(yes|no), (sir|madam)\.$/);
      expect(finishReason).toBe("stop");
    }
    expect(new Set(words.map(({ text }) => text)).size).toBeGreaterThan(2);
    const jsonSchema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
    for (const { text } of await model.generate({ ...options, constraint: { jsonSchema } })) {
      expect(Object.entries(JSON.parse(text))).toEqual([["ok", expect.any(Boolean)]]);
    }
  });

  it("give up a generation when its signal aborts, or when its listener throws", async () => {
    const { engine } = await start();
    const model = await engine.newModel({ ...tiny, shape: { ...tiny.shape, maxPositions: 4096 } });
    const long = { prompts: ["a"], n: 2, maxNewTokens: 4000, seed: 2 } as const;
    const controller = new AbortController();
    const reason = new Error("enough");
    const heard: string[] = [];
    const given = model.generate({
      ...long,
      signal: controller.signal,
      onText(_, text) {
        heard.push(text);
        controller.abort(reason);
      },
    });
    expect(await thrownBy(given)).toBe(reason);
    expect(heard.join("").length).toBeLessThan(400);
    const bug = new TypeError("a bug in onText");
    const broken = model.generate({
      ...long,
      onText() {
        throw bug;
      },
    });
    expect(await thrownBy(broken)).toBe(bug);
    expect(await thrownBy(model.generate({ ...long, signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  it("are saved, loaded with progress, and handed over as files, with the normalisation of a reward model", async () => {
    const disk: Disk = new Map();
    const { engine } = await start(disk);
    const scorer = await (await engine.newModel(tiny)).toRewardModel(1);
    const rows = [
      { prompt: "a", completion: "b" },
      { prompt: "few", completion: " words" },
      { prompt: "are", completion: "enough" },
    ];
    const raw = await scorer.score(rows);
    const { gain, bias } = await scorer.normalize(rows, { mean: 2, std: 3 });
    const scores = await scorer.score(rows);
    scores.forEach((score, i) => {
      expect(score).toBeCloseTo(gain * (raw[i] as number) + bias, 5);
    });
    expect(scores.reduce((sum, score) => sum + score, 0) / 3).toBeCloseTo(2, 4);

    await scorer.save("scorer");
    const progress: LoadProgress[] = [];
    const again = await engine.loadModel("scorer", { onProgress: (news) => progress.push(news) });
    expect(await again.score(rows)).toEqual(scores);
    const weights = progress.filter(({ file }) => file === "model.safetensors");
    expect(weights.at(-1)?.loadedBytes).toBe(disk.get("scorer")?.files.get("model.safetensors")?.length);
    expect(weights.map(({ loadedBytes }) => loadedBytes)).toEqual(weights.map(({ loadedBytes }) => loadedBytes).sort((a, b) => a - b));
    expect(await scorer.files()).toEqual(
      new Map([...(disk.get("scorer")?.files ?? [])].map(([name, bytes]) => [name, new Uint8Array(bytes)])),
    );

    const plain = await (await engine.newModel(tiny)).toRewardModel(1);
    await plain.save("scorer");
    expect(await (await engine.loadModel("scorer")).score(rows)).toEqual(await plain.score(rows));
  });

  it("are freed where a listener of their loading throws", async () => {
    const { engine, device } = await start();
    await (await engine.newModel(tiny)).save("model");
    const before = device.counters.liveBytes;
    const onProgress = () => {
      throw new RangeError("no more");
    };
    await expect(engine.loadModel("model", { onProgress })).rejects.toThrow("no more");
    expect(device.counters.liveBytes).toBe(before);
  });

  it("inspect as the library does", async () => {
    const disk: Disk = new Map();
    const { engine, device } = await start(disk);
    const model = await engine.newModel(tiny);
    const other = await engine.newModel({ ...tiny, seed: 4 });
    await model.save("model");
    await other.save("other");
    const tokens = await model.inspect({ prompt: "a few", completion: " words", reference: other });
    const [one, two] = await Promise.all(["model", "other"].map((place) => loadLanguageModel(device, disk.get(place) as never)));
    const expected = await inspectCompletion({ model: one as never, prompt: "a few", completion: " words", reference: two });
    expect(tokens.map(({ text }) => text).join("")).toBe(" words<|endoftext|>");
    expect(tokens.flatMap(({ text, isSpecial }) => (isSpecial ? [text] : []))).toEqual(["<|endoftext|>"]);
    expect(tokens.map(({ logp }) => logp)).toEqual([...expected.logps]);
    expect(tokens.map(({ entropy }) => entropy)).toEqual([...expected.entropies]);
    expect(tokens.map(({ refLogp }) => refLogp)).toEqual([...(expected.refLogps as Float32Array)]);
    expect((await model.inspect({ prompt: "a few", completion: " words" }))[0]?.refLogp).toBeUndefined();
  });

  it("score as a reward model does", async () => {
    const disk: Disk = new Map();
    const { engine, device } = await start(disk);
    const scorer = await (await engine.newModel(tiny)).toRewardModel(1);
    await scorer.save("scorer");
    const loaded = scalarModel(await loadLanguageModel(device, disk.get("scorer") as never));
    const args = { prompts: ["a", "b"], completions: ["c", " few words"] };
    const expected = await rewardModelFunction(loaded)(args as never);
    expect(await scorer.score(args.prompts.map((prompt, i) => ({ prompt, completion: args.completions[i] })))).toEqual(expected);
  });

  it("are freed", async () => {
    const { engine, device } = await start();
    const before = device.counters.liveBytes;
    const model = await engine.newModel(tiny);
    const copy = await model.clone();
    await copy.generate({ prompts: ["a"], maxNewTokens: 4 });
    await copy.dispose();
    await model.dispose();
    expect(device.counters.liveBytes).toBe(before);
    expect(await thrownBy(copy.generate({ prompts: ["a"] }))).toBeInstanceOf(ConfigError);
  });
});

describe("an engine's errors", () => {
  it("keep class, message, fields and cause", async () => {
    const errors = [
      new OutOfMemoryError("no room", 10, 4),
      new CheckpointError("bad file", { file: "a", tensor: "b" }, { cause: new DataError("bad row", { line: 3, field: "f" }) }),
      new RangeError("plain"),
    ];
    for (const error of errors) {
      const crossed = reasonOf(structuredClone(failure(error))) as typeof error;
      expect(crossed).toBeInstanceOf(error.constructor === RangeError ? Error : error.constructor);
      expect({ ...crossed, message: crossed.message, name: crossed.name }).toEqual({ ...error, message: error.message, name: error.name });
    }
    const crossed = reasonOf(structuredClone(failure(errors[1]))) as CheckpointError;
    expect(crossed.cause).toBeInstanceOf(DataError);
    expect(crossed.cause).toMatchObject({ line: 3, field: "f" });
    expect(reasonOf(failure("a string"))).toBe("a string");
    const typed = Object.values(core).filter((value) => typeof value === "function" && value.prototype instanceof TrimtabError);
    expect(typed.length).toBeGreaterThan(10);
    for (const Class of typed as (new (
      message: string,
    ) => Error)[]) {
      expect(reasonOf(structuredClone(failure(new Class("said"))))).toBeInstanceOf(Class);
    }
  });

  it("are those of the library", async () => {
    const { engine } = await start();
    const model = await engine.newModel(tiny);
    const other = (await start()).engine;
    const cases: [() => Promise<unknown>, new (...args: never[]) => Error, RegExp][] = [
      [async () => engine.loadModel("nowhere"), CheckpointError, /tokenizer.json/],
      [async () => engine.newModel({ ...tiny, shape: { ...tiny.shape, heads: 3 } }), ConfigError, /llama/],
      [async () => model.score([{ prompt: "a", completion: "b" }]), ConfigError, /score head/],
      [async () => model.generate({ prompts: ["a"], temperatures: [-1] }), ConfigError, /temperature/],
      [async () => model.generate({ prompts: ["a"], constraint: { regex: "(" } }), ConstraintError, /regex/],
      [async () => model.generate({ prompts: ["a"], temperatures: [] }), ConfigError, /temperatures/],
      [async () => model.generate({ prompts: [7] }), DataError, /prompt/],
      [async () => model.inspect({ prompt: "", completion: "b" }), DataError, /prompt/],
      [async () => (await model.toRewardModel(1)).generate({ prompts: ["a"] }), ConfigError, /score head/],
      [
        async () => (await other.newModel(tiny)).inspect({ prompt: "a", completion: "b", reference: model as EngineModel<string> }),
        ConfigError,
        /another engine/,
      ],
      [async () => engine.train("sft", { model, dataset: [{ text: "a" }, { text: 3 }] as DatasetRow[] }), DataError, /line 2/],
      [
        async () => engine.train("sft", { model, dataset: [{ text: "a" }], learningRate: -1, maxSteps: 0 }),
        ConfigError,
        /learningRate.*maxSteps|maxSteps.*learningRate/,
      ],
      [
        async () => engine.train("sft", { model: undefined as never, dataset: [] }),
        ConfigError,
        /`model`: it must be a model of this engine/,
      ],
      [async () => engine.train("nothing" as "sft", { model, dataset: [] }), ConfigError, /one of sft/],
    ];
    for (const [ask, type, message] of cases) {
      const error = await thrownBy(ask());
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toMatch(message);
    }
  });

  it("tell that the engine is closed", async () => {
    const { engine } = await start();
    const model = await engine.newModel({ ...tiny, shape: { ...tiny.shape, maxPositions: 4096 } });
    const waiting = thrownBy(model.generate({ prompts: ["a"], maxNewTokens: 4000, seed: 2 }));
    await engine.close();
    expect(await waiting).toBeInstanceOf(DeviceError);
    expect(await thrownBy(model.clone())).toBeInstanceOf(DeviceError);
    await engine.close();
  });
});
