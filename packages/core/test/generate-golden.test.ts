/// <reference types="node" />
/** Generation against transformers' greedy text and against the whole forward pass: fourteen small models, and the real stories260K. */
import { existsSync, readFileSync } from "node:fs";
import { expectClose } from "@trimtab/kernels/conformance";
import { expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { collate } from "../src/data/batch";
import { generate } from "../src/generate/generate";
import { loadLanguageModel } from "../src/models/language-model";
import { batchLogprobs } from "../src/models/logprobs";
import { describeDevices, slack } from "./devices";
import { at, diskDirectory } from "./fixture-files";

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

/** Log-probabilities are stored with six decimals; the rest is f32 rounding in PyTorch. */
const LOGP_TOLERANCE = 1e-5;

interface Greedy {
  readonly prompt_ids_left_padded: number[][];
  readonly prompt_attention_mask: number[][];
  readonly new_tokens: number[][];
  readonly new_token_logprobs: number[][];
}

/** Prompts of one length, tokens only. */
interface PlainGreedy {
  readonly prompt_ids: number[][];
  readonly new_tokens: number[][];
}

describeDevices("greedy generation equals transformers'", (device, deviceName) => {
  it.each(["gpt2", "llama-untied", "llama-tied", "qwen2", "qwen3", "llama3-rope"])("%s", async (name) => {
    const path = at(`fixtures/models/${name}`);
    const golden: Greedy = json(`${path}/golden.json`).greedy;
    const decoder = await loadDecoder(device, diskDirectory(path));
    const prompts = golden.prompt_ids_left_padded.map((row, i) =>
      Uint32Array.from(row.filter((_, t) => golden.prompt_attention_mask[i]?.[t])),
    );
    const maxNewTokens = golden.new_tokens[0]?.length;
    const completions = await generate({ model: { decoder }, prompts, maxNewTokens, temperature: 0, eosTokenIds: [] });
    expect(completions.map(({ tokens }) => [...tokens])).toEqual(golden.new_tokens);
    for (const [i, { logps }] of completions.entries()) {
      expectClose(logps, golden.new_token_logprobs[i] as number[], { rtol: 0, atol: LOGP_TOLERANCE * slack(device) });
    }
    decoder.dispose();
  });

  it.each(["mistral", "gemma2", "gemma3", "phi3", "smollm3", "olmo2", "phi3-longrope", "qwen2-yarn"])(
    "%s, and sampled text has the log-probabilities of the whole forward pass",
    async (name) => {
      const path = at(`fixtures/models/${name}`);
      const golden: PlainGreedy = json(`${path}/golden.json`).greedy;
      const decoder = await loadDecoder(device, diskDirectory(path));
      const prompts = golden.prompt_ids.map((ids) => Uint32Array.from(ids));
      const shared = { model: { decoder }, prompts, eosTokenIds: [], blockSize: 5, stepsPerRead: 7 };
      const greedy = await generate({ ...shared, maxNewTokens: golden.new_tokens[0]?.length, temperature: 0 });
      expect(greedy.map(({ tokens }) => [...tokens])).toEqual(golden.new_tokens);

      const sampled = await generate({ ...shared, n: 2, maxNewTokens: 25, temperature: 0.9, seed: 3 });
      const batch = collate(
        sampled.map(({ promptTokens, tokens }) => ({
          tokens: Uint32Array.from([...promptTokens, ...tokens]),
          mask: Uint8Array.from([...promptTokens, ...tokens], (_, i) => (i < promptTokens.length ? 0 : 1)),
        })),
        decoder.config.vocabSize,
      );
      const tape = new Tape(device, { grad: false });
      const whole = (await device.read(batchLogprobs(tape, decoder, batch, 0.9).logp)) as Float32Array;
      tape.dispose();
      expectClose(Float32Array.from(sampled.flatMap(({ logps }) => [...logps])), whole, { rtol: 0, atol: LOGP_TOLERANCE * slack(device) });
      decoder.dispose();
    },
  );

  const stories = at("../shared/data/weights/stories260K");
  it.skipIf(!existsSync(stories))("stories260K, as text (skipped where the weights are not beside the repository)", async () => {
    const golden: { prompt: string; prompt_ids: number[]; new_ids: number[]; text: string } = json(`${stories}/golden.json`).greedy;
    const model = await loadLanguageModel(device, diskDirectory(stories));
    // An emulated GPU takes a twentieth of a second for a token.
    const maxNewTokens = deviceName === "webgpu" ? 40 : golden.new_ids.length;
    const [completion] = await generate({ model, prompts: [Uint32Array.from(golden.prompt_ids)], maxNewTokens, temperature: 0 });
    expect([...(completion?.tokens ?? [])]).toEqual(golden.new_ids.slice(0, maxNewTokens));
    if (deviceName === "webgpu") return model.decoder.dispose();
    const whole = [...(completion?.promptTokens ?? []), ...(completion?.tokens ?? [])];
    expect(model.tokenizer.decode(whole, { skipSpecialTokens: true })).toBe(golden.text);
    expect(golden.text).toBe(golden.prompt + completion?.text);
    model.decoder.dispose();
  });
});
