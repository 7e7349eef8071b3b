/** Model directories and checkpoints on disk: nothing half-written is ever taken for whole. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type FileContents,
  type LanguageModel,
  latestCheckpoint,
  loadLanguageModel,
  loadState,
  newLanguageModel,
  saveCheckpoint,
  saveLanguageModel,
  Tokenizer,
  type TrainingState,
} from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeDirectory } from "../src/files";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "trimtab-files-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const text = (path: string) => readFileSync(join(root, path), "utf8");
const files = (contents: Record<string, FileContents>) => new Map(Object.entries(contents));

async function* chunks(...parts: (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield Buffer.from(part);
  }
}

describe("reading", () => {
  it("gives exactly the bytes asked for, and refuses others", async () => {
    writeFileSync(join(root, "a"), "0123456789");
    const source = await nodeDirectory(root).open("a");
    if (!source) throw new Error("a must open");
    expect(source.size).toBe(10);
    expect(Buffer.from(await source.read(3, 4)).toString()).toBe("3456");
    expect((await source.read(10, 0)).length).toBe(0);
    await expect(source.read(8, 3)).rejects.toMatchObject({ code: "CHECKPOINT", file: "a" });
    await expect(source.read(-1, 2)).rejects.toMatchObject({ code: "CHECKPOINT" });
    // The file shrinks after it was opened.
    writeFileSync(join(root, "a"), "01");
    await expect(source.read(0, 10)).rejects.toThrow(/end at 2. The file is truncated/);
    await source.close();
  });

  it("has no files where there are none, and refuses what is not a file", async () => {
    mkdirSync(join(root, "folder"));
    expect(await nodeDirectory(root).open("nothing")).toBeUndefined();
    expect(await nodeDirectory(join(root, "nowhere")).open("nothing")).toBeUndefined();
    await expect(nodeDirectory(root).open("folder")).rejects.toMatchObject({ code: "CHECKPOINT", file: "folder" });
  });
});

describe("writing", () => {
  it("makes a directory with all of its files", async () => {
    const directory = nodeDirectory(join(root, "deep", "model"));
    await directory.write(files({ "a.txt": "naïve 名", b: Buffer.from([1, 2]), c: chunks("one ", "two") }));
    expect(text("deep/model/a.txt")).toBe("naïve 名");
    expect(text("deep/model/c")).toBe("one two");
    expect(readdirSync(join(root, "deep"))).toEqual(["model"]);
  });

  it("leaves other files of a directory alone, or replaces them where asked", async () => {
    const directory = nodeDirectory(join(root, "model"));
    await directory.write(files({ a: "1", b: "1" }));
    await directory.write(files({ a: "2" }));
    expect([text("model/a"), text("model/b")]).toEqual(["2", "1"]);
    await directory.write(files({ a: "3" }), { replace: true });
    expect(readdirSync(join(root, "model"))).toEqual(["a"]);
    expect(readdirSync(root)).toEqual(["model"]);
  });

  it.each([false, true])("that fails leaves everything as it was (replace %s)", async (replace) => {
    const directory = nodeDirectory(join(root, "model"));
    await directory.write(files({ a: "1", b: "1" }));
    const failing = files({ a: "2", b: chunks("2", new Error("planned")) });
    await expect(directory.write(failing, { replace })).rejects.toThrow("planned");
    expect([text("model/a"), text("model/b")]).toEqual(["1", "1"]);
    expect(readdirSync(join(root, "model")).sort()).toEqual(["a", "b"]);
    expect(readdirSync(root)).toEqual(["model"]);
  });

  it("that fails makes no directory", async () => {
    await expect(nodeDirectory(join(root, "model")).write(files({ a: chunks("2", new Error("planned")) }))).rejects.toThrow("planned");
    expect(readdirSync(root)).toEqual([]);
  });

  it("lists directories and removes them", async () => {
    const tree = nodeDirectory(join(root, "run"));
    expect(await tree.list()).toEqual([]);
    await tree.child("checkpoint-1").write(files({ a: "1" }));
    await tree.child("checkpoint-2").write(files({ a: "2" }));
    writeFileSync(join(root, "run", "metrics.jsonl"), "");
    expect([...(await tree.list())].sort()).toEqual(["checkpoint-1", "checkpoint-2"]);
    await tree.remove("checkpoint-1");
    expect(readdirSync(join(root, "run")).sort()).toEqual(["checkpoint-2", "metrics.jsonl"]);
  });
});

/** A model and a state of it whose weights say which step it is. */
function madeModel(): { model: LanguageModel; stateAt: (step: number) => TrainingState } {
  const tokenizer = Tokenizer.train(["some words"], { vocabSize: 258 });
  const model = newLanguageModel(createReferenceDevice(), { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 8 }, tokenizer, 1);
  const filled = (value: number) =>
    new Map(model.decoder.parameters.all.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value)]));
  const stateAt = (step: number): TrainingState => ({
    algorithm: "sft",
    step,
    weights: filled(step),
    optimizer: { count: step, m: filled(step / 2), v: filled(step / 4) },
    others: new Map(),
    run: { step },
  });
  return { model, stateAt };
}

describe("a model", () => {
  it("comes back from disk as it was", async () => {
    const { model } = madeModel();
    await saveLanguageModel(model, nodeDirectory(join(root, "model")));
    const again = await loadLanguageModel(model.decoder.device, nodeDirectory(join(root, "model")));
    expect(again.decoder.config).toEqual(model.decoder.config);
    for (const p of model.decoder.parameters.all) {
      expect(await again.decoder.device.read(again.decoder.parameters.get(p.name).value)).toEqual(await model.decoder.device.read(p.value));
    }
  });
});

describe("checkpoints", () => {
  const { model, stateAt } = madeModel();
  const description = { config: model.decoder.config, tokenizer: model.tokenizer };
  const save = (step: number) => saveCheckpoint(stateAt(step), description, nodeDirectory(root), { saveTotalLimit: 2 });

  it("come back, and only the last two stay", async () => {
    for (const step of [1, 2, 3]) await save(step);
    expect(readdirSync(root).sort()).toEqual(["checkpoint-2", "checkpoint-3"]);
    const latest = await latestCheckpoint(nodeDirectory(root));
    expect(latest?.step).toBe(3);
    if (latest) expect(await loadState(latest.directory)).toEqual(stateAt(3));
  });

  it("may be written again at the same step", async () => {
    await save(1);
    await save(1);
    expect(readdirSync(root)).toEqual(["checkpoint-1"]);
  });

  it("a crash at any file leaves the one before, and the next save cleans up", async () => {
    await save(1);
    const names = readdirSync(join(root, "checkpoint-1"));
    for (let whole = 0; whole <= names.length; whole++) {
      // What a process killed in the middle of writing checkpoint-2 leaves: some files whole, one cut, none renamed.
      const left = join(root, "tmp-checkpoint-2");
      mkdirSync(left, { recursive: true });
      names.forEach((name, i) => {
        const bytes = readFileSync(join(root, "checkpoint-1", name));
        if (i < whole) writeFileSync(join(left, name), bytes);
        else if (i === whole) writeFileSync(join(left, name), bytes.subarray(0, bytes.length >> 1));
      });
      expect((await latestCheckpoint(nodeDirectory(root)))?.step).toBe(1);
    }
    await save(2);
    expect(readdirSync(root).sort()).toEqual(["checkpoint-1", "checkpoint-2"]);
    expect((await latestCheckpoint(nodeDirectory(root)))?.step).toBe(2);
  });

  it("a crash in the middle of a removal leaves no half checkpoint", async () => {
    for (const step of [1, 2]) await save(step);
    rmSync(join(root, "checkpoint-2", "model.safetensors"));
    expect((await latestCheckpoint(nodeDirectory(root)))?.step).toBe(1);
    mkdirSync(join(root, "tmp-removed-checkpoint-0"));
    await save(3);
    expect(existsSync(join(root, "tmp-removed-checkpoint-0"))).toBe(false);
  });

  it("a truncated one is passed over, a damaged one is refused by name", async () => {
    for (const step of [1, 2]) await save(step);
    const path = join(root, "checkpoint-2", "optimizer.safetensors");
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, -1));
    expect((await latestCheckpoint(nodeDirectory(root)))?.step).toBe(1);
    bytes[bytes.length - 10] = (bytes[bytes.length - 10] as number) ^ 4;
    writeFileSync(path, bytes);
    await expect(loadState(nodeDirectory(join(root, "checkpoint-2")))).rejects.toMatchObject({
      code: "CHECKPOINT",
      file: "optimizer.safetensors",
    });
  });
});
