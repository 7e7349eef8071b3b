/// <reference types="node" />
/** Models against PyTorch's numbers: logits, log-probabilities, loss, every gradient, three AdamW steps; and every way to load them. */
import { existsSync, readFileSync } from "node:fs";
import { type Device, elementCount } from "@trimtab/kernels";
import { describe, expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { type Batch, collate } from "../src/data/batch";
import type { Decoder } from "../src/models/decoder";
import { loadLanguageModel } from "../src/models/language-model";
import { batchLogprobs } from "../src/models/logprobs";
import { logits } from "../src/nn/head";
import { AdamW } from "../src/optim/adamw";
import { describeDevices, slack } from "./devices";
import { at, diskDirectory } from "./fixture-files";
import { exported, folder, goldenOf, openFile, readIo, relativeL2, TOLERANCE, worstDifference } from "./golden-model";

async function logitsOf(decoder: Decoder, batch: Batch): Promise<Float32Array> {
  const tape = new Tape(decoder.device, { grad: false });
  const hidden = decoder.forward(tape, batch);
  const values = (await decoder.device.read(logits(tape, hidden, decoder.head))) as Float32Array;
  tape.dispose();
  return values;
}

/** Mean negative log-likelihood of the targets; its gradient is left in the parameters. */
async function lossAndGradients(decoder: Decoder, batch: Batch, checkpoint = false): Promise<{ loss: number; logprobs: Float32Array }> {
  const { device } = decoder;
  decoder.parameters.zeroGrads();
  const tape = new Tape(device, { checkpoint });
  const { logp } = batchLogprobs(tape, decoder, batch);
  const logprobs = (await device.read(logp)) as Float32Array;
  tape.backward([[logp, tape.constant(new Float32Array(logprobs.length).fill(-1 / logprobs.length))]]);
  tape.dispose();
  return { loss: -logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length, logprobs };
}

const trained = ["gpt2", "llama-untied", "llama-tied", "qwen2", "qwen3", "llama3-rope"];

/** Without AdamW steps; their configurations are as transformers 5 writes them. */
const families = ["mistral", "gemma2", "gemma3", "phi3", "smollm3", "olmo2"];

/** The same, of rotary positions that are scaled. */
const scaled = ["phi3-longrope", "qwen2-yarn", "llama-yarn", "llama-dynamic", "llama-linear"];

const LEARNING_RATE = 1e-3;

describeDevices("golden models", (device) => {
  describe.each([...trained, ...families, ...scaled])("%s", (name) => {
    const golden = goldenOf(name);
    const allowed = slack(device);

    it("logits, log-probabilities, loss and every gradient", async () => {
      const io = await readIo(name);
      const decoder = await loadDecoder(device, diskDirectory(folder(name)));
      expect(worstDifference(await logitsOf(decoder, io.batch), io.logits)).toBeLessThan(allowed * TOLERANCE.logits);
      const { loss, logprobs } = await lossAndGradients(decoder, io.batch);
      expect(worstDifference(logprobs, io.logprobs as Float32Array)).toBeLessThan(allowed * TOLERANCE.logprobs);
      expect(Math.abs(loss - golden.loss)).toBeLessThan(allowed * TOLERANCE.loss);
      const gradients = await exported(decoder, (p) => p.grad);
      const file = await openFile(name, "grads.safetensors");
      expect([...file.tensors.keys()].sort()).toEqual([...gradients.keys()].sort());
      for (const [tensor, gradient] of gradients) {
        expect(golden.grad_stride?.[tensor] ?? 1).toBe(1);
        const error = relativeL2(gradient, await file.readFloats(tensor));
        expect.soft(error, `gradient of ${tensor}`).toBeLessThan(allowed * TOLERANCE.gradient);
      }
      decoder.dispose();
    });

    it.skipIf(!trained.includes(name))("three AdamW steps", async () => {
      const { batch } = await readIo(name);
      const { adamw } = golden;
      const decoder = await loadDecoder(device, diskDirectory(folder(name)));
      const optimizer = new AdamW(decoder.parameters, {
        betas: [0.9, 0.95],
        eps: 1e-8,
        weightDecay: 0.1,
        decays: () => true,
        maxGradNorm: 1,
      });
      for (let step = 0; step < 3; step++) {
        const { loss } = await lossAndGradients(decoder, batch);
        // Each step starts from parameters that already differ by rounding, as PyTorch's own do.
        expect(Math.abs(loss - (adamw.losses_before_each_step_and_after[step] as number))).toBeLessThan(allowed * 1e-5);
        const { gradNorm, skipped } = await optimizer.step(LEARNING_RATE);
        expect(skipped).toBe(false);
        const norm = adamw.grad_norm_before_clip[step] as number;
        expect(Math.abs(gradNorm - norm) / norm).toBeLessThan(allowed * TOLERANCE.gradient);
      }
      const after = await exported(decoder, (p) => p.value);
      const file = await openFile(name, "params_after.safetensors");
      const gradients = await openFile(name, "grads.safetensors");
      for (const [tensor, values] of after) {
        const stride = adamw.stride[tensor] as number;
        const noise = adamw.after_f32_vs_f64_max_abs[tensor] as number;
        const expected = await file.readFloats(tensor);
        const limit = Math.max(TOLERANCE.parameters, 5 * noise);
        // Adam's first step is lr sign(g): a parameter whose gradient is noise may go either way, and with it go later gradients of all, by up to a
        // thousandth of their size as measured. It moves a parameter by as much of lr as it is of that parameter's own gradient.
        const gradient = await gradients.readFloats(tensor);
        const drift = 1e-3 * Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0) / gradient.length);
        const excess = expected.map((value, i) => {
          const unsure = Math.min(2, drift / Math.abs(gradient[i * stride] as number));
          return Math.abs((values[i * stride] as number) - value) - 3 * LEARNING_RATE * unsure;
        });
        expect.soft(Math.max(...excess), `${tensor} after three steps`).toBeLessThan(allowed * limit);
        // The values between the strides: by the norm, which moves by at most their error.
        const l2 = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
        const change = Math.abs(l2 - (adamw.after_stats[tensor]?.l2 as number));
        expect.soft(change, `norm of ${tensor} after three steps`).toBeLessThan(allowed * limit * Math.sqrt(values.length));
      }
      optimizer.dispose();
      decoder.dispose();
    });

    it.skipIf(!trained.includes(name) && !["gemma2", "olmo2"].includes(name))(
      "gives the same bits with gradient checkpointing",
      async () => {
        const { batch } = await readIo(name);
        const decoder = await loadDecoder(device, diskDirectory(folder(name)));
        await lossAndGradients(decoder, batch);
        const whole = await exported(decoder, (p) => p.grad);
        await lossAndGradients(decoder, batch, true);
        for (const [tensor, gradient] of await exported(decoder, (p) => p.grad)) expect(gradient).toEqual(whole.get(tensor));
        decoder.dispose();
      },
    );
  });

  it.each(["gpt2-hubnames", "llama-bf16-sharded"])("%s loads", async (name) => {
    const { batch, logits } = await readIo(name);
    const decoder = await loadDecoder(device, diskDirectory(folder(name)));
    expect(worstDifference(await logitsOf(decoder, batch), logits)).toBeLessThan(slack(device) * TOLERANCE.logits);
    decoder.dispose();
  });

  it.each([...trained, "llama-bf16-sharded"])("%s reads the same through the configuration that transformers 5 writes", async (name) => {
    const { batch, logits } = await readIo(name);
    const directory = diskDirectory(folder(name));
    const decoder = await loadDecoder(device, {
      path: directory.path,
      open: (file) => directory.open(file === "config.json" ? "config.v5.json" : file),
    });
    expect(worstDifference(await logitsOf(decoder, batch), logits)).toBeLessThan(slack(device) * TOLERANCE.logits);
    decoder.dispose();
  });

  it("leaves no memory behind", async () => {
    const before = device.counters.liveBytes;
    const decoder = await loadDecoder(device, diskDirectory(folder("qwen3")));
    const optimizer = new AdamW(decoder.parameters);
    const { batch } = await readIo("qwen3");
    for (const checkpoint of [false, true]) {
      await lossAndGradients(decoder, batch, checkpoint);
      await optimizer.step(LEARNING_RATE);
    }
    optimizer.dispose();
    decoder.dispose();
    expect(device.counters.liveBytes).toBe(before);
  });

  storiesTests(device);
});

/** A real model of 260 thousand parameters, where its files are beside the repository. */
function storiesTests(device: Device): void {
  const path = at("../shared/data/weights/stories260K");
  if (!existsSync(path)) {
    it.skip("stories260K: its weights are not beside the repository (shared/data/weights)", () => {});
    return;
  }
  it("stories260K gives transformers' log-probabilities", async () => {
    const {
      ids,
      token_logprobs: expected,
      mean_nll: nll,
    } = JSON.parse(readFileSync(`${path}/golden.json`, "utf8")).score as {
      ids: number[];
      token_logprobs: number[];
      mean_nll: number;
    };
    const model = await loadLanguageModel(device, diskDirectory(path));
    const batch = collate([{ tokens: Uint32Array.from(ids), mask: new Uint8Array(ids.length).fill(1) }], model.decoder.config.vocabSize);
    const tape = new Tape(device, { grad: false });
    const logprobs = (await device.read(batchLogprobs(tape, model.decoder, batch).logp)) as Float32Array;
    tape.dispose();
    expect(worstDifference(logprobs, expected)).toBeLessThan(slack(device) * TOLERANCE.logprobs);
    expect(Math.abs(-logprobs.reduce((a, b) => a + b, 0) / logprobs.length - nll)).toBeLessThan(slack(device) * TOLERANCE.loss);
    model.decoder.dispose();
  });
}

describeDevices("activation checkpointing", (device) => {
  it("holds fewer activations at once", async () => {
    const { batch } = await readIo("llama-untied");
    const decoder = await loadDecoder(device, diskDirectory(folder("llama-untied")));
    decoder.parameters.grads();
    const heldAfterForward = (checkpoint: boolean) => {
      const before = device.counters.liveBytes;
      const tape = new Tape(device, { checkpoint });
      decoder.forward(tape, batch);
      const held = device.counters.liveBytes - before;
      tape.dispose();
      return held;
    };
    expect(heldAfterForward(true)).toBeLessThan(0.3 * heldAfterForward(false));
    decoder.dispose();
  });

  it("frees each layer's tensors when nothing is recorded", async () => {
    const { batch } = await readIo("llama-untied");
    const decoder = await loadDecoder(device, diskDirectory(folder("llama-untied")));
    const before = device.counters.liveBytes;
    const tape = new Tape(device, { grad: false });
    const hidden = decoder.forward(tape, batch);
    const stream = 4 * elementCount(hidden.shape);
    // What remains: the embedding's output, one stream per layer, the final norm, and the uploaded ids.
    expect(device.counters.liveBytes - before).toBeLessThan((decoder.config.layers + 3) * stream);
    tape.dispose();
    expect(device.counters.liveBytes).toBe(before);
    decoder.dispose();
  });
});
