/// <reference types="node" />
/** Greedy generation against transformers: six small models, and the real stories260K. */
import { existsSync, readFileSync } from "node:fs";
import { expectClose } from "@trimtab/kernels/conformance";
import { expect, it } from "vitest";
import { loadDecoder } from "../src/checkpoint/decoder-weights";
import { generate } from "../src/generate/generate";
import { loadLanguageModel } from "../src/models/language-model";
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

describeDevices("greedy generation equals transformers'", (device) => {
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

  const stories = at("../shared/data/weights/stories260K");
  it.skipIf(!existsSync(stories))("stories260K, as text (skipped where the weights are not beside the repository)", async () => {
    const golden: { prompt: string; prompt_ids: number[]; new_ids: number[]; text: string } = json(`${stories}/golden.json`).greedy;
    const model = await loadLanguageModel(device, diskDirectory(stories));
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
