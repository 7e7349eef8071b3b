/** Constrained completions: what a random model writes under an expression matches it, and under a schema is JSON that the schema allows. */
import { Validator } from "@cfworker/json-schema";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8Character } from "../src/constraints/code-points";
import type { Constraint } from "../src/constraints/constraint";
import { schemaLanguage } from "../src/constraints/json-schema";
import { type Language, Languages } from "../src/constraints/language";
import { expressionLanguage } from "../src/constraints/regular-expression";
import { VocabularyTrie } from "../src/constraints/vocabulary";
import { ConstraintError } from "../src/errors";
import { generate } from "../src/generate/generate";
import type { GenerateOptions } from "../src/generate/options";
import { type LanguageModel, newLanguageModel } from "../src/models/language-model";
import { Tokenizer } from "../src/tokenizer";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Whether a language holds a text. */
function holds(languages: Languages, language: Language, text: string): boolean {
  return utf8(text).reduce((state, byte) => languages.derivative(state, byte), language).isNullable;
}

/** Whether a completion held to an expression could be this text. */
function matches(source: string, text: string): boolean {
  const languages = new Languages();
  const character = (ranges: Parameters<typeof utf8Character>[1]) => utf8Character(languages, ranges);
  return holds(languages, expressionLanguage(languages, source, { character, isSearch: false }), text);
}

function allows(schema: unknown, json: string): boolean {
  const languages = new Languages();
  return holds(languages, schemaLanguage(languages, schema as Record<string, unknown>), json);
}

describe("regular expressions", () => {
  const atom = fc.constantFrom(
    "a",
    "b",
    "é",
    "😀",
    ".",
    "[ab]",
    "[^a]",
    "\\d",
    "\\W",
    "[\\s\\u{1F600}-\\u{1F64F}]",
    "\\p{Ll}",
    "\\x62",
    "[^\\P{L}b]",
  );
  const source = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: "small" },
      atom,
      fc.array(tie("node"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
      fc.tuple(tie("node"), tie("node")).map(([a, b]) => `(?:${a}|${b})`),
      fc.tuple(tie("node"), fc.constantFrom("*", "+?", "?", "{2}", "{1,3}", "{2,}", "{0}")).map(([a, count]) => `(${a})${count}`),
    ),
  })).node;

  it("match what JavaScript's do", () => {
    const text = fc.array(fc.constantFrom("a", "b", "é", "😀", "1", " ", "\n", "B"), { maxLength: 5 }).map((parts) => parts.join(""));
    let matched = 0;
    fc.assert(
      fc.property(source, text, (expression, candidate) => {
        const isMatch = new RegExp(`^(?:${expression})$`, "u").test(candidate);
        matched += Number(isMatch);
        expect(matches(expression, candidate)).toBe(isMatch);
      }),
      { numRuns: 300, seed: 3 },
    );
    expect(matched).toBeGreaterThan(20);
  });

  it("are of whole characters", () => {
    // U+D7FF and U+E000 lie beside the surrogates; the rest at the ends of the lengths of UTF-8.
    for (const code of [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff]) {
      const [before, after] = [code - 1, code + 1].map((other) =>
        other >= 0 && other <= 0x10ffff && (other < 0xd800 || other > 0xdfff) ? other : 0x41,
      );
      const hex = (value: number) => `\\u{${value.toString(16)}}`;
      expect(matches(`[${hex(code)}]`, String.fromCodePoint(code))).toBe(true);
      expect(matches(`[^${hex(code)}]`, String.fromCodePoint(code))).toBe(false);
      expect(matches(`[${hex(code)}]`, String.fromCodePoint(before as number))).toBe(false);
      expect(matches(`[^${hex(code)}]`, String.fromCodePoint(after as number))).toBe(true);
    }
    const languages = new Languages();
    const any = utf8Character(languages, [[0, 0x10ffff]]);
    for (const malformed of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0xe0, 0x80, 0x80]]) {
      expect(malformed.reduce((state, byte) => languages.derivative(state, byte), any)).toBe(languages.nothing);
    }
  });

  it.each([
    ["(a)\\1", "backreferences"],
    ["a(?=b)", "lookahead"],
    ["(?<!a)b", "lookbehind"],
    ["a\\bb", "word"],
    ["a(^b)", "^ inside the expression"],
    ["a(", "syntax"],
  ])("refuse %s by name: %s", (expression, feature) => {
    expect(() => matches(expression, "")).toThrow(expect.objectContaining({ code: "CONSTRAINT", feature }));
  });

  it("may be anchored, and are whole anyway", () => {
    expect(["ab", "b", "xab"].map((text) => matches("^a?b$|^c$", text))).toEqual([true, true, false]);
  });
});

describe("JSON schemas", () => {
  it.each<[unknown, readonly string[], readonly string[]]>([
    [{ type: "integer", minimum: -12, maximum: 105 }, ["-12", "-3", "0", "9", "10", "99", "105"], ["-13", "106", "007", "1.5", "1000"]],
    [{ type: "integer", exclusiveMinimum: 0 }, ["1", "999999999999999"], ["0", "-1"]],
    [{ type: "number", minimum: 0, exclusiveMaximum: 1 }, ["0", "0.5", "0.000001"], ["1", "-0.5", "1.5", "1e3"]],
    [{ type: "number", minimum: -2, maximum: -1 }, ["-1", "-1.25", "-2"], ["-0.5", "-2.5", "1"]],
    [{ type: "string", minLength: 2, maxLength: 3 }, ['"ab"', '"é😀"', '"\\n\\u0041b"'], ['"a"', '"abcd"', '"\\ud83dab"']],
    [{ type: "string", pattern: '^["\\s]+$' }, ['"\\""', '"\\t \\n"'], ['"""', '"a"', '"\t"']],
    [{ type: "string", pattern: "b|^a" }, ['"xbx"', '"abc"'], ['"ca"']],
    [{ type: "string", format: "date" }, ['"2024-02-28"'], ['"2024-02-30"', '"24-1-1"']],
    [{ enum: ["a", 1, null, { b: [] }] }, ['"a"', "1", "null", '{"b":[]}'], ["2", '"b"']],
    [{ enum: ["a", 1], type: "string" }, ['"a"'], ["1"]],
    [{ type: ["boolean", "null"] }, ["true", "null"], ["0"]],
    [
      { type: "object", properties: { a: { type: "null" }, b: { type: "boolean" } }, required: ["b"] },
      ['{"b":true}', '{"a": null, "b":false}'],
      ["{}", '{"b":true,"a":null}', '{"b":true,"c":1}', '{"a":null,}'],
    ],
    [
      { type: "object", properties: { ab: { type: "null" } }, additionalProperties: { type: "integer" } },
      ["{}", '{"ab":null,"a":1,"abc":2}', '{"x":3}'],
      ['{"ab":1}', '{"x":null}', '{"\\u0061b":1}'],
    ],
    [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, ["[1]", "[1, 2]"], ["[]", "[1,2,3]"]],
    [
      { type: "array", prefixItems: [{ type: "null" }, { type: "boolean" }], items: false, minItems: 1 },
      ["[null]", "[null,true]"],
      ["[]", "[null,true,1]"],
    ],
    [
      { $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } } }, $ref: "#/$defs/node" },
      ["{}", '{"next":{"next":{}}}'],
      ['{"next":1}'],
    ],
    [
      {
        oneOf: [
          { type: "object", properties: { k: { const: "a" } }, required: ["k"] },
          { type: "object", properties: { k: { const: "b" } }, required: ["k"] },
        ],
      },
      ['{"k":"b"}'],
      ['{"k":"c"}'],
    ],
    [true, ["{}", '[1,{"a":[true, -1.5e-3]}]', '"x"'], ["", "{a:1}", "01", "[1,]"]],
  ])("%j", (schema, good, bad) => {
    expect(good.filter((json) => !allows(schema, json))).toEqual([]);
    expect(bad.filter((json) => allows(schema, json))).toEqual([]);
  });

  it.each([
    [{ type: "array", uniqueItems: true }, "uniqueItems"],
    [{ not: {} }, "not"],
    [{ type: "number", multipleOf: 2 }, "multipleOf"],
    [{ patternProperties: {} }, "patternProperties"],
    [{ anyOf: [{ type: "string" }], minLength: 1 }, "minLength"],
    [{ oneOf: [{ type: "string" }, { type: "string", minLength: 2 }] }, "oneOf"],
    [{ allOf: [{}, {}] }, "allOf"],
    [{ type: "string", format: "email" }, "format"],
    [{ type: "string", pattern: "a", minLength: 1 }, "pattern"],
    [{ type: "string", pattern: "(?=a)" }, "lookahead"],
    [{ type: "integer", minimum: 2, maximum: 1 }, "minimum"],
    [{ type: "number", minimum: 0.5 }, "minimum"],
    [{ $ref: "#/nowhere" }, "$ref"],
    [{ $ref: "#" }, "$ref"],
    [{ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, "$ref"],
    [{ anyOf: [{ $ref: "#" }, { type: "null" }] }, "$ref"],
    [{ type: "text" }, "type"],
    [{ type: "object", required: ["a"], additionalProperties: false }, "required"],
    [false, "false"],
  ])("refuses %j by name: %s", (schema, feature) => {
    expect(() => allows(schema, "")).toThrow(expect.objectContaining({ code: "CONSTRAINT", feature }));
  });
});

it("a trie holds every token at its bytes", () => {
  const words = ["b", "a", "ab", "abc", "b", "", "abd", "c"].map((word) => utf8(word));
  const trie = new VocabularyTrie({ vocabSize: words.length + 1, tokenBytes: (id) => words[id] });
  const found = new Map<number, string>();
  const path: number[] = [];
  trie.bytes.forEach((byte, i) => {
    path[(trie.depths[i] as number) - 1] = byte;
    for (let at = trie.starts[i] as number; at < (trie.starts[i + 1] as number); at++) {
      found.set(trie.ids[at] as number, String.fromCharCode(...path.slice(0, trie.depths[i])));
    }
  });
  expect([...found].toSorted(([a], [b]) => a - b)).toEqual([
    [0, "b"],
    [1, "a"],
    [2, "ab"],
    [3, "abc"],
    [4, "b"],
    [6, "abd"],
    [7, "c"],
  ]);
  // a, ab, abc, abd, b, c
  expect([...trie.ends]).toEqual([4, 4, 3, 4, 5, 6]);
});

describe("completions of a random model", () => {
  const text = ['{"name": "Ada", "age": 36, "tags": ["a", "b"]}', "null true false 0.5 \n é 😀"];
  let model: LanguageModel;
  beforeAll(async () => {
    const device = await createWasmDevice({ relaxed: false });
    model = newLanguageModel(
      device,
      { hiddenSize: 16, layers: 1, heads: 2, maxPositions: 512, initializerRange: 0.3 },
      Tokenizer.train(text, { vocabSize: 320 }),
      1,
    );
  });
  afterAll(() => model.decoder.device.destroy());

  const run = (constraint: Constraint, options: Partial<GenerateOptions> = {}) =>
    generate({ model, prompts: ["a"], n: 4, maxNewTokens: 80, temperature: 1.4, seed: 2, constraint, ...options });

  const leaf = fc.constantFrom<Record<string, unknown>>(
    { type: "integer", minimum: 0, maximum: 150 },
    { type: "number" },
    { type: "boolean" },
    { type: "null" },
    { type: "string", maxLength: 6 },
    { type: "string", pattern: '^[a-z"]{2,4}$' },
    { type: "string", format: "date-time" },
    { enum: ["red", "größer", 3, null] },
    { const: { fixed: true } },
    { $ref: "#/$defs/point" },
  );
  const schema = fc.letrec<{ node: Record<string, unknown> }>((tie) => ({
    node: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.record({ type: fc.constant("array"), items: tie("node"), minItems: fc.constantFrom(0, 1), maxItems: fc.constantFrom(1, 3) }),
      fc.array(tie("node"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
      fc
        .tuple(
          fc.dictionary(fc.constantFrom("a", "b c", 'q"', "ü"), tie("node"), { minKeys: 1 }),
          fc.constantFrom<unknown>(undefined, false, { type: "integer" }),
        )
        .map(([properties, additionalProperties]) => ({
          type: "object",
          properties,
          required: Object.keys(properties).slice(1),
          ...(additionalProperties === undefined ? {} : { additionalProperties }),
        })),
    ),
  })).node;
  const $defs = { point: { type: "object", properties: { x: { type: "integer" } }, required: ["x"], additionalProperties: false } };

  it("are JSON that their schema allows wherever they end by themselves", async () => {
    let ended = 0;
    await fc.assert(
      fc.asyncProperty(schema, fc.integer({ min: 0, max: 1000 }), async (node, seed) => {
        const jsonSchema = { ...node, $defs };
        const validator = new Validator(jsonSchema, "2020-12");
        for (const { text: json, finishReason } of await run({ jsonSchema }, { seed })) {
          if (finishReason === "length") continue;
          ended += 1;
          expect(validator.validate(JSON.parse(json)), json).toMatchObject({ valid: true });
        }
      }),
      { numRuns: 25, seed: 1 },
    );
    expect(ended).toBeGreaterThan(50);
  });

  it("match their expression, end when nothing may follow, and go on until EOS when something may", async () => {
    const dates = await run({ regex: "[12]\\d{3}-\\d\\d-\\d\\d( [ap]m)?" });
    for (const { text: date, finishReason } of dates) {
      expect(finishReason).toBe("stop");
      expect(date).toMatch(/^[12]\d{3}-\d\d-\d\d( [ap]m)?$/);
    }
    expect(new Set(dates.map(({ text: date }) => date)).size).toBe(4);
    const [endless] = await run({ regex: "(é|ab)*" }, { n: 1, eosTokenIds: [], maxNewTokens: 20, temperature: 0 });
    expect(endless).toMatchObject({ finishReason: "length" });
    expect(endless?.text).toMatch(/^(é|ab)+\ufffd?a?$/u);
    const [fixed] = await run({ regex: "yes" }, { n: 1, eosTokenIds: [] });
    expect(fixed).toMatchObject({ text: "yes", finishReason: "stop" });
  });

  it("begin after the space that the tokenizer drops", async () => {
    const spaced = {
      decoder: model.decoder,
      tokenizer: {
        vocabSize: model.tokenizer.vocabSize,
        leadingSpaces: 1,
        encode: (prompt: string) => model.tokenizer.encode(prompt),
        tokenBytes: (id: number) => model.tokenizer.tokenBytes(id),
        decodeStream: () => {
          const inner = model.tokenizer.decodeStream();
          let isFirst = true;
          const strip = (part: string) => {
            const shown = isFirst && part.startsWith(" ") ? part.slice(1) : part;
            if (part !== "") isFirst = false;
            return shown;
          };
          return { push: (token: number) => strip(inner.push(token)), flush: () => strip(inner.flush()) };
        },
      },
    };
    const texts = async (regex: string) => (await run({ regex }, { model: spaced, n: 8 })).map(({ text: each }) => each);
    for (const each of await texts(" [ab]{3}")) expect(each).toMatch(/^ [ab]{3}$/);
    for (const each of await texts(" ?[ab]{3}")) expect(each).toMatch(/^ ?[ab]{3}$/);
  });

  it("need a tokenizer of bytes", async () => {
    const codec = { vocabSize: 300, encode: () => Uint32Array.of(1), decodeStream: () => ({ push: () => "", flush: () => "" }) };
    await expect(run({ regex: "a" }, { model: { decoder: model.decoder, tokenizer: codec } })).rejects.toThrow(/every byte as a token/);
    await expect(run({ regex: "[^\\s\\S]" })).rejects.toBeInstanceOf(ConstraintError);
  });

  it("are the same on the reference device, and beside free completions", async () => {
    const device = createReferenceDevice();
    const twin = newLanguageModel(
      device,
      { hiddenSize: 16, layers: 1, heads: 2, maxPositions: 512, initializerRange: 0.3 },
      model.tokenizer,
      1,
    );
    const options = { n: 2, maxNewTokens: 24, constraint: { regex: "[a-f ]+\\." } };
    const expected = await run(options.constraint, { model: twin, ...options });
    const got = await run(options.constraint, options);
    expect(got.map(({ text: each }) => each)).toEqual(expected.map(({ text: each }) => each));
    twin.decoder.dispose();
  });
});
