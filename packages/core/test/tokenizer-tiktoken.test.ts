/** OpenAI's .tiktoken files: a small one made here, what is refused, and cl100k with ids that tiktoken gave. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { splitExpressions, Tokenizer, TokenizerError } from "../src/tokenizer/index";

const base64 = (bytes: readonly number[]) => Buffer.from(bytes).toString("base64");
const bytes = Array.from({ length: 256 }, (_, byte) => [byte]);
const tokens = [...bytes, ..."ab,abc,bc,abab,xyz".split(",").map((token) => [...Buffer.from(token)])];
const file = tokens.map((token, rank) => `${base64(token)} ${rank}\n`).join("");

describe("a small file", () => {
  const tokenizer = Tokenizer.fromTiktoken(file, { expression: splitExpressions.cl100k, specialTokens: { "<|end|>": 300 } });

  test("merges by rank; a word that is a token is that token, also where no merges lead to it", () => {
    expect([...tokenizer.encode("abc")]).toEqual([257]);
    // ab before bc, then abc before abab.
    expect([...tokenizer.encode("ababc")]).toEqual([256, 257]);
    expect([...tokenizer.encode("xyz")]).toEqual([260]);
    expect([...tokenizer.encode("xyzx")]).toEqual([..."xyzx"].map((character) => character.charCodeAt(0)));
    expect([...tokenizer.encode("a<|end|>")]).toEqual([97, 300]);
    expect(tokenizer.decode([257, 300, 259])).toBe("abc<|end|>abab");
  });

  test("becomes a tokenizer.json that does the same", () => {
    const again = Tokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer.toJSON())));
    expect(again.encode("ababc xyz<|end|>")).toEqual(tokenizer.encode("ababc xyz<|end|>"));
  });

  test.each([
    ["not base64", "?? 1"],
    ["no rank", "YQ=="],
    ["a rank that is no number", "YQ== x"],
  ])("%s is refused with the line", (_, line) => {
    const read = () => Tokenizer.fromTiktoken(`Yg== 0\n${line}\n`, { expression: splitExpressions.gpt2 });
    expect(read).toThrow(TokenizerError);
    expect(read).toThrow("Tokenizer.fromTiktoken: line 2 must be base64");
  });
});

const cl100kIds: [string, number[]][] = [
  ["Hello, world! It's 12345.", [9906, 11, 1917, 0, 1102, 596, 220, 4513, 1774, 13]],
  [
    "naïve café — 你好，世界！ 😀👨‍👩‍👧",
    [
      3458, 38672, 588, 53050, 2001, 220, 57668, 53901, 3922, 3574, 244, 98220, 6447, 91416, 9468, 239, 101, 378, 235, 9468, 239, 102, 378,
      235, 9468, 239, 100,
    ],
  ],
  ["def f(x):\n    return x  # ok\r\n\n\t", [755, 282, 2120, 997, 262, 471, 865, 220, 674, 5509, 81923, 197]],
  ["THEY'RE  here, don'T!", [17673, 56, 95253, 220, 1618, 11, 1541, 17773, 0]],
  [" \n \n  x", [33006, 220, 865]],
  [
    "अनुच्छेद ภาษาไทย العربية 한국어",
    [
      5619, 227, 61196, 73753, 5619, 248, 31584, 249, 55884, 99, 220, 3098, 254, 21437, 3098, 102, 21437, 50856, 36984, 35609, 17607, 24102,
      11318, 22071, 74541, 62398, 89059, 255, 32179,
    ],
  ],
];

const cl100k = new URL("../../../../shared/data/tokenizers/tiktoken/cl100k_base.tiktoken", import.meta.url);
const present = existsSync(cl100k);
test.skipIf(!present)(`cl100k${present ? "" : " (skipped: ../shared/data/tokenizers/tiktoken is not on this machine)"}`, () => {
  const tokenizer = Tokenizer.fromTiktoken(readFileSync(cl100k, "utf8"), { expression: splitExpressions.cl100k });
  // tiktoken 0.14.0
  for (const [text, ids] of cl100kIds) {
    expect([...tokenizer.encode(text)], text).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(text);
  }
});
