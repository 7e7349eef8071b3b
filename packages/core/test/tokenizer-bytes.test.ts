/** tokenizer.json from its bytes is tokenizer.json from JSON.parse: the same tokenizer, or the same error. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import components from "../../../fixtures/tokenizers/components.json";
import fuzzed from "../../../fixtures/tokenizers/fuzzed.json";
import { Tokenizer, type TokenizerJson } from "../src/tokenizer/index";
import { readTokenizerBytes } from "../src/tokenizer/model-bytes";

const small = components.tokenizers as unknown as { name: string; json: TokenizerJson }[];
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Every character beyond ASCII as an escape. */
const escaped = (text: string) => text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
const spellings: [string, (json: TokenizerJson) => string][] = [
  ["in one line", (json) => JSON.stringify(json)],
  ["indented", (json) => JSON.stringify(json, null, 2)],
  ["in ASCII", (json) => escaped(JSON.stringify(json)).replaceAll("/", "\\/")],
  [
    "with the model's fields the other way round",
    (json) => JSON.stringify({ ...json, model: Object.fromEntries(Object.entries(json.model).reverse()) }),
  ],
];

describe.each(small)("$name", ({ json }) => {
  test.each(spellings)("%s", (_, spell) => {
    const bytes = utf8(spell(json));
    // The tables, not JSON.parse, read every one of them.
    expect(readTokenizerBytes(bytes)).toBeDefined();
    const [own, parsed] = [Tokenizer.parse(bytes), Tokenizer.fromJSON(json)];
    expect(own.toJSON()).toEqual(parsed.toJSON());
    for (const text of fuzzed.texts.slice(0, 30)) expect(own.encode(text)).toEqual(parsed.encode(text));
  });
});

/** What comes of a tokenizer.json. */
function outcome(read: () => Tokenizer): unknown {
  try {
    const tokenizer = read();
    return { json: tokenizer.toJSON(), ids: fuzzed.texts.slice(0, 5).map((text) => [...tokenizer.encode(text)]) };
  } catch (error) {
    return String(error);
  }
}

describe("mutations", () => {
  const tiny = (type: object): Uint8Array => {
    const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: true };
    return utf8(JSON.stringify({ added_tokens: [{ id: 9, content: "<s>" }], pre_tokenizer: byteLevel, decoder: byteLevel, model: type }));
  };
  const files: [string, Uint8Array][] = [
    ["BPE", tiny({ type: "BPE", vocab: { a: 0, Ġ: 1, Ġa: 2, "\\": 3, "\u{1f600}": 4, '"': 5, aa: 6 }, merges: ["Ġ a", ["a", "a"]] })],
    [
      "Unigram",
      tiny({
        type: "Unigram",
        unk_id: 0,
        vocab: [
          ["<unk>", 0],
          ["a", -1.5],
          ["é\n", -2e-3],
          ["<0x41>", -7],
        ],
      }),
    ],
  ];
  const pieces = [
    '"',
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\\",
    "\\u",
    "d83d",
    "0",
    "1",
    "-",
    ".",
    "e9",
    " ",
    "\n",
    "null",
    "\x00",
    "\x7f",
    '"a":0,',
    '"a",',
  ];
  const inserted = fc.oneof(fc.constantFrom(...pieces).map(utf8), fc.uint8Array({ maxLength: 3 }));
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(3), inserted), { minLength: 1, maxLength: 2 });

  test.each(files)("%s", (_, file) => {
    expect(readTokenizerBytes(file)).toBeDefined();
    fc.assert(
      fc.property(edits, (changes) => {
        let bytes = file;
        for (const [at, removed, added] of changes) {
          const from = at % (bytes.length + 1);
          bytes = Uint8Array.from([...bytes.subarray(0, from), ...added, ...bytes.subarray(from + removed)]);
        }
        const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
        expect(outcome(() => Tokenizer.parse(bytes))).toEqual(outcome(() => Tokenizer.fromJSON(JSON.parse(text))));
      }),
      { seed: 20261126, numRuns: 200 },
    );
  });
});
