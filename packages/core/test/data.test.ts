/** Datasets: parsing, formats, tokenizing, chat templates, packing, micro-batches and order. */
/// <reference types="node" />
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/tokenizers/golden.json";
import type { Sequence } from "../src/data/batch";
import { chatRenderer } from "../src/data/chat-template";
import type { Message } from "../src/data/formats";
import { parseJsonl } from "../src/data/jsonl";
import { microBatches } from "../src/data/micro-batches";
import { DataOrder } from "../src/data/order";
import { pack } from "../src/data/packing";
import { readExample, readPrompt } from "../src/data/supervised";
import { requireVocabulary, tokenizeExamples, tokenizePrompts } from "../src/data/tokenize";
import { ConfigError, DataError } from "../src/errors";
import { Tokenizer } from "../src/tokenizer/tokenizer";
import { byteTokenizer as tokenizer } from "./trainer-model";

/** What the call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

const show = ({ tokens, mask }: Sequence) => [tokenizer.decode(tokens), mask.join("")];

describe("parseJsonl", () => {
  test("rows, with any line ends and a byte-order mark", () => {
    expect(parseJsonl('\ufeff{"text":"a"}\r\n{"text":"b"}\n\n')).toEqual([{ text: "a" }, { text: "b" }]);
  });

  test.each([
    ["", undefined],
    ["\n \n", undefined],
    ['{"a":1}\n\n{"a":2}', 2],
    ['{"a":1}\n{"a":', 2],
    ['{"a":1}\n[1]', 2],
    ["null", 1],
  ])("%j is a DataError at line %s", (text, line) => {
    const error = thrown(() => parseJsonl(text, "rows.jsonl"));
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({ line });
    expect((error as Error).message).toContain("rows.jsonl");
  });
});

describe("formats", () => {
  const turns = [{ role: "user", content: "hi" }];

  test("each is recognised", () => {
    expect(readExample({ text: "a" }, 1)).toEqual({ kind: "text", text: "a" });
    expect(readExample({ body: "a" }, 1, "body")).toEqual({ kind: "text", text: "a" });
    expect(readExample({ messages: turns }, 1)).toEqual({ kind: "messages", messages: turns });
    expect(readExample({ prompt: "a", completion: "b", text: "ignored" }, 1)).toEqual({ kind: "completion", prompt: "a", completion: "b" });
    expect(readPrompt({ prompt: turns, answer: 4 }, 1)).toEqual({ prompt: turns, columns: { answer: 4 } });
  });

  test.each([
    [{}, "text"],
    [{ text: "" }, "text"],
    [{ text: 3 }, "text"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "user" }] }, "messages[0]"],
    [{ messages: [...turns, null] }, "messages[1]"],
    [{ prompt: "a" }, "completion"],
    [{ completion: "a" }, "prompt"],
    [{ prompt: "a", completion: turns }, "completion"],
    [{ prompt: "", completion: "b" }, "prompt"],
  ])("%j is a DataError at line 7", (row, field) => {
    expect(thrown(() => readExample(row, 7))).toMatchObject({ code: "DATA", line: 7, field });
  });
});

describe("tokenizing", () => {
  const examples = (rows: Record<string, unknown>[], options = {}) => tokenizeExamples(rows, { tokenizer, ...options }).map(show);

  test("text and completions end with the end of text, which counts; prompts do not count", () => {
    expect(examples([{ text: "abc" }, { text: "abc<|endoftext|>" }])).toEqual([
      ["abc<|endoftext|>", "1111"],
      ["abc<|endoftext|>", "1111"],
    ]);
    const row = [{ prompt: "ab", completion: "cd" }];
    expect(examples(row)).toEqual([["abcd<|endoftext|>", "00111"]]);
    expect(examples(row, { completionOnlyLoss: true })).toEqual([["abcd<|endoftext|>", "00111"]]);
    expect(examples(row, { completionOnlyLoss: false })).toEqual([["abcd<|endoftext|>", "11111"]]);
  });

  test("an end is kept", () => {
    const row = [{ prompt: "abcdef", completion: "gh" }];
    expect(examples(row, { maxLength: 4, truncationMode: "keep_end" })).toEqual([["fgh<|endoftext|>", "0111"]]);
    expect(examples(row, { maxLength: 7 })).toEqual([["abcdefg", "0000001"]]);
  });

  test("a row without a token to learn from is an error", () => {
    expect(thrown(() => examples([{ text: "ab" }, { prompt: "abcdef", completion: "gh" }], { maxLength: 6 }))).toMatchObject({ line: 2 });
    expect(thrown(() => examples([]))).toBeInstanceOf(DataError);
    expect(thrown(() => examples([{ text: "ab" }], { completionOnlyLoss: true }))).toMatchObject({ line: 1, field: "completion" });
    const sequence = { tokens: Uint32Array.of(1, 300), mask: new Uint8Array(2) };
    expect(thrown(() => requireVocabulary([sequence], 257))).toMatchObject({ line: 1 });
  });

  test("prompts have no end of text and a limit", () => {
    const [prompt] = tokenizePrompts([{ prompt: "abc", n: 1 }], tokenizer, 3);
    expect([tokenizer.decode(prompt?.tokens as Uint32Array), prompt?.columns]).toEqual(["abc", { n: 1 }]);
    expect(thrown(() => tokenizePrompts([{ prompt: "abcd" }], tokenizer, 3))).toMatchObject({ line: 1, field: "prompt" });
  });

  const chatTemplate =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
  const chat = Tokenizer.fromJSON(tokenizer.toJSON(), { ...tokenizer.toConfigJSON(), chat_template: chatTemplate });
  const user = { role: "user", content: "hi" };
  const assistant = { role: "assistant", content: "yo" };

  test("conversations go through the chat template", () => {
    const encode = (rows: Record<string, unknown>[]) => tokenizeExamples(rows, { tokenizer: chat }).map(show);
    expect(encode([{ messages: [user, assistant] }])[0]?.[0]).toBe("[user]hi<|endoftext|>[assistant]yo<|endoftext|>");
    const [text, mask] = encode([{ prompt: [user], completion: [assistant] }])[0] as [string, string];
    expect(text).toBe("[user]hi<|endoftext|>[assistant]yo<|endoftext|>");
    expect(mask).toBe(`${"0".repeat(9 + 11)}111`);
    const prompts = tokenizePrompts([{ prompt: [user] }, { prompt: [user, assistant] }], chat, 99).map((p) => chat.decode(p.tokens));
    expect(prompts).toEqual(["[user]hi<|endoftext|>[assistant]", "[user]hi<|endoftext|>[assistant]yo<|endoftext|>"]);
  });

  test("templates that cannot serve are typed errors", () => {
    const rows = [{ messages: [user] }];
    expect(thrown(() => tokenizeExamples(rows, { tokenizer }))).toBeInstanceOf(ConfigError);
    const withTemplate = (chat_template: string) => Tokenizer.fromJSON(tokenizer.toJSON(), { ...tokenizer.toConfigJSON(), chat_template });
    expect(thrown(() => tokenizeExamples(rows, { tokenizer: withTemplate("{% if %}") }))).toBeInstanceOf(ConfigError);
    const refusing = withTemplate("{{ raise_exception('no system turn') }}");
    expect(thrown(() => tokenizeExamples(rows, { tokenizer: refusing }))).toMatchObject({ code: "DATA", line: 1 });
    const counting = withTemplate("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}");
    expect(thrown(() => tokenizeExamples([{ prompt: [user], completion: [assistant] }], { tokenizer: counting }))).toMatchObject({
      line: 1,
    });
  });
});

for (const name of ["llama3", "qwen3"] as const) {
  const path = new URL(`../../../../shared/data/tokenizers/${name}/tokenizer_config.json`, import.meta.url);
  const present = existsSync(path);
  test.skipIf(!present)(`transformers' rendering of ${name}${present ? "" : " (skipped: ../shared/data is not on this machine)"}`, () => {
    const config = JSON.parse(readFileSync(path, "utf8"));
    const { chat_template, bos_token, eos_token } = config;
    const named = (token: string | { content: string } | null) => (typeof token === "string" ? token : (token?.content ?? ""));
    const names = [named(bos_token), named(eos_token)];
    const stand = Object.assign(Object.create(tokenizer) as Tokenizer, { chatTemplate: chat_template, bosTokenId: 0, eosTokenId: 1 });
    Object.assign(stand, { idToToken: (id: number) => names[id] });
    const render = chatRenderer(stand);
    const cases = golden.tokenizers[name].chat;
    expect(cases.length).toBeGreaterThan(3);
    for (const { messages, add_generation_prompt, text } of cases) {
      expect(render(messages as Message[], { addGenerationPrompt: add_generation_prompt, line: 1 })).toBe(text);
    }
  });
}

describe("packing", () => {
  const sequence = (length: number, first = 0, counts = 1): Sequence => ({
    tokens: Uint32Array.from({ length }, (_, i) => first + i),
    mask: new Uint8Array(length).fill(counts),
  });
  const lengths = (rows: readonly (readonly Sequence[])[]) => rows.map((row) => row.map((s) => s.tokens.length));

  test("best fit decreasing: the fullest row that still takes it", () => {
    const rows = pack(
      [5, 3, 7, 2, 8, 1].map((n) => sequence(n)),
      10,
      "bfd",
    );
    expect(lengths(rows)).toEqual([
      [8, 2],
      [7, 3],
      [5, 1],
    ]);
    expect(
      lengths(
        pack(
          [10, 10].map((n) => sequence(n)),
          10,
          "bfd",
        ),
      ),
    ).toEqual([[10], [10]]);
  });

  test("every sequence is packed once and no row is too long", () => {
    const all = Array.from({ length: 200 }, (_, i) => sequence(1 + ((i * 37) % 32), i * 100));
    const rows = pack(all, 32, "bfd");
    expect(
      rows
        .flat()
        .map((s) => s.tokens[0])
        .sort(),
    ).toEqual(all.map((s) => s.tokens[0]).sort());
    const sizes = rows.map((row) => row.reduce((sum, s) => sum + s.tokens.length, 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(32);
    // The lower bound is the number of full rows; best fit decreasing never needs more than 11/9 of it and one.
    expect(rows.length).toBeLessThanOrEqual(Math.ceil((sizes.reduce((a, b) => a + b, 0) / 32) * (11 / 9)) + 1);
  });

  test("bfd_split cuts what is too long, wrapped cuts the stream", () => {
    expect(lengths(pack([sequence(7), sequence(2)], 3, "bfd_split"))).toEqual([[3], [3], [2]]);
    const wrapped = pack([sequence(4), sequence(3, 10)], 3, "wrapped");
    expect(wrapped.map(([slice]) => [...(slice as Sequence).tokens])).toEqual([
      [0, 1, 2],
      [3, 10, 11],
    ]);
    expect(pack([sequence(6, 0, 0), sequence(3)], 3, "wrapped")).toHaveLength(1);
  });
});

test("micro-batches respect rows and tokens, and keep the order", () => {
  expect(microBatches([3, 3, 3, 9, 1], 2)).toEqual([[0, 1], [2, 3], [4]]);
  expect(microBatches([3, 3, 3, 9, 1], 9, 7)).toEqual([[0, 1], [2], [3], [4]]);
  expect(microBatches([], 2)).toEqual([]);
});

describe("data order", () => {
  test("every epoch is a permutation of its own, found by position alone", () => {
    const order = new DataOrder(50, 7, true);
    const epochs = [0, 1].map((e) => order.slice(e * 50, 50));
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(new DataOrder(50, 7, true).slice(73, 40)).toEqual(order.slice(73, 40));
    expect(new DataOrder(50, 8, true).slice(0, 50)).not.toEqual(epochs[0]);
    expect(new DataOrder(3, 7, false).slice(2, 5)).toEqual([2, 0, 1, 2, 0]);
  });
});
