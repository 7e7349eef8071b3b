/** Malformed and unsupported tokenizer.json: each is refused with the field's name, and nothing that a mutation makes of one crashes. */
import { TrimtabError } from "@trimtab/kernels";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/tokenizers/components.json";
import { Tokenizer, type TokenizerConfigJson, TokenizerError, type TokenizerJson } from "../src/tokenizer/index";

const named = (name: string) =>
  (golden.tokenizers as unknown as { name: string; json: TokenizerJson }[]).find((one) => one.name === name)!.json;
const bytes = named("byte-level BPE, cl100k");
const unigram = named("T5");
const pieces = named("BERT");
const suffixed = named("GPT-1");
type Change = Record<string, unknown>;
const withModel = (json: TokenizerJson, change: Change) => ({ ...json, model: { ...json.model, ...change } });
const split = (pattern: unknown, more: Change = {}) => ({
  ...bytes,
  pre_tokenizer: { type: "Split", pattern, behavior: "Isolated", ...more },
});
const regex = (expression: string) => split({ Regex: expression });
const decoders = (decoder: unknown) => ({ ...pieces, decoder });

describe("is refused by field", () => {
  test.each([
    ["tokenizer.json must be an object", null],
    ["tokenizer.json must be an object", [bytes]],
    ["model must be an object, got nothing", { ...bytes, model: undefined }],
    ["model.type must be BPE, Unigram, WordPiece or WordLevel", withModel(bytes, { type: "Other" })],
    ["model.type must be a string", withModel(bytes, { type: 3 })],
    ["model.dropout must be absent", withModel(bytes, { dropout: 0.1 })],
    ["model.byte_fallback must be true or false", withModel(bytes, { byte_fallback: "yes" })],
    ["model.vocab must be an object", withModel(bytes, { vocab: "a" })],
    ["model.vocab.a must be an id", withModel(bytes, { vocab: { a: -1 } })],
    ["model.vocab.a must be an id", withModel(bytes, { vocab: { a: 5_000_000 } })],
    ["model.vocab.b must be an id of its own", withModel(bytes, { vocab: { a: 1, b: 1 } })],
    ["model.merges must be an array", withModel(bytes, { merges: undefined })],
    ['model.merges[0] must be two tokens, "left right"', withModel(bytes, { merges: ["ab"] })],
    ["model.merges[1] must be two tokens", withModel(bytes, { merges: [["a", "b"], ["a"]] })],
    ["model.merges[0] must be made of tokens of the vocabulary", withModel(bytes, { merges: [["zz", "zz"]] })],
    ["model.merges[0] must be written in GPT-2's byte alphabet", withModel(bytes, { merges: [["你", "a"]] })],
    ["model.unk_token must be a token of the vocabulary", withModel(suffixed, { unk_token: "none" })],
    ["model.unk_token must be a string", withModel(pieces, { unk_token: null })],
    ["model.max_input_chars_per_word must be an integer", withModel(pieces, { max_input_chars_per_word: 1.5 })],
    ["model.unk_id must be an integer", withModel(unigram, { unk_id: null })],
    ["model.unk_id must be below the", withModel(unigram, { unk_id: 100_000 })],
    ["model.vocab[1] must be a token and its score", withModel(unigram, { vocab: [["<unk>", 0], ["a"]] })],
    [
      "model.vocab[1][1] must be a number",
      withModel(unigram, {
        vocab: [
          ["<unk>", 0],
          ["a", "b"],
        ],
      }),
    ],
    ["added_tokens must be an array", { ...bytes, added_tokens: {} }],
    ["added_tokens[0].content must be a string", { ...bytes, added_tokens: [{ id: 1 }] }],
    ["added_tokens[0] must be a token with the id that", { ...bytes, added_tokens: [{ id: 3, content: "</s>" }] }],
    ["added_tokens[0] must be a token with an id of its own", { ...bytes, added_tokens: [{ id: 3, content: "unheard" }] }],
    ["added_tokens[0] must be a token with an id below", { ...bytes, added_tokens: [{ id: 4_000_000_000, content: "new" }] }],
    ["normalizer.type must be Sequence, NFC,", { ...bytes, normalizer: { type: "Other" } }],
    ["normalizer.normalizers[1].type must be", { ...bytes, normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: 1 }] } }],
    ["normalizer.normalizers must be an array", { ...bytes, normalizer: { type: "Sequence" } }],
    ["normalizer.prepend must be a string", { ...bytes, normalizer: { type: "Prepend" } }],
    [
      "normalizer.precompiled_charsmap must be a SentencePiece",
      { ...bytes, normalizer: { type: "Precompiled", precompiled_charsmap: "AAA" } },
    ],
    [
      "normalizer.precompiled_charsmap must be a SentencePiece",
      { ...bytes, normalizer: { type: "Precompiled", precompiled_charsmap: "/wAAAA==" } },
    ],
    ["normalizer.lowercase must be true or false", { ...bytes, normalizer: { type: "BertNormalizer", lowercase: 1 } }],
    ["pre_tokenizer.type must be ByteLevel, Split,", { ...bytes, pre_tokenizer: { type: "UnicodeScripts" } }],
    ["pre_tokenizer.type must be", { ...bytes, pre_tokenizer: { type: "toString" } }],
    ["pre_tokenizer must be an object", { ...bytes, pre_tokenizer: "ByteLevel" }],
    ["pre_tokenizer.behavior must be", split({ String: "a" }, { behavior: "Other" })],
    ["pre_tokenizer.pattern must be a String or a Regex", split({})],
    ["pre_tokenizer.replacement must be one character", { ...bytes, pre_tokenizer: { type: "Metaspace", replacement: "ab" } }],
    ["pre_tokenizer.length must be an integer of at least 1", { ...bytes, pre_tokenizer: { type: "FixedLength", length: 0 } }],
    ["post_processor.type must be TemplateProcessing,", { ...bytes, post_processor: { type: "Other" } }],
    ["post_processor.cls must be a token and its id", { ...bytes, post_processor: { type: "BertProcessing", cls: ["a"], sep: ["b", 1] } }],
    [
      "post_processor must be made of ids below",
      { ...bytes, post_processor: { type: "BertProcessing", cls: ["a", 0], sep: ["b", 99_999] } },
    ],
    ["post_processor.single must be a template with the text", { ...bytes, post_processor: { type: "TemplateProcessing", single: [] } }],
    [
      "post_processor.special_tokens.x must be an object",
      { ...bytes, post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "x" } }], special_tokens: {} } },
    ],
    ["decoder.type must be ByteLevel, ByteFallback,", decoders({ type: "Other" })],
    ["decoder must be ByteLevel like the pre-tokenizer", { ...bytes, decoder: null }],
    ["decoder.content must be one character", decoders({ type: "Strip", content: "ab" })],
    ["decoder.decoders[0].start must be an integer", decoders({ type: "Sequence", decoders: [{ type: "Strip", start: -1 }] })],
  ] as [string, unknown][])("%s", (message, json) => {
    const read = () => Tokenizer.fromJSON(json as TokenizerJson);
    expect(read).toThrow(TokenizerError);
    expect(read).toThrow(`Tokenizer.fromJSON: ${message}`);
  });

  test.each([
    ["(a", "a group is not closed"],
    ["a)", 'not ")"'],
    ["[a", "it ends in the middle"],
    ["*a", 'not "*"'],
    ["[b-a]", "a range ends before it begins"],
    ["(a)\\1", 'not "\\1"'],
    ["\\Ga", 'not "\\G"'],
    ["\\R", 'not "\\R"'],
    ["a\\Kb", 'not "\\K"'],
    ["(?~ab)", 'not "(?~"'],
    ["(?x: a)", 'not "(?x"'],
    ["(?(1)a|b)", 'not "(?("'],
    ["\\p{Nothing}", "not \\p{Nothing}"],
    ["[[:nothing:]]", "not \\p{nothing}"],
    ["(?i:é)", 'not "é" where case is ignored'],
    ["(?i:[à-ü])", "not a range beyond ASCII"],
    ["(?i)\\p{Lu}", "not \\p{Lu} where case is ignored"],
  ])("an expression that JavaScript cannot say: %s", (expression, why) => {
    expect(() => Tokenizer.fromJSON(regex(expression) as TokenizerJson)).toThrow(
      `pre_tokenizer.pattern.Regex must be an expression that can be translated to JavaScript (${why}`,
    );
  });

  test.each([
    ["tokenizer_config.json.eos_token.content must be a string", { eos_token: { content: 1 } }],
    ["tokenizer_config.json.chat_template must be a string", { chat_template: 1 }],
    ["tokenizer_config.json.chat_template[0].template must be a string", { chat_template: [{ name: "default" }] }],
    ["tokenizer_config.json.added_tokens_decoder.x must be the token of an id", { added_tokens_decoder: { x: { content: "a" } } }],
  ] as [string, unknown][])("%s", (message, config) => {
    expect(() => Tokenizer.fromJSON(bytes, config as TokenizerConfigJson)).toThrow(`Tokenizer.fromJSON: ${message}`);
  });
});

const junk = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    -1,
    0,
    3,
    1.5,
    1e99,
    "",
    "a",
    "Sequence",
    "ByteLevel",
    "Metaspace",
    "BPE",
    "Unigram",
    "\\p{L}+",
    "(",
    [],
    {},
    [[]],
    [null],
  ),
  fc.record({ type: fc.constantFrom("NFC", "Split", "Fuse", "Strip", "Metaspace", "Replace", "Precompiled", "BertProcessing") }),
  fc.string({ maxLength: 6 }),
);

/** A copy with one value, found by walking down, replaced or removed. */
function mutate(value: unknown, steps: readonly number[], replacement: unknown, removes: boolean): unknown {
  if (typeof value !== "object" || value === null || steps.length === 0) return replacement;
  const keys = Object.keys(value);
  const key = keys[steps[0]! % Math.max(1, keys.length)];
  if (key === undefined) return replacement;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  if (removes && steps.length === 1) return Array.isArray(value) ? value.toSpliced(Number(key), 1) : withoutKey(copy, key);
  copy[key] = mutate(copy[key], steps.slice(1), replacement, removes);
  return copy;
}

const withoutKey = (record: Record<string, unknown>, key: string) =>
  Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));

describe("mutations", () => {
  test.each(["byte-level BPE, RoBERTa", "CLIP", "Llama 2", "T5", "BERT", "WordLevel"])(
    "of %s work or are refused with a typed error",
    (name) => {
      const json = named(name);
      let refused = 0;
      fc.assert(
        fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 6 }), junk, fc.boolean(), (steps, replacement, removes) => {
          try {
            const tokenizer = Tokenizer.fromJSON(mutate(json, steps, replacement, removes) as TokenizerJson);
            const ids = tokenizer.encode("Hello, wörld! 12 你好 <mask> [MASK]");
            tokenizer.decode(ids);
            tokenizer.toJSON();
          } catch (error) {
            refused += 1;
            if (!(error instanceof TrimtabError)) throw error;
          }
        }),
        { numRuns: 150, seed: 11 },
      );
      expect(refused).toBeGreaterThan(8);
    },
  );
});
