/// <reference types="node" />
/** Training state: the same bits back, damage found, the newest whole checkpoint chosen, old ones removed. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, describe, expect, it } from "vitest";
import { sum } from "../src/autograd/segment";
import { Tape } from "../src/autograd/tape";
import { captureOptimizer, captureParameters, type OptimizerState, restoreOptimizer, restoreParameters } from "../src/checkpoint/capture";
import { latestCheckpoint, saveCheckpoint } from "../src/checkpoint/checkpoints";
import { crc32 } from "../src/checkpoint/crc32";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { loadState, saveState, type TrainingState } from "../src/checkpoint/state";
import { collate } from "../src/data/batch";
import { CheckpointError } from "../src/errors";
import { Decoder } from "../src/models/decoder";
import { newLanguageModel } from "../src/models/language-model";
import { batchLogprobs } from "../src/models/logprobs";
import { AdamW } from "../src/optim/adamw";
import { Tokenizer } from "../src/tokenizer";
import { describeDevices } from "./devices";
import { MemoryDirectory, MemoryTree } from "./fixture-files";

const tokenizer = Tokenizer.train(["a few words are enough"], { vocabSize: 260 });
const shape = { hiddenSize: 16, layers: 2, heads: 4, kvHeads: 2, maxPositions: 32 };
const batch = collate([{ tokens: Uint32Array.of(5, 9, 200, 3, 77), mask: new Uint8Array(5).fill(1) }], 260);

/** A small training run on one batch. */
class Run {
  readonly decoder: Decoder;
  readonly optimizer: AdamW;

  constructor(device: Device, seed = 1) {
    this.decoder = newLanguageModel(device, shape, tokenizer, seed).decoder;
    this.optimizer = new AdamW(this.decoder.parameters, { weightDecay: 0.1 });
  }

  async train(steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      this.decoder.parameters.zeroGrads();
      const tape = new Tape(this.decoder.device);
      const loss = sum(tape, batchLogprobs(tape, this.decoder, batch).logp);
      tape.backward([[loss, tape.constant(Float32Array.of(-0.25))]]);
      tape.dispose();
      await this.optimizer.step(1e-2);
    }
  }

  async state(step: number): Promise<TrainingState> {
    return {
      algorithm: "sft",
      step,
      weights: await captureParameters(this.decoder.parameters),
      optimizer: await captureOptimizer(this.optimizer),
      others: new Map([
        [
          "value",
          {
            weights: new Map([["score", Float32Array.of(1, -0, 3)]]),
            optimizer: { count: 4, m: new Map([["score", Float32Array.of(1, 2, 3)]]), v: new Map([["score", Float32Array.of(4, 5, 6)]]) },
          },
        ],
        ["reference", { weights: new Map([["a.b", Float32Array.of(0.5)]]), optimizer: undefined }],
      ]),
      run: {
        seen: 12,
        best: Number.NaN,
        losses: [0.1, Number.POSITIVE_INFINITY, -0],
        name: "名\u2028",
        nothing: null,
        nested: { deep: [{}] },
      },
    };
  }

  restore(state: TrainingState): void {
    restoreParameters(this.decoder.parameters, state.weights);
    restoreOptimizer(this.optimizer, state.optimizer as OptimizerState);
  }

  dispose(): void {
    this.optimizer.dispose();
    this.decoder.dispose();
  }
}

describeDevices("resuming", (device) => {
  it("ends where an uninterrupted run ends", async () => {
    const [whole, first, second] = [new Run(device), new Run(device), new Run(device, 99)];
    await whole.train(5);
    await first.train(2);
    const directory = new MemoryDirectory();
    await saveState(await first.state(2), { config: first.decoder.config, tokenizer }, directory);
    second.restore(await loadState(directory));
    await second.train(3);
    const [expected, got] = [await whole.state(5), await second.state(5)];
    if (device.info.kind !== "reference") expect(got).toEqual(expected);
    else {
      // Its f64 cells are rounded to f32 once, in the saved state.
      for (const [name, values] of expected.weights) {
        const other = got.weights.get(name) as Float32Array;
        values.forEach((value, i) => {
          expect(Math.abs(value - (other[i] as number))).toBeLessThan(1e-6);
        });
      }
    }
    for (const run of [whole, first, second]) run.dispose();
  });
});

const device = createReferenceDevice();
afterAll(() => device.destroy());
const run = new Run(device);
await run.train(2);
const state = await run.state(2);
const model = { config: run.decoder.config, tokenizer };

async function saved(): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  await saveState(state, model, directory);
  return directory;
}

describe("a saved state", () => {
  it("comes back whole", async () => {
    expect(await loadState(await saved())).toEqual(state);
  });

  it("is a model directory", async () => {
    const decoder = await loadDecoder(device, await saved());
    expect(await captureParameters(decoder.parameters)).toEqual(state.weights);
    decoder.dispose();
  });

  it("replaces what the directory held", async () => {
    const directory = await saved();
    directory.files.set("old", Uint8Array.of(1));
    await saveState(state, model, directory);
    expect(directory.files.has("old")).toBe(false);
  });

  it("tells any damage to any file", async () => {
    const { files } = await saved();
    for (const [name, bytes] of files) {
      const flipped = Uint8Array.from(bytes);
      flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] as number) ^ 1;
      for (const damaged of [undefined, bytes.slice(0, -2), new Uint8Array(), flipped]) {
        const directory = new MemoryDirectory(files);
        if (damaged) directory.files.set(name, damaged);
        else directory.files.delete(name);
        const error: unknown = await loadState(directory).catch((e) => e);
        expect(error, `${name}, ${damaged?.length} bytes`).toBeInstanceOf(CheckpointError);
        // A manifest that contradicts the others may accuse any of them.
        if (name !== "manifest.json") expect((error as CheckpointError).file).toBe(name);
        expect(directory.log.open).toBe(0);
      }
    }
  });

  it("refuses what JSON cannot hold, with its place", async () => {
    const bad = { ...state, run: { rollout: [{ ids: Uint32Array.of(1) }] } };
    await expect(saveState(bad, model, new MemoryDirectory())).rejects.toThrow(
      /run.rollout\[0\].ids must be a JSON value, got Uint32Array/,
    );
  });

  it("refuses a state without one of the model's parameters", async () => {
    const bad = { ...state, weights: new Map([...state.weights].slice(1)) };
    await expect(saveState(bad, model, new MemoryDirectory())).rejects.toBeInstanceOf(CheckpointError);
  });

  it("refuses to be restored into another model, and leaves that as it was", async () => {
    const other = new Decoder(device, { ...run.decoder.config, layers: 1 });
    other.parameters.initialise(4);
    const before = await captureParameters(other.parameters);
    expect(() => restoreParameters(other.parameters, state.weights)).toThrow(/layers.1.* one that it does not have/);
    const wide = new Decoder(device, { ...run.decoder.config, intermediateSize: 64 });
    expect(() => restoreParameters(wide.parameters, state.weights)).toThrow(/mlp.up` must have 2048 values/);
    expect(await captureParameters(other.parameters)).toEqual(before);
    other.dispose();
    wide.dispose();
  });
});

describe("the checkpoints of a run", () => {
  const at = (step: number): TrainingState => ({ ...state, step });

  it("the newest whole one is found", async () => {
    const tree = new MemoryTree();
    expect(await latestCheckpoint(tree)).toBeUndefined();
    for (const step of [9, 10, 100]) await saveCheckpoint(at(step), model, tree);
    expect((await latestCheckpoint(tree))?.step).toBe(100);
    const newest = tree.child("checkpoint-100");
    newest.files.set("optimizer.safetensors", (newest.files.get("optimizer.safetensors") as Uint8Array).slice(0, -4));
    expect((await latestCheckpoint(tree))?.name).toBe("checkpoint-10");
    tree.child("checkpoint-10").files.delete("manifest.json");
    tree.child("tmp-checkpoint-200").files.set("manifest.json", Buffer.from('{"files":{}}'));
    const found = await latestCheckpoint(tree);
    expect(found?.step).toBe(9);
    if (found) expect((await loadState(found.directory)).step).toBe(9);
  });

  it("only the last few are kept, and leftovers go", async () => {
    const tree = new MemoryTree();
    tree.child("tmp-checkpoint-1").files.set("x", Uint8Array.of(1));
    tree.child("report").files.set("x", Uint8Array.of(1));
    for (const step of [1, 2, 3, 4]) await saveCheckpoint(at(step), model, tree, { saveTotalLimit: 2 });
    expect([...(await tree.list())].sort()).toEqual(["checkpoint-3", "checkpoint-4", "report"]);
    // A run started over: its own checkpoint is not the one to go.
    await saveCheckpoint(at(1), model, tree, { saveTotalLimit: 1 });
    expect([...(await tree.list())].sort()).toEqual(["checkpoint-1", "report"]);
  });
});

describe("crc32", () => {
  const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

  it("is that of zip", () => {
    expect(crc32(ascii("123456789"))).toBe(0xcbf43926);
    expect(crc32(ascii("The quick brown fox jumps over the lazy dog"))).toBe(0x414fa339);
    expect(crc32(new Uint8Array())).toBe(0);
  });

  it("continues across chunks of any length", () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 89) & 255);
    for (let cut = 0; cut <= 100; cut += 7) expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(crc32(bytes));
  });
});
