/** Rewards for the shape of a completion - format, length, repetition, language, JSON - by worked arithmetic and TRL's published examples. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, RewardError } from "../src/errors";
import { cosineScaledReward } from "../src/rewards/cosine-scaled";
import { fencedBlocks } from "../src/rewards/fenced-code";
import { firstJson } from "../src/rewards/first-json";
import { formatReward, thinkFormatReward } from "../src/rewards/format";
import { jsonSchemaReward } from "../src/rewards/json-schema";
import { languageConsistencyReward } from "../src/rewards/language-consistency";
import { lengthReward } from "../src/rewards/length";
import { namedReward } from "../src/rewards/named-reward";
import { repetitionPenaltyReward } from "../src/rewards/repetition-penalty";
import { softOverlongPunishmentReward } from "../src/rewards/soft-overlong-punishment";
import type { RewardFunction } from "../src/rl/rewards";
import { callReward, rewardsOf } from "./reward-arguments";

const scoreText = async (reward: RewardFunction, completion: string) => (await rewardsOf(reward, { completions: [completion] }))[0];
const ofLengths = (reward: RewardFunction, lengths: readonly number[], more = {}) =>
  rewardsOf(reward, { completions: lengths.map(() => ""), ids: lengths.map((length) => new Uint32Array(length)), ...more });

/** Says beforehand which completions are right. */
const given = (values: (number | { total: number } | null)[]) => namedReward("given", () => values);

describe("thinkFormatReward", () => {
  test("TRL's examples", async () => {
    const reward = thinkFormatReward();
    expect(await scoreText(reward, "<think>\nThis is my reasoning.\n</think>\nThis is my answer.")).toBe(1);
    expect(await scoreText(reward, "<think>\nThis is my reasoning.\nThis is my answer.")).toBe(0);
  });

  test("agrees with TRL's pattern", async () => {
    const pattern = /^<think>(?!.*<think>)(.*?)<\/think>.*$/s;
    const piece = fc.constantFrom("<think>", "</think>", "a", "\n", "<answer>", "<thin");
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
        const text = `<think>${pieces.join("")}`.slice(pieces.length % 2);
        expect(await scoreText(thinkFormatReward(), text)).toBe(pattern.test(text) ? 1 : 0);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe("formatReward", () => {
  test("by default wants a thought and an answer and nothing else", async () => {
    const reward = formatReward();
    expect(await scoreText(reward, "<think>a\nb</think>\n<answer>c</answer>\n")).toBe(1);
    expect(await scoreText(reward, "<think></think><answer></answer>")).toBe(1);
    for (const text of [
      "",
      "<answer>c</answer><think>a</think>",
      "so <think>a</think><answer>c</answer>",
      "<think>a</think> so <answer>c</answer>",
      "<think>a</think><answer>c</answer> bye",
      "<think>a<think></think><answer>c</answer>",
      "<think>a</think><answer>c</answer><answer>d</answer>",
      "<think>a<answer>c</answer></think>",
      "<think>a</think><answer>c",
    ])
      expect(await scoreText(reward, text)).toBe(0);
  });

  test("tags and patterns", async () => {
    expect(await scoreText(formatReward({ tags: ["plan", "code", "test"] }), "<plan>1</plan> <code>2</code> <test>3</test>")).toBe(1);
    const lines = formatReward({ pattern: "^a.b$" });
    expect(await scoreText(lines, "a\nb")).toBe(1);
    expect(await scoreText(lines, "xa\nb")).toBe(0);
    const stateful = formatReward({ pattern: /a/g });
    expect(await rewardsOf(stateful, { completions: ["a", "a", "b"] })).toEqual([1, 1, 0]);
    expect(() => formatReward({ pattern: "[" })).toThrow(ConfigError);
    expect(() => formatReward({ pattern: "a", tags: ["b"] })).toThrow(ConfigError);
  });
});

describe("cosineScaledReward", () => {
  test("TRL's example: half of maxLen", async () => {
    const rewards = await ofLengths(cosineScaledReward({ maxLen: 100, accuracy: given([1, 0]) }), [50, 50]);
    expect(rewards[0]).toBeCloseTo(0.75, 12);
    expect(rewards[1]).toBeCloseTo(-0.75, 12);
  });

  test("its bounds, a third of the way, beyond the end, and what has no answer", async () => {
    const right = await ofLengths(
      cosineScaledReward({ maxLen: 60, accuracy: given([1, 1, 1, 1, { total: 1 }, null]) }),
      [0, 20, 60, 90, 60, 9],
    );
    // cos(π/3) = 1/2: 0.5 + 0.25 · 1.5
    for (const [i, value] of [1, 0.875, 0.5, 0.5, 0.5].entries()) expect(right[i]).toBeCloseTo(value, 12);
    expect(right[5]).toBe(null);
    const options = { maxLen: 60, minValueWrong: -4, maxValueWrong: -2, minValueCorrect: 3, maxValueCorrect: 7 };
    const wrong = await ofLengths(cosineScaledReward({ ...options, accuracy: given([0, 0, -1]) }), [0, 20, 60]);
    for (const [i, value] of [-4, -3.5, -2].entries()) expect(wrong[i]).toBeCloseTo(value, 12);
    const named = await ofLengths(cosineScaledReward({ ...options, accuracy: given([1]) }), [20]);
    expect(named[0]).toBeCloseTo(6, 12);
  });

  test("judges by accuracyReward unless told otherwise, and checks maxLen", async () => {
    const call = { completions: ["\\boxed{2}", "\\boxed{3}"], ids: [[1], [1]], columns: { solution: ["2", "2"] } };
    const rewards = await rewardsOf(cosineScaledReward({ maxLen: 1 }), call);
    expect(rewards[0]).toBeCloseTo(0.5, 12);
    expect(rewards[1]).toBeCloseTo(-0.5, 12);
    expect(() => cosineScaledReward({ maxLen: 0 })).toThrow(/cosine_scaled_reward: `maxLen` must be above 0, got 0/);
  });
});

describe("lengthReward", () => {
  test("is 0.5 for the shortest and -0.5 for the longest of each prompt; the wrong ones gain nothing", async () => {
    const prompts = ["p", "p", "p", "p", "q", "q"];
    expect(await ofLengths(lengthReward(), [2, 4, 6, 10, 7, 7], { prompts })).toEqual([0.5, 0.25, 0, -0.5, 0, 0]);
    const accuracy = given([0, 1, 0, 0, null, 1]);
    expect(await ofLengths(lengthReward({ accuracy }), [2, 4, 6, 10, 7, 8], { prompts })).toEqual([0, 0.25, 0, -0.5, null, -0.5]);
  });
});

describe("repetitionPenaltyReward", () => {
  test("TRL's example", async () => {
    const ids = [
      [1, 2, 3, 4],
      [5, 5, 5, 5, 5],
    ];
    expect(await rewardsOf(repetitionPenaltyReward({ ngramSize: 2 }), { completions: ["", ""], ids })).toEqual([0, -0.75]);
  });

  test("words instead of tokens", async () => {
    const reward = repetitionPenaltyReward({ unit: "words", ngramSize: 2, maxPenalty: -3 });
    // a b | b a | a b | b a: two of four are new
    expect(await scoreText(reward, "A b\na  B a")).toBe(-1.5);
    expect(await scoreText(reward, "a")).toBe(0);
  });

  test("stays in [maxPenalty, 0], and is 0 exactly where nothing repeats", async () => {
    const tokens = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(tokens, fc.integer({ min: 1, max: 4 }), fc.double({ min: -5, max: 0, noNaN: true }), async (ids, n, maxPenalty) => {
        const [value] = await rewardsOf(repetitionPenaltyReward({ ngramSize: n, maxPenalty }), { completions: [""], ids: [ids] });
        expect(value).toBeLessThanOrEqual(0);
        expect(value).toBeGreaterThanOrEqual(maxPenalty);
        const repeats = ids.some((_, i) =>
          ids.some((_, j) => j > i && j + n <= ids.length && ids.slice(i, i + n).every((id, k) => id === ids[j + k])),
        );
        if (maxPenalty < -1e-9) expect(value === 0).toBe(!repeats);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  test("refuses options that reward repetition", () => {
    expect(() => repetitionPenaltyReward({ ngramSize: 0, maxPenalty: 1 })).toThrow(/`ngramSize`.*got 0; `maxPenalty`.*got 1/);
  });
});

describe("softOverlongPunishmentReward", () => {
  test("TRL's example, DAPO's three cases and their borders", async () => {
    const reward = softOverlongPunishmentReward({ maxCompletionLen: 100, softPunishCache: 20 });
    expect(await ofLengths(reward, [0, 80, 81, 90, 95, 100, 101])).toEqual([0, 0, -0.05, -0.5, -0.75, -1, -1]);
    const hard = softOverlongPunishmentReward({ maxCompletionLen: 100, softPunishCache: 0 });
    expect(await ofLengths(hard, [100, 101])).toEqual([0, -1]);
    expect(() => softOverlongPunishmentReward({ maxCompletionLen: 10, softPunishCache: 11 })).toThrow(ConfigError);
  });
});

describe("languageConsistencyReward", () => {
  test.each([
    ["en", "All of it, isn\u2019t it?", 1],
    ["en", "Half \u043f\u043e\u043b\u043e\u0432\u0438\u043d\u0430", 0.5],
    ["en", "I know \u6211\u77e5", 0.5],
    ["zh", "\u6211\u77e5\u9053 OK", 0.75],
    ["ja", "\u6f22\u5b57\u3068\u30ab\u30ca", 1],
    ["ko", "\uc548\ub155 hello \uc138\uacc4", 2 / 3],
    ["ru", "\u0434\u0430, 42!", 1],
    ["en", "caf\u00e9 cafe\u0301", 1],
    ["en", "", null],
    ["en", "42 + 1 ' \u2019", null],
  ])("%s: %s", async (language, text, expected) => expect(await scoreText(languageConsistencyReward({ language }), text)).toBe(expected));

  test("scripts by name", async () => {
    expect(await scoreText(languageConsistencyReward({ scripts: ["Georgian", "Latin"] }), "\u10d9\u10d0\u10d8 ok \u043d\u0435")).toBe(
      2 / 3,
    );
    expect(() => languageConsistencyReward({ language: "xx" })).toThrow(/one of en, .*got "xx"/);
    expect(() => languageConsistencyReward({ scripts: ["Klingon"] })).toThrow(ConfigError);
  });
});

describe("fencedBlocks", () => {
  test("reads closed and unclosed blocks", () => {
    const text = "Here:\n```JS title\nlet a;\n\nlet b;\n```\ntext\n```\nplain\n```\n  ```python\nx = 1";
    expect(fencedBlocks(text)).toEqual([
      { language: "js", code: "let a;\n\nlet b;" },
      { language: "", code: "plain" },
      { language: "python", code: "x = 1" },
    ]);
    expect(fencedBlocks("none `here`")).toEqual([]);
  });
});

describe("firstJson", () => {
  test.each([
    ['{"a": [1, "}"]}', { a: [1, "}"] }],
    [" 42 ", 42],
    ["null", null],
    ['The answer is {"a": 1} or {"a": 2}.', { a: 1 }],
    ["see [this] or {that}: [1, 2]", [1, 2]],
    ['[1]\n```json\n{"a": "\\"]"}\n```', { a: '"]' }],
    ['unclosed [ but {"a": 1}', { a: 1 }],
    ['{"a": {"b": 1}', { b: 1 }],
  ])("%j", (text, value) => expect(firstJson(text)).toEqual({ value }));

  test.each(["", "nothing", "{'a': 1}", "[1,]", '"unclosed', `${"[".repeat(400)}${"]".repeat(400)}`])("nothing in %j", (text) =>
    expect(firstJson(text)).toBe(undefined),
  );

  test("finds any value in talk that has no brackets", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.stringMatching(/^[^[\]{}`]*$/), (value, talk) => {
        const expected = JSON.parse(JSON.stringify([value])) as unknown;
        expect(firstJson(`${talk} ${JSON.stringify([value])} ${talk}`)).toEqual({ value: expected });
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  test("survives hostile nesting", () => {
    for (const piece of ["[", '{"a":', '["', "[1,", "```json\n"]) expect(firstJson(piece.repeat(40_000))).toBe(undefined);
  });
});

describe("jsonSchemaReward", () => {
  const schema = { type: "object", properties: { age: { type: "integer", minimum: 0 } }, required: ["age"], additionalProperties: false };

  test("1 where valid, parseScore where not, 0 without JSON; problems are logged", async () => {
    const completions = ['{"age": 3}', 'So: {"age": -1}', '{"age": 1, "x": 2}', "age 3"];
    const { values, extras } = await callReward(jsonSchemaReward({ schema, parseScore: 0.2 }), { completions });
    expect(values).toEqual([1, 0.2, 0.2, 0]);
    expect(extras.json_schema_error).toEqual(["", expect.stringContaining("-1"), expect.any(String), "no JSON value"]);
  });

  test("a schema of each row, references within it, and rows without", async () => {
    const tree = { $ref: "#/$defs/node", $defs: { node: { type: "array", items: { $ref: "#/$defs/node" } } } };
    const columns = { schema: [schema, JSON.stringify(tree), tree, null, false] };
    const completions = ['{"age": 3}', "[[], [[]]]", "[[], [1]]", "{}", "1"];
    expect(await rewardsOf(jsonSchemaReward(), { completions, columns })).toEqual([1, 1, 0, null, 0]);
    await expect(rewardsOf(jsonSchemaReward(), { completions: ["1"], columns: { schema: [7] } })).rejects.toBeInstanceOf(RewardError);
    expect(() => jsonSchemaReward({ schema, schemaColumn: "schema" })).toThrow(ConfigError);
  });

  test("needs no code generation, so it works under a strict content security policy", async () => {
    const native = globalThis.Function;
    globalThis.Function = (() => {
      throw new EvalError("unsafe-eval");
    }) as unknown as FunctionConstructor;
    try {
      expect(await rewardsOf(jsonSchemaReward({ schema }), { completions: ['{"age": 3}'] })).toEqual([1]);
    } finally {
      globalThis.Function = native;
    }
  });
});
