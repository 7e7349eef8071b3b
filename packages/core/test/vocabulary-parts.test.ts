/** Embeddings and heads in parts: on devices whose buffers are smaller than they are, everything is as where they are whole. */
import { readFileSync } from "node:fs";
import { type Device, fillNormal } from "@trimtab/kernels";
import { expectClose } from "@trimtab/kernels/conformance";
import { createDryDevice } from "@trimtab/kernels/dry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { add } from "../src/autograd/elementwise";
import { rowIndex, tableRows } from "../src/autograd/gather";
import { Tape } from "../src/autograd/tape";
import { tokenLogprob } from "../src/autograd/token-logprob";
import { vocabGather } from "../src/autograd/vocab-gather";
import { vocabPair } from "../src/autograd/vocab-pair";
import { captureOptimizer, captureParameters, restoreOptimizer, restoreParameters } from "../src/checkpoint/capture";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { modelFiles } from "../src/checkpoint/model-files";
import { parameterReader } from "../src/checkpoint/read-parameter";
import { collate } from "../src/data/batch";
import { generate } from "../src/generate/generate";
import type { DecoderConfig } from "../src/models/config";
import { Decoder } from "../src/models/decoder";
import { batchLogprobs } from "../src/models/logprobs";
import { newLora } from "../src/models/lora";
import { mergedCopy } from "../src/models/merge-adapter";
import { logits } from "../src/nn/head";
import { readValues } from "../src/nn/parameter-values";
import type { Parameter, ParameterSet } from "../src/nn/parameters";
import { AdamW } from "../src/optim/adamw";
import type { Tensor } from "../src/tensor/tensor";
import type { TokenTable } from "../src/tensor/token-table";
import { grpo } from "../src/trainers/grpo";
import { sft } from "../src/trainers/sft";
import type { TrainingModel } from "../src/trainers/training-model";
import { trpo } from "../src/trainers/trpo";
import { describeDevices, makeDevice, slack } from "./devices";
import { diskDirectory, MemoryDirectory } from "./fixture-files";
import { llamaConfig } from "./generate-model";
import { exported, folder, goldenOf, openFile, readIo, relativeL2, TOLERANCE, worstDifference } from "./golden-model";
import { f32Bits, parseSafetensors } from "./independent-safetensors";
import { exact, leaves, valuesOf } from "./loss-values";
import { allOf, byteTokenizer, tinyModel } from "./trainer-model";

const rowsOf = ({ parts }: TokenTable) => parts.map(({ value }) => value.shape[0]);
const numbers = (count: number, stream: number, std = 1) => fillNormal(new Float32Array(count), 7, stream, std);

/** The 49,344 bytes of its embedding, which is its head as well, are more than a buffer; the 27,648 of its largest other matrix are not. */
const GOLDEN = { name: "llama3-rope", limit: { maxBufferBytes: 27_648 } };

describeDevices(
  "a golden model whose embedding is in three parts",
  (device) => {
    const { name } = GOLDEN;
    const load = () => loadDecoder(device, diskDirectory(folder(name)));

    it("has PyTorch's loss and gradients, and its weights after three AdamW steps", async () => {
      const golden = goldenOf(name);
      const allowed = slack(device);
      const { batch } = await readIo(name);
      const sequences = Array.from({ length: batch.offsets.length - 1 }, (_, s) => {
        const tokens = batch.tokens.slice(batch.offsets[s], batch.offsets[s + 1]);
        return collate([{ tokens, mask: new Uint8Array(tokens.length).fill(1) }], 257);
      });
      const decoder = await load();
      expect(rowsOf(decoder.head)).toEqual([128, 128, 1]);
      const optimizer = new AdamW(decoder.parameters, {
        betas: [0.9, 0.95],
        eps: 1e-8,
        weightDecay: 0.1,
        decays: () => true,
        maxGradNorm: 1,
      });
      for (let step = 0; step < 3; step++) {
        decoder.parameters.zeroGrads();
        let loss = 0;
        for (const sequence of sequences) {
          const tape = new Tape(device);
          const { logp } = batchLogprobs(tape, decoder, sequence);
          const values = (await device.read(logp)) as Float32Array;
          loss -= values.reduce((sum, value) => sum + value, 0) / batch.targets.length;
          tape.backward([[logp, tape.constant(new Float32Array(values.length).fill(-1 / batch.targets.length))]]);
          tape.dispose();
        }
        expect(Math.abs(loss - (golden.adamw.losses_before_each_step_and_after[step] as number))).toBeLessThan(
          allowed * (step === 0 ? TOLERANCE.loss : 1e-5),
        );
        if (step === 0) {
          const file = await openFile(name, "grads.safetensors");
          for (const [tensor, gradient] of await exported(decoder, (part) => part.grad)) {
            expect.soft(relativeL2(gradient, await file.readFloats(tensor)), tensor).toBeLessThan(allowed * TOLERANCE.gradient);
          }
        }
        const { gradNorm } = await optimizer.step(1e-3);
        const norm = golden.adamw.grad_norm_before_clip[step] as number;
        expect(Math.abs(gradNorm - norm) / norm).toBeLessThan(allowed * TOLERANCE.gradient);
      }
      const after = await openFile(name, "params_after.safetensors");
      for (const [tensor, values] of await exported(decoder, (part) => part.value)) {
        const stride = golden.adamw.stride[tensor] as number;
        const limit = Math.max(TOLERANCE.parameters, 5 * (golden.adamw.after_f32_vs_f64_max_abs[tensor] as number));
        const strided = values.filter((_, i) => i % stride === 0);
        expect.soft(worstDifference(strided, await after.readFloats(tensor)), tensor).toBeLessThan(allowed * limit);
      }
      optimizer.dispose();
      decoder.dispose();
      expect(device.counters.liveBytes).toBe(0);
    });

    it("writes transformers' greedy text", async () => {
      const { greedy } = JSON.parse(readFileSync(`${folder(name)}/golden.json`, "utf8"));
      const decoder = await load();
      const prompts = greedy.prompt_ids_left_padded.map((row: number[], i: number) =>
        Uint32Array.from(row.filter((_, t) => greedy.prompt_attention_mask[i][t])),
      );
      const maxNewTokens = greedy.new_tokens[0].length;
      const completions = await generate({ model: { decoder }, prompts, maxNewTokens, temperature: 0, eosTokenIds: [], prefillTokens: 16 });
      expect(completions.map(({ tokens }) => [...tokens])).toEqual(greedy.new_tokens);
      decoder.dispose();
    });

    it("is written as one tensor, bit for bit what was read", async () => {
      const decoder = await load();
      const directory = new MemoryDirectory();
      await directory.write(modelFiles({ config: decoder.config }, parameterReader(decoder)));
      const tensorsOf = (file: Uint8Array) =>
        new Map(
          [...parseSafetensors(file).tensors].map(([tensor, stored]) => [
            tensor,
            { shape: stored.shape, bits: Buffer.from(f32Bits(stored).buffer).toString("base64") },
          ]),
        );
      const written = tensorsOf(directory.files.get("model.safetensors") as Uint8Array);
      expect(written).toEqual(tensorsOf(readFileSync(`${folder(name)}/model.safetensors`)));
      decoder.dispose();
    });
  },
  ["wasm", "webgpu"],
  GOLDEN.limit,
);

const V = 200;
/** Cut at 64 and 192, or at 128, as two heads of different widths are. */
const CUTS = { fine: [0, 64, 192, V], coarse: [0, 128, V], whole: [0, V] };

/** A table (V, C) and where its gradient accumulates, each part in a buffer of its own. */
function tableIn(tape: Tape, values: Float32Array, width: number, borders: readonly number[]): { table: TokenTable; grads: Tensor[] } {
  const parts = borders.slice(0, -1).map((firstRow, i) => {
    const rows = (borders[i + 1] as number) - firstRow;
    const value = exact(tape, values.subarray(firstRow * width, (firstRow + rows) * width), [rows, width]);
    return { value, grad: tape.constant(new Float32Array(rows * width), [rows, width]), firstRow };
  });
  return { table: { parts }, grads: parts.map(({ grad }) => grad) };
}

type Run = (tape: Tape, hidden: Tensor, table: TokenTable, borders: readonly number[]) => Tensor[];

describeDevices("ops over a vocabulary in parts", (device) => {
  const [N, C, D] = [9, 12, 7];
  const targets = Uint32Array.from([0, 63, 64, 127, 191, 192, 199, 5, 70]);
  const hidden = numbers(N * C, 0);
  // Row 3's target is the most likely token.
  const head = numbers(V * C, 1);
  hidden.set(
    head.subarray(127 * C, 128 * C).map((x) => 2 * x),
    3 * C,
  );

  /** Values of what `run` gives, and the gradients of Σ weight · value to hidden states and table. */
  async function outcome(run: Run, borders: readonly number[]): Promise<number[][]> {
    const tape = new Tape(device);
    const x = exact(tape, hidden, [N, C]);
    const { table, grads } = tableIn(tape, head, C, borders);
    const gradients = leaves(tape, [x]);
    const results = run(tape, x, table, borders);
    const values = await Promise.all(results.map((tensor) => valuesOf(device, tensor)));
    tape.backward(
      results.map((tensor, i) => [tensor, exact(tape, numbers((values[i] as number[]).length, 10 + i), tensor.shape)] as const),
    );
    const dtable = (await Promise.all(grads.map((grad) => valuesOf(device, grad)))).flat();
    const result = [...values, ...(await gradients()), dtable];
    tape.dispose();
    return result;
  }

  const cases: [string, Run][] = [
    ["rows", (tape, x, table) => [add(tape, x, tableRows(tape, table, rowIndex(tape, targets)))]],
    ["logits", (tape, x, table) => [logits(tape, x, { ...table, softCap: 5 })]],
    [
      "log-probabilities",
      (tape, x, table) => {
        const { logp, entropy, lse } = tokenLogprob(tape, x, { ...table, softCap: 5 }, tape.constant(targets), 0.7);
        return [logp, entropy, lse];
      },
    ],
    ["values of tokens", (tape, x, table) => [vocabGather(tape, { hidden: x, head: table, targets: rowIndex(tape, targets) })]],
    ...[0, 0.3, 1].map((beta): [string, Run] => [
      `divergence, beta ${beta}`,
      (tape, x, table, borders) => {
        const fixed = tableIn(tape, numbers(V * D, 2), D, borders === CUTS.fine ? CUTS.coarse : borders).table;
        const other = { hidden: exact(tape, numbers(N * D, 3), [N, D]), head: fixed };
        return [vocabPair(tape, { learning: { hidden: x, head: table, temperature: 1.3 }, fixed: other, beta })];
      },
    ]),
  ];

  it.each(cases)("%s and their gradients are those of the whole", async (_, run) => {
    const [whole, fine] = [await outcome(run, CUTS.whole), await outcome(run, CUTS.fine)];
    // In f32 the order of sums over the vocabulary shows, as far as conformance lets it.
    const tolerance = device.info.kind === "reference" ? 1e-12 : 1e-4;
    for (const [i, values] of fine.entries())
      expectClose(values, whole[i] as number[], { rtol: tolerance, atol: tolerance, scale: "array" });
  });

  it("finds the most likely token in whichever part", async () => {
    const tape = new Tape(device, { grad: false });
    const [whole, fine] = [CUTS.whole, CUTS.fine].map((borders) => {
      const { table } = tableIn(tape, head, C, borders);
      return tokenLogprob(tape, exact(tape, hidden, [N, C]), table, tape.constant(targets)).hit;
    });
    const hits = await valuesOf(device, fine as Tensor);
    expect(hits[3]).toBe(1);
    expect(hits).toEqual(await valuesOf(device, whole as Tensor));
    tape.dispose();
  });
});

/** The embedding of the tiny model, 257 rows of 16 channels, is in parts of 128 rows at most. */
const SMALL = { maxBufferBytes: 8192 };

describeDevices(
  "training with a vocabulary in parts",
  (device, name) => {
    let whole: Device;
    beforeAll(async () => {
      whole = (await makeDevice(name)) as Device;
    });
    afterAll(() => whole.destroy());

    const valuesOfSet = async ({ device: on, all }: ParameterSet) =>
      new Map(await Promise.all(all.map(async (p) => [p.name, await readValues(on, p)] as const)));
    const training = { learningRate: 1e-2, perDeviceTrainBatchSize: 2, maxSteps: 2, shuffleDataset: false } as const;
    const texts = [{ text: "parted" }, { text: "whole" }, { text: "ab" }];

    /** Weights after the same training on both devices, which must agree. */
    async function compare(
      train: (model: TrainingModel) => Promise<unknown>,
      {
        open = tinyModel,
        tolerance = name === "reference" ? 1e-6 : 2e-4,
      }: { open?: (on: Device) => TrainingModel; tolerance?: number } = {},
    ) {
      const [parted, same] = [open(device), open(whole)];
      expect(rowsOf(parted.decoder.parameter("embedding"))).toEqual([128, 128, 1]);
      for (const model of [parted, same]) await train(model);
      const [a, b] = [await valuesOfSet(parted.decoder.trainable), await valuesOfSet(same.decoder.trainable)];
      const start = await valuesOfSet(open(whole).decoder.trainable);
      expect(worstDifference(b.get("embedding") as Float32Array, start.get("embedding") as Float32Array)).toBeGreaterThan(1e-3);
      // Adam's first steps have the size of the learning rate whatever the gradient's: where that is nearly 0, rounding decides.
      for (const [parameter, values] of a) expect(relativeL2(values, b.get(parameter) as Float32Array), parameter).toBeLessThan(tolerance);
    }

    it("starts from the same weights", async () => {
      const [parted, same] = [tinyModel(device), tinyModel(whole)];
      expect(await valuesOfSet(parted.decoder.parameters)).toEqual(await valuesOfSet(same.decoder.parameters));
    });

    // Blocks that share a scale are counted from the beginning of a buffer, and so hold other values.
    it("trains with moments in 8 bits", () =>
      compare((model) => allOf(sft({ ...training, optim: "adamw_8bit", model, dataset: texts })), { tolerance: 1e-3 }));

    it("trains an adapter that has an embedding of its own, sampling with it, and merges it", async () => {
      const open = (on: Device): TrainingModel => {
        const base = tinyModel(on);
        const lora = { r: 2, targetModules: "all-linear", modulesToSave: ["embed_tokens"] } as const;
        return { ...base, decoder: base.decoder.withAdapter(newLora(base.decoder, lora)) };
      };
      const rewards = ({ completions }: { completions: readonly unknown[] }) => completions.map((_, i) => i % 2);
      const rollouts = { prompts: [{ prompt: "a" }, { prompt: "b" }], rewards, numGenerations: 2, maxCompletionLength: 4 };
      await compare(
        async (model) => {
          await allOf(grpo({ ...training, perDeviceTrainBatchSize: 4, beta: 0.1, maxSteps: 1, ...rollouts, model }));
          const copy = mergedCopy(model.decoder);
          const [merged, own] = [copy, model.decoder].map((decoder) => readValues(decoder.device, decoder.parameter("embedding")));
          expect(await merged).toEqual(await own);
          copy.dispose();
        },
        { open },
      );
    });

    // On one device: what differs is tested above, op by op.
    it.skipIf(name !== "reference")("takes a trust region's step, from the old policy's head in parts", () =>
      compare(async (model) => {
        const rewards = ({ completions }: { completions: readonly unknown[] }) => completions.map((_, i) => i % 3);
        const prompts = [{ prompt: "a" }, { prompt: "b" }];
        await allOf(
          trpo({
            model,
            prompts,
            rewards,
            perDeviceTrainBatchSize: 4,
            numGenerations: 2,
            maxCompletionLength: 4,
            maxSteps: 1,
          }),
        );
      }),
    );

    it("trains a head of its own beside the embedding, both in parts", () =>
      compare((model) => allOf(sft({ ...training, model, dataset: texts })), {
        open: (on) => {
          const decoder = new Decoder(on, { ...tinyModel(on).decoder.config, tied: false });
          decoder.parameters.initialise(2);
          return { decoder, tokenizer: byteTokenizer };
        },
      }));

    it("captures weights and moments as if they were whole, and restores them", async () => {
      const { decoder } = tinyModel(device);
      const optimizer = new AdamW(decoder.parameters);
      for (const { shape, name: of } of decoder.parameters.all)
        expect((await captureParameters(decoder.parameters)).get(of)?.length).toBe(shape.reduce((a, b) => a * b));
      for (const grad of decoder.parameters.grads()) device.write(grad, numbers(grad.shape[0] as number, 4));
      await optimizer.step(1e-3);
      const [weights, state] = [await captureParameters(decoder.parameters), await captureOptimizer(optimizer)];
      const other = tinyModel(whole, { seed: 9 }).decoder;
      const otherOptimizer = new AdamW(other.parameters);
      restoreParameters(other.parameters, weights);
      restoreOptimizer(otherOptimizer, state);
      expect(await captureParameters(other.parameters)).toEqual(weights);
      expect(await captureOptimizer(otherOptimizer)).toEqual(state);
      restoreParameters(decoder.parameters, await captureParameters(other.parameters));
      expect(await captureParameters(decoder.parameters)).toEqual(weights);
    });
  },
  ["reference", "wasm", "webgpu"],
  SMALL,
);

describe("a device with WebGPU's guaranteed buffers of 128 MiB", () => {
  const qwen3: DecoderConfig = {
    ...llamaConfig,
    ...{ modelType: "qwen3", vocabSize: 151_936, hiddenSize: 1024, intermediateSize: 3072, layers: 2, heads: 16, kvHeads: 8, headDim: 128 },
    tied: true,
  };
  const open = (maxBufferBytes: number) =>
    createDryDevice({
      kind: "webgpu",
      name: "planned",
      threads: 1,
      relaxed: false,
      software: false,
      maxBufferBytes,
      memoryBytes: undefined,
    });

  it("holds Qwen3-0.6B's embedding in five parts, with the bytes that it has whole", async () => {
    const [small, large] = [await open(128 * 2 ** 20), await open(4 * 2 ** 30)];
    const [parted, whole] = [new Decoder(small, qwen3), new Decoder(large, qwen3)];
    expect(rowsOf(parted.head)).toEqual([30_400, 30_400, 30_400, 30_400, 30_336]);
    expect(rowsOf(whole.head)).toEqual([151_936]);
    expect(parted.parameters.byteLength).toBe(whole.parameters.byteLength);
    for (const device of [small, large]) await device.destroy();
  });

  it("refuses, by name and with what to do, what cannot be in parts", async () => {
    const device = await open(8 * 2 ** 20);
    expect(() => new Decoder(device, qwen3)).toThrow(
      /parameter `layers.0.attention.qkv` \(4096, 1024\) must fit one buffer of 8388608 bytes .*low precision/,
    );
    await device.destroy();
  });

  it("says that a parameter in parts is no single tensor", async () => {
    const device = await open(128 * 2 ** 20);
    const { parameters } = new Decoder(device, qwen3);
    const parameter: Parameter = parameters.get("embedding");
    expect(() => parameter.value).toThrow(/`embedding` \(151936, 1024\) must lie in one buffer .* 5 parts/);
    await device.destroy();
  });
});
