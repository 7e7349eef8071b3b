/** Tokenizers: training, round trips, special tokens, streaming, and what is refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tokenizer, TokenizerError, type TokenizerJson } from "../src/tokenizer/index";

const corpus = [
  "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox doesn't.\n",
  "She said: \"it's the fox's den, isn't it?\" 1234 and 5678.\r\n\tNaïve café — 你好，世界! 😀\n",
];
const trained = Tokenizer.train(corpus, {
  vocabSize: 320,
  minFrequency: 1,
  specialTokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
  chatTemplate: "{{ messages }}",
});

const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.string({ unit: "grapheme", maxLength: 12 }),
      fc.constantFrom("\n", " ", "  ", "\r\n", "the fox", "e\u0301", "👨‍👩‍👧", "你好", "\ufeff", "\0", "'s", "<|im_end|>", "<|im_", "▁"),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe("a trained tokenizer", () => {
  test("decode undoes encode for any well-formed text", () => {
    fc.assert(
      fc.property(anyText, fc.boolean(), (text, splitSpecialTokens) => {
        expect(trained.decode(trained.encode(text, { splitSpecialTokens }))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test("a stream gives the same text, and never half a character", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const stream = trained.decodeStream();
        const pieces = [...trained.encode(text)].map((id) => stream.push(id));
        expect(pieces.join("") + stream.flush()).toBe(text);
        if (!text.includes("\ufffd")) expect(pieces.join("")).not.toContain("\ufffd");
      }),
    );
  });

  test("an unfinished character is flushed as U+FFFD", () => {
    const stream = trained.decodeStream();
    const ids = trained.encode("🛶");
    expect([...ids.slice(0, -1)].map((id) => stream.push(id)).join("")).toBe("");
    expect(stream.flush()).toBe("\ufffd");
    expect(() => stream.push(100_000)).toThrow(TokenizerError);
  });

  test("merges: frequent words are few tokens, ids are special tokens, bytes, merges", () => {
    expect(trained.vocabSize).toBe(320);
    expect(trained.tokenToId("<|im_start|>")).toBe(1);
    expect(trained.tokenToId("!")).toBe(3);
    expect(trained.idToToken(trained.encode(" the")[0]!)).toBe("Ġthe");
    expect(trained.encode(" the fox")).toHaveLength(2);
    expect(trained.eosTokenId).toBe(0);
    expect(trained.bosTokenId).toBeUndefined();
    expect(trained.padTokenId).toBeUndefined();
    expect(trained.chatTemplate).toBe("{{ messages }}");
  });

  test("special tokens are cut out, skipped, or split on request; training never saw them", () => {
    const text = "<|im_start|>the fox<|im_end|>\n<|endoftext|>";
    const ids = trained.encode(text);
    expect([ids[0], ids.at(-1)]).toEqual([1, 0]);
    expect(trained.decode(ids)).toBe(text);
    expect(trained.decode(ids, { skipSpecialTokens: true })).toBe("the fox\n");
    expect([...trained.encode(text, { splitSpecialTokens: true })].some((id) => id < 3)).toBe(false);
    const stream = trained.decodeStream({ skipSpecialTokens: true });
    expect([...ids].map((id) => stream.push(id)).join("") + stream.flush()).toBe("the fox\n");
    const marked = Tokenizer.train(["<|endoftext|>".repeat(50)], { vocabSize: 300 });
    expect(marked.vocabSize).toBe(257);
  });

  test("survives JSON, with merges as strings or as pairs", () => {
    const json: TokenizerJson = JSON.parse(JSON.stringify(trained.toJSON()));
    const again = Tokenizer.fromJSON(json, JSON.parse(JSON.stringify(trained.toConfigJSON())));
    const pairs: TokenizerJson = {
      ...json,
      model: { ...json.model, merges: json.model.merges!.map((m) => (m as string).split(" ") as [string, string]) },
    };
    const text = corpus.join("<|im_end|>");
    for (const tokenizer of [again, Tokenizer.fromJSON(pairs)]) expect(tokenizer.encode(text)).toEqual(trained.encode(text));
    expect(again.eosTokenId).toBe(0);
    expect(again.chatTemplate).toBe("{{ messages }}");
  });

  test("the same texts give the same tokenizer, from a generator too", () => {
    const again = Tokenizer.train(
      (function* () {
        yield* corpus;
      })(),
      { vocabSize: 320, minFrequency: 1, specialTokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] },
    );
    expect(again.toJSON()).toEqual(trained.toJSON());
  });

  test("encodeBatch is encode for each; the empty text is empty", () => {
    expect(trained.encodeBatch(["the fox", ""])).toEqual([trained.encode("the fox"), new Uint32Array(0)]);
    expect(trained.decode([])).toBe("");
  });

  test("impossible requests are refused", () => {
    expect(() => Tokenizer.train([], { vocabSize: 256 })).toThrow(/at least 257/);
    expect(() => Tokenizer.train([], { vocabSize: 300, padToken: "<pad>" })).toThrow(/pad_token must be one of specialTokens/);
    expect(() => trained.decode([320])).toThrow(/got 320 at index 0/);
  });
});

describe("tokenizer.json", () => {
  const json = trained.toJSON();

  test("added tokens: the longest wins, white space and word borders count, normalized ones are found late", () => {
    const base = { normalized: false, special: true };
    const tokenizer = Tokenizer.fromJSON({
      ...json,
      normalizer: { type: "Lowercase" },
      added_tokens: [
        { id: 400, content: "<a>", ...base },
        { id: 401, content: "<a><b>", ...base },
        { id: 402, content: "<m>", ...base, lstrip: true, rstrip: true },
        { id: 403, content: "fox", ...base, single_word: true },
        { id: 404, content: "LOUD", normalized: true, special: false },
      ],
    });
    expect([...tokenizer.encode("<a><b><a>")]).toEqual([401, 400]);
    expect([...tokenizer.encode("<a>  <m>\n<a>")]).toEqual([400, 402, 400]);
    expect([...tokenizer.encode("fox")]).toEqual([403]);
    expect([...tokenizer.encode("foxes")]).not.toContain(403);
    expect([...tokenizer.encode("loud")]).toEqual([404]);
    expect(tokenizer.vocabSize).toBe(405);
    expect(tokenizer.idToToken(399)).toBeUndefined();
  });

  test("a template puts its tokens round the text unless asked not to", () => {
    const tokenizer = Tokenizer.fromJSON({
      ...json,
      post_processor: {
        type: "TemplateProcessing",
        single: [
          { SpecialToken: { id: "<|im_start|>", type_id: 0 } },
          { Sequence: { id: "A", type_id: 0 } },
          { SpecialToken: { id: "<|im_end|>", type_id: 0 } },
        ],
        special_tokens: { "<|im_start|>": { ids: [1] }, "<|im_end|>": { ids: [2] } },
      },
    });
    const bare = tokenizer.encode("the fox", { addSpecialTokens: false });
    expect([...tokenizer.encode("the fox")]).toEqual([1, ...bare, 2]);
    expect([...tokenizer.encode("")]).toEqual([1, 2]);
  });

  test("tokenizer_config.json: token objects, named templates, tokens only it lists", () => {
    const tokenizer = Tokenizer.fromJSON(json, {
      eos_token: { content: "<|im_end|>" },
      pad_token: "<pad>",
      chat_template: [
        { name: "tool_use", template: "t" },
        { name: "default", template: "d" },
      ],
      added_tokens_decoder: { "500": { content: "<pad>", special: true } },
    });
    expect([tokenizer.eosTokenId, tokenizer.padTokenId, tokenizer.chatTemplate]).toEqual([2, 500, "d"]);
    expect([...tokenizer.encode("<pad>")]).toEqual([500]);
  });

  test("Metaspace, as newer Llama and Mistral files have it", () => {
    const vocab: Record<string, number> = { "<unk>": 0 };
    for (const token of ["▁", "a", "b", "▁a", "ab", "▁ab"]) vocab[token] = Object.keys(vocab).length;
    const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
    const tokenizer = Tokenizer.fromJSON({
      added_tokens: [{ id: 0, content: "<unk>", special: true }],
      pre_tokenizer: metaspace,
      decoder: metaspace,
      model: { type: "BPE", unk_token: "<unk>", fuse_unk: true, vocab, merges: ["▁ a", "a b", "▁ ab"] },
    });
    expect([...tokenizer.encode("ab ab")]).toEqual([4, 3, 4, 3]);
    expect([...tokenizer.encode("xyb")]).toEqual([1, 0, 3]);
    expect(tokenizer.decode(tokenizer.encode("ab ab b"))).toBe("ab ab b");
  });
});
