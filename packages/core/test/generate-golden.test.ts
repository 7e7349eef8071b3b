/** Greedy generation against transformers: six small models, and the real stories260K. */
import { existsSync, readFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import type { ReadableDirectory } from "../src/checkpoint/files";
import { generate } from "../src/generate/generate";
import { loadLanguageModel } from "../src/models/language-model";

const at = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

function directory(path: string): ReadableDirectory {
  return {
    path,
    async open(name) {
      const file = `${path}/${name}`;
      if (!existsSync(file)) return undefined;
      const handle = await open(file);
      return {
        name,
        size: (await stat(file)).size,
        async read(offset, length) {
          const bytes = new Uint8Array(length);
          await handle.read(bytes, 0, length, offset);
          return bytes;
        },
        close: () => handle.close(),
      };
    },
  };
}

/** Log-probabilities are stored with six decimals; the rest is f32 rounding in PyTorch. */
const LOGP_TOLERANCE = 1e-5;

interface Greedy {
  readonly prompt_ids_left_padded: number[][];
  readonly prompt_attention_mask: number[][];
  readonly new_tokens: number[][];
  readonly new_token_logprobs: number[][];
}

describe("greedy generation equals transformers' (reference)", () => {
  let device: Device;
  beforeAll(() => {
    device = createReferenceDevice();
  });
  afterAll(() => device.destroy());

  it.each(["gpt2", "llama-untied", "llama-tied", "qwen2", "qwen3", "llama3-rope"])("%s", async (name) => {
    const path = at(`fixtures/models/${name}`);
    const golden: Greedy = json(`${path}/golden.json`).greedy;
    const decoder = await loadDecoder(device, directory(path));
    const prompts = golden.prompt_ids_left_padded.map((row, i) =>
      Uint32Array.from(row.filter((_, t) => golden.prompt_attention_mask[i]?.[t])),
    );
    const maxNewTokens = golden.new_tokens[0]?.length;
    const completions = await generate({ model: { decoder }, prompts, maxNewTokens, temperature: 0, eosTokenIds: [] });
    expect(completions.map(({ tokens }) => [...tokens])).toEqual(golden.new_tokens);
    completions.forEach(({ logps }, i) => {
      const worst = logps.reduce((most, logp, t) => Math.max(most, Math.abs(logp - (golden.new_token_logprobs[i]?.[t] as number))), 0);
      expect(worst).toBeLessThan(LOGP_TOLERANCE);
    });
    decoder.dispose();
  });

  const stories = at("../shared/data/weights/stories260K");
  it.skipIf(!existsSync(stories))("stories260K, as text (skipped where the weights are not beside the repository)", async () => {
    const golden: { prompt: string; prompt_ids: number[]; new_ids: number[]; text: string } = json(`${stories}/golden.json`).greedy;
    const model = await loadLanguageModel(device, directory(stories));
    const [completion] = await generate({
      model,
      prompts: [Uint32Array.from(golden.prompt_ids)],
      maxNewTokens: golden.new_ids.length,
      temperature: 0,
    });
    expect([...(completion?.tokens ?? [])]).toEqual(golden.new_ids);
    const whole = [...(completion?.promptTokens ?? []), ...(completion?.tokens ?? [])];
    expect(model.tokenizer.decode(whole, { skipSpecialTokens: true })).toBe(golden.text);
    expect(golden.text).toBe(golden.prompt + completion?.text);
    model.decoder.dispose();
  });
});
