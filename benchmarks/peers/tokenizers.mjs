/** The peers' tokenizers behind one small surface: each loads when asked, and encodes text to ids. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

/** cl100k as OpenAI publishes it. */
export const ranks = () =>
  readFileSync(fileURLToPath(new URL("node_modules/gpt-tokenizer/data/cl100k_base.tiktoken", import.meta.url)), "utf8");

const loaders = {
  async "gpt-tokenizer"() {
    const { encode, decode } = await import("gpt-tokenizer/encoding/cl100k_base");
    return { encode: (text) => encode(text, { disallowedSpecial: new Set() }), decode };
  },
  async tiktoken() {
    const { Tiktoken } = await import("tiktoken/lite");
    const { bpe_ranks, special_tokens, pat_str } = require("tiktoken/encoders/cl100k_base.json");
    const encoding = new Tiktoken(bpe_ranks, special_tokens, pat_str);
    const decoder = new TextDecoder();
    return { encode: (text) => encoding.encode(text, [], []), decode: (ids) => decoder.decode(encoding.decode(ids)) };
  },
  async "@huggingface/tokenizers"(json) {
    const { Tokenizer } = await import("@huggingface/tokenizers");
    const tokenizer = new Tokenizer(json, {});
    return { encode: (text) => tokenizer.encode(text).ids, decode: (ids) => tokenizer.decode(ids) };
  },
};

export const names = Object.keys(loaders);

/** `json` is tokenizer.json, for the one that reads it. */
export const load = (name, json) => loaders[name](json);
