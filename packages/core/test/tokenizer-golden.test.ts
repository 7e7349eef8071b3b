/** Tokenizers of published models against Hugging Face's own ids; needs the vocabularies of ../shared, which are too large to commit. */
/// <reference types="node" />
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/tokenizers/golden.json";
import { Tokenizer } from "../src/tokenizer/index";

const shared = new URL("../../../../shared/data/", import.meta.url);
const read = (path: string) => {
  const bytes = readFileSync(new URL(path, shared));
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
};
const parse = (path: string) => JSON.parse(read(path));

const families = {
  gpt2: () => Tokenizer.fromGpt2Files(parse("tokenizers/gpt2/vocab.json"), read("tokenizers/gpt2/merges.txt")),
  llama3: () => Tokenizer.fromJSON(parse("tokenizers/llama3/tokenizer.json.gz"), parse("tokenizers/llama3/tokenizer_config.json")),
  qwen3: () => Tokenizer.fromJSON(parse("tokenizers/qwen3/tokenizer.json.gz"), parse("tokenizers/qwen3/tokenizer_config.json")),
};

interface Golden {
  strings: { text: string; ids: number[]; ids_with_special: number[]; decoded: string; decoded_skip_special: string }[];
  chat?: { text: string; ids: number[] }[];
  vocab_size_with_added: number;
}

for (const [name, load] of Object.entries(families)) {
  const present = existsSync(new URL(`tokenizers/${name}`, shared));
  describe.skipIf(!present)(`${name}${present ? "" : ` (skipped: ../shared/data/tokenizers/${name} is not on this machine)`}`, () => {
    const expected = golden.tokenizers[name as keyof typeof families] as Golden;
    const tokenizer = present ? load() : (undefined as never);

    test("ids and decoded text", () => {
      for (const { text, ids, ids_with_special, decoded, decoded_skip_special } of expected.strings) {
        expect([...tokenizer.encode(text, { addSpecialTokens: false })], text).toEqual(ids);
        expect([...tokenizer.encode(text)], text).toEqual(ids_with_special);
        expect(tokenizer.decode(ids)).toBe(decoded);
        expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(decoded_skip_special);
        const stream = tokenizer.decodeStream();
        expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe(decoded);
      }
      expect(tokenizer.vocabSize).toBe(expected.vocab_size_with_added);
    });

    test("rendered chats", () => {
      for (const { text, ids } of expected.chat ?? []) expect([...tokenizer.encode(text, { addSpecialTokens: false })]).toEqual(ids);
    });
  });
}

const stories = "weights/stories260K/";
const present = existsSync(new URL(`${stories}tokenizer.json`, shared));
describe.skipIf(!present)(`stories260K${present ? "" : " (skipped: ../shared/data/weights/stories260K is not on this machine)"}`, () => {
  const tokenizer = present
    ? Tokenizer.fromJSON(parse(`${stories}tokenizer.json`), parse(`${stories}tokenizer_config.json`))
    : (undefined as never);
  const numbers = present ? parse(`${stories}golden.json`) : {};

  test("encodes as llama2.c and decodes back", () => {
    for (const { text, ids } of numbers.tokenization) {
      expect([...tokenizer.encode(text)], text).toEqual(ids);
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(text);
    }
    const { prompt_ids, new_ids, text } = numbers.greedy;
    expect(tokenizer.decode([...prompt_ids, ...new_ids], { skipSpecialTokens: true })).toBe(text);
    const stream = tokenizer.decodeStream({ skipSpecialTokens: true });
    expect([...prompt_ids, ...new_ids].map((id: number) => stream.push(id)).join("") + stream.flush()).toBe(text);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.vocabSize]).toEqual([1, 2, 512]);
  });
});
