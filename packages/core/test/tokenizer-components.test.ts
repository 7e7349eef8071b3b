/** Every component of tokenizer.json, alone and in whole tokenizers, against what Hugging Face tokenizers made of the same texts. */
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/tokenizers/components.json";
import { readDecoder } from "../src/tokenizer/decoders";
import { Tokenizer, type TokenizerJson } from "../src/tokenizer/index";
import { JsonField } from "../src/tokenizer/json-field";
import { readNormalizer } from "../src/tokenizer/normalizers";
import { readPattern } from "../src/tokenizer/patterns";
import { readPreTokenizer, type Stretch } from "../src/tokenizer/pre-tokenizers";

interface Golden<T> {
  component: { type: string; pattern?: { Regex?: string } };
  /** One per text or list of tokens; null where the library itself fails. */
  outputs: (T | null)[];
}
interface GoldenTokenizer {
  name: string;
  json: TokenizerJson;
  rows: { ids: number[]; special: number[]; decoded: string; skipped: string }[];
}
const { texts, tokenLists } = golden;
const normalizers = golden.normalizers as Golden<string>[];
const preTokenizers = golden.preTokenizers as Golden<string[]>[];
const decoders = golden.decoders as Golden<string>[];
const tokenizers = golden.tokenizers as unknown as GoldenTokenizer[];

const titled = <T extends { component: object }>(cases: T[]) =>
  cases.map((one, i): [string, T] => [`${i}: ${JSON.stringify(one.component).slice(0, 90)}`, one]);

test.each(titled(normalizers))("normalizer %s", (_, { component, outputs }) => {
  const normalize = readNormalizer(new JsonField(component, "normalizer"));
  expect(texts.map(normalize)).toEqual(outputs);
});

test.each(titled(preTokenizers))("pre-tokenizer %s", (_, { component, outputs }) => {
  const { cuts, scanner } = readPreTokenizer(new JsonField(component, "pre_tokenizer"), false);
  const words = (text: string) => {
    let stretches: readonly Stretch[] = [{ text, start: 0 }];
    for (const cut of cuts) stretches = stretches.flatMap(cut);
    return stretches.map((stretch) => stretch.text).filter((word) => word !== "");
  };
  if (scanner.type === "whole") expect(texts.map(words)).toEqual(outputs);
  if (component.pattern?.Regex === undefined || outputs.flat().join("") !== texts.join("")) return;
  // The expression itself, also where a scanner takes its place: its matches are whole words there.
  const expression = readPattern(new JsonField(component, "pre_tokenizer").get("pattern"));
  texts.forEach((text, i) => {
    for (const [match] of text.matchAll(expression)) if (scanner.type !== "whole") expect(outputs[i]).toContain(match);
  });
});

test.each(titled(decoders))("decoder %s", (_, { component, outputs }) => {
  const decoder = readDecoder(new JsonField(component, "decoder"));
  tokenLists.forEach((tokens, i) => {
    if (outputs[i] !== null) expect(decoder.decode(tokens)).toBe(outputs[i]);
  });
});

describe.each(tokenizers)("$name", ({ name, json, rows }) => {
  const tokenizer = Tokenizer.fromJSON(json);
  // Departure: an added token stands for its own text; the library reads its characters in the byte alphabet.
  const misread = name === "byte-level BPE, RoBERTa" ? tokenizer.tokenToId("café") : undefined;

  test("ids", () => {
    texts.forEach((text, i) => {
      expect([...tokenizer.encode(text, { addSpecialTokens: false })], text).toEqual(rows[i]!.ids);
      expect([...tokenizer.encode(text)], text).toEqual(rows[i]!.special);
    });
  });

  test("text, at once and as a stream", () => {
    for (const { special, decoded, skipped } of rows) {
      if (misread !== undefined && special.includes(misread)) continue;
      expect(tokenizer.decode(special)).toBe(decoded);
      expect(tokenizer.decode(special, { skipSpecialTokens: true })).toBe(skipped);
      const stream = tokenizer.decodeStream();
      expect(special.map((id) => stream.push(id)).join("") + stream.flush()).toBe(decoded);
    }
  });

  test("is written as it was read", () => {
    expect(tokenizer.toJSON()).toEqual(json);
    const vocab = Array.isArray(json.model.vocab)
      ? json.model.vocab.map(([token], id): [string, number] => [token, id])
      : Object.entries(json.model.vocab);
    for (const [token, id] of vocab) expect([tokenizer.tokenToId(token), tokenizer.idToToken(id)]).toEqual([id, token]);
  });
});

test("an added token outside the model stands for its own text", () => {
  const { json } = tokenizers.find(({ name }) => name === "byte-level BPE, RoBERTa")!;
  const tokenizer = Tokenizer.fromJSON(json);
  const id = tokenizer.tokenToId("café")!;
  expect(tokenizer.decode([id])).toBe("café");
  expect([...tokenizer.encode("un café!", { addSpecialTokens: false })]).toContain(id);
});
