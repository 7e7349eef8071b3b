/** `trimtab bench`: the rates of single ops and of a small training step on one device. */
import { AdamW, batchLogprobs, collate, Decoder, type Device, nllLoss, parseConfig, Tape } from "@trimtab/core";
import { cases, measure, type Values } from "@trimtab/kernels/conformance";
import type { z } from "zod";
import { withDevice } from "../../device";
import type { benchSchema } from "../schemas/bench";

/** The ops where the time of training goes, at the sizes of a small model: 1,024 tokens, 256 channels, a vocabulary of 4,096. */
const OPS: readonly (readonly [entry: string, values: Values])[] = [
  ["matmul_forward", { M: 1024, K: 256, N: 1024 }],
  ["matmul_backward_input", { M: 1024, K: 256, N: 1024 }],
  ["matmul_backward_weight", { M: 1024, K: 256, N: 1024 }],
  ["rms_norm_forward", { N: 1024, C: 256, eps: 1e-5 }],
  ["rms_norm_backward", { N: 1024, C: 256 }],
  ["token_logprob_forward", { N: 1024, C: 256, V: 4096, inverse_temperature: 1, cap: 0 }],
  ["token_logprob_backward", { N: 1024, C: 256, V: 4096, inverse_temperature: 1, cap: 0, first: 0 }],
];

/** A Llama of 2.4 million parameters on 8 rows of 128 tokens. */
const MODEL = {
  model_type: "llama",
  vocab_size: 4096,
  hidden_size: 192,
  intermediate_size: 512,
  num_hidden_layers: 4,
  num_attention_heads: 6,
  tie_word_embeddings: true,
};
const ROWS = 8;
const LENGTH = 128;
const STEPS = 5;

const now = () => performance.now();

export async function runBench(options: z.output<typeof benchSchema>): Promise<number> {
  return withDevice(options, async (device) => {
    const ops = [];
    for (const [name, values] of OPS) {
      const item = cases.find(({ entry }) => entry.name === name);
      if (item) ops.push(await measure(device, item, values, { now, samples: 5 }));
    }
    const step = await measureStep(device);
    if (options.json) {
      const rows = ops.map(({ entry, values, medianMs, gflops, gigabytesPerSecond }) => ({
        entry,
        values,
        medianMs,
        gflops,
        gigabytesPerSecond,
      }));
      console.log(JSON.stringify({ device: device.info, ops: rows, trainingStep: step }, null, 2));
      return 0;
    }
    console.log(`${device.info.name}\n`);
    console.log(`${"op".padEnd(26)}${"ms".padStart(9)}${"GFLOP/s".padStart(10)}${"GB/s".padStart(8)}`);
    for (const { entry, medianMs, gflops, gigabytesPerSecond } of ops) {
      console.log(
        `${entry.padEnd(26)}${medianMs.toFixed(3).padStart(9)}${gflops.toFixed(1).padStart(10)}${gigabytesPerSecond.toFixed(1).padStart(8)}`,
      );
    }
    console.log(
      `\ntraining step: ${step.medianMs.toFixed(1)} ms, ${Math.round(step.tokensPerSecond)} tokens/s, ${(step.parameters / 1e6).toFixed(1)} M parameters`,
    );
    return 0;
  });
}

/** The median time of a step as the trainers take it: forward, loss, backward, clipping, AdamW, one readback. */
async function measureStep(device: Device): Promise<{ medianMs: number; tokensPerSecond: number; parameters: number }> {
  const decoder = new Decoder(device, parseConfig(MODEL));
  decoder.parameters.initialise(1);
  const optimizer = new AdamW(decoder.parameters);
  const tokens = Uint32Array.from({ length: LENGTH + 1 }, (_, i) => (i * 7919) % MODEL.vocab_size);
  const batch = collate(
    Array.from({ length: ROWS }, () => ({ tokens, mask: new Uint8Array(LENGTH + 1).fill(1) })),
    MODEL.vocab_size,
  );
  const times: number[] = [];
  for (let i = 0; i <= STEPS; i++) {
    const begin = now();
    decoder.parameters.zeroGrads();
    const tape = new Tape(device);
    tape.backward(nllLoss(tape, batchLogprobs(tape, decoder, batch).logp, 1 / batch.targets.length));
    tape.dispose();
    await optimizer.step(1e-3);
    if (i > 0) times.push(now() - begin);
  }
  optimizer.dispose();
  decoder.dispose();
  const medianMs = times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
  return { medianMs, tokensPerSecond: (ROWS * LENGTH) / (medianMs / 1000), parameters: decoder.parameters.count };
}
