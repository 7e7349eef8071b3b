/** Random Unicode: our ids beside those of npm's tokenizers on published vocabularies, and beside Hugging Face's own on small ones of every model. */
/// <reference types="node" />
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { encode as cl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { encode as o200k } from "gpt-tokenizer/encoding/o200k_base";
import { encode as r50k } from "gpt-tokenizer/encoding/r50k_base";
import { describe, expect, test } from "vitest";
import components from "../../../fixtures/tokenizers/components.json";
import fuzzed from "../../../fixtures/tokenizers/fuzzed.json";
import { splitExpressions, Tokenizer, type TokenizerJson } from "../src/tokenizer/index";
import { fuzzedText } from "./fuzzed-unicode";

type Encode = (text: string) => ArrayLike<number>;

const folder = join(createRequire(import.meta.url).resolve("gpt-tokenizer/package.json"), "../data");
const plain = { disallowedSpecial: new Set<string>() };
const published = {
  cl100k: { file: "cl100k_base", expression: splitExpressions.cl100k, gpt: (text: string) => cl100k(text, plain) },
  o200k: { file: "o200k_base", expression: splitExpressions.o200k, gpt: (text: string) => o200k(text, plain) },
  r50k: { file: "r50k_base", expression: splitExpressions.gpt2, gpt: (text: string) => r50k(text, plain) },
};

function huggingFace(json: unknown): Encode {
  const tokenizer = new HuggingFaceTokenizer(json as object, {});
  return (text) => tokenizer.encode(text).ids;
}

/**
 * Both npm packages cut words by JavaScript's expressions: there U+0085 is no white space and U+FEFF is, against Unicode and against the libraries that
 * published the expressions, and "(?i:'s)" does not match a long s. What these are held to is fuzzed.json.
 */
const agreed = (text: string) => text.replace(/[\u0085\ufeff]/g, "\u00a0").replaceAll("'ſ", "'s");

function expectSameIds(own: Tokenizer, peers: Readonly<Record<string, Encode>>): void {
  fc.assert(
    fc.property(fuzzedText.map(agreed), (text) => {
      const ids = [...own.encode(text)];
      for (const [name, encode] of Object.entries(peers)) expect(ids, name).toEqual(Array.from(encode(text)));
    }),
    { seed: 20261126, numRuns: 1000 },
  );
}

describe.each(Object.entries(published))("%s", (_, { file, expression, gpt }) => {
  const own = Tokenizer.fromTiktoken(readFileSync(join(folder, `${file}.tiktoken`), "utf8"), { expression });

  test("gives the ids of gpt-tokenizer and @huggingface/tokenizers", () => {
    expectSameIds(own, { "gpt-tokenizer": gpt, "@huggingface/tokenizers": huggingFace(own.toJSON()) });
  });

  test("gives back every text, lone surrogates as U+FFFD", () => {
    const halves = fc.string({ unit: fc.oneof(fuzzedText, fc.constantFrom("\ud83d", "\ude00", "\udc00\ud800")), maxLength: 5 });
    fc.assert(
      fc.property(halves, (text) => {
        const wellFormed = text.replace(/\p{Surrogate}/gu, "\ufffd");
        const ids = own.encode(text);
        expect(own.decode(ids)).toBe(wellFormed);
        expect(ids).toEqual(own.encode(wellFormed));
      }),
      { seed: 20261126, numRuns: 300 },
    );
  });
});

/** Of the small tokenizers those that the npm package reads as Hugging Face tokenizers does; it differs from it in the others' very components. */
const common = /^(byte-level BPE, |CLIP|Llama 2|Gemma|Mistral)/;
const small = components.tokenizers as unknown as { name: string; json: TokenizerJson }[];

test.each(small.filter(({ name }) => common.test(name)))("$name gives the ids of @huggingface/tokenizers", ({ json }) => {
  expectSameIds(Tokenizer.fromJSON(json), { "@huggingface/tokenizers": huggingFace(json) });
});

test.each(small)("$name gives the ids of Hugging Face tokenizers", ({ name, json }) => {
  const own = Tokenizer.fromJSON(json);
  const expected = fuzzed.ids[name as keyof typeof fuzzed.ids];
  expect(expected).toHaveLength(fuzzed.texts.length);
  fuzzed.texts.forEach((text, i) => {
    expect([...own.encode(text)], JSON.stringify(text)).toEqual(expected[i]);
  });
});
