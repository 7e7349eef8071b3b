/** Rewards that compare an answer with the expected one: numbers and texts by worked examples, GSM8K by released labels. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, RewardError } from "../src/errors";
import { accuracyReward, finalAnswer, isSameAnswer } from "../src/rewards/accuracy";
import { builtInReward, builtInRewards } from "../src/rewards/built-in";
import { completionText } from "../src/rewards/completion-text";
import { exactMatchReward, normalizeText } from "../src/rewards/exact-match";
import { extractGsm8kAnswer, gsm8kReward } from "../src/rewards/gsm8k";
import { numbersIn } from "../src/rewards/number-text";
import { numericMatchReward } from "../src/rewards/numeric-match";
import { at } from "./fixture-files";
import { rewardsOf } from "./reward-arguments";

describe("numbers in text", () => {
  test.each([
    ["no number at all", []],
    ["18", [18]],
    ["-18, +7, \u22123", [-18, 7, -3]],
    ["$1,234,567.50 and -$20 and $-21", [1234567.5, -20, -21]],
    ["1,2 or 1,23 or 1,234", [1, 2, 1, 23, 1234]],
    ["3/4 of 1 1/2, at 1/0", [0.75, 1.5]],
    ["10-5, (2)-3, x-4, 10 - 6", [10, 5, 2, 3, 4, 10, 6]],
    [".5 is 50% of 5.", [0.5, 50, 5]],
    ["5km in 2.5e3 s, H2O and v1.2.3", [5, 2500]],
    ["\\$7 and \u20ac 8", [7, 8]],
    ["\u0663", []],
  ])("%s", (text, expected) => expect(numbersIn(text)).toEqual(expected));

  test("any number comes back from its writing with separators", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), fc.integer({ min: 0, max: 999 }), (whole, thousandths) => {
        const text = `${whole.toLocaleString("en-US")}.${String(thousandths).padStart(3, "0")}`;
        expect(numbersIn(`so it is $${text} in all.`)).toEqual([Number(text.replaceAll(",", ""))]);
      }),
    );
  });

  test("hostile text costs linear time", () => {
    for (const piece of ["1 ", "1", "1,", "-", "1/", "$", "1 \t", "0.0."]) expect(numbersIn(piece.repeat(50_000)).length).toBeLessThan(1e5);
  });
});

describe("completions", () => {
  test("are text, or the last message of the assistant", () => {
    expect(completionText("text")).toBe("text");
    const tool = { role: "tool", content: "out" };
    expect(completionText([{ role: "assistant", content: "a" }, tool, { role: "assistant", content: "b" }, tool])).toBe("b");
    expect(completionText([tool])).toBe("");
  });
});

describe("exactMatchReward", () => {
  const score = async (completion: string, answer: unknown, options = {}) =>
    (await rewardsOf(exactMatchReward(options), { completions: [completion], columns: { answer: [answer] } }))[0];

  test("normalises both sides", async () => {
    expect(await score("  The  Eiffel\nTower ", "the eiffel tower")).toBe(1);
    expect(await score("The Eiffel Tower.", "the eiffel tower")).toBe(0);
    expect(await score("The Eiffel Tower.", "Eiffel tower!", { ignorePunctuation: true, ignoreArticles: true })).toBe(1);
    expect(await score("Paris", "paris", { ignoreCase: false })).toBe(0);
    expect(await score("\uff14\uff12", 42)).toBe(1);
    expect(await score("NYC", ["New York", "nyc"])).toBe(1);
    expect(await score("anything", null)).toBe(null);
    expect(normalizeText("A man, a plan", { ignoreArticles: true })).toBe("man, plan");
  });

  test("may look only at a tag or a pattern", async () => {
    expect(await score("<answer>a</answer> or <answer> b </answer>", "b", { tag: "answer" })).toBe(1);
    expect(await score("<answer>b", "b", { tag: "answer" })).toBe(0);
    expect(await score("Answer: x\nAnswer: y", "y", { pattern: "Answer: (\\w)" })).toBe(1);
    expect(await score("x y", "y", { pattern: /\w/ })).toBe(1);
    expect(() => exactMatchReward({ tag: "a", pattern: "b" })).toThrow(ConfigError);
    expect(() => exactMatchReward({ pattern: "(" })).toThrow(/exact_match_reward.*regular expression/);
  });

  test("names the columns there are when its own is missing", async () => {
    const call = rewardsOf(exactMatchReward({ column: "gold" }), { completions: ["a"], columns: { answer: ["a"] } });
    await expect(call).rejects.toBeInstanceOf(RewardError);
    await expect(call).rejects.toThrow(/column "gold".*answer/);
  });
});

describe("numericMatchReward", () => {
  test("compares within a tolerance", async () => {
    const completions = ["it is 4.15", "4.16 exactly", "25/6", "none", "4"];
    const answer = [4.16, "4.16", "x = 4.16", 1, null];
    const score = (options = {}) => rewardsOf(numericMatchReward(options), { completions, columns: { answer } });
    expect(await score()).toEqual([0, 1, 0, 0, null]);
    expect(await score({ absoluteTolerance: 0.0101 })).toEqual([1, 1, 1, 0, null]);
    expect(await score({ absoluteTolerance: 0.0099 })).toEqual([0, 1, 1, 0, null]);
    expect(await score({ relativeTolerance: 0.0017 })).toEqual([0, 1, 1, 0, null]);
    expect(await score({ relativeTolerance: 0.0025 })).toEqual([1, 1, 1, 0, null]);
    const first = numericMatchReward({ which: "first" });
    expect(await rewardsOf(first, { completions: ["3 then 4"], columns: { answer: [3] } })).toEqual([1]);
  });
});

describe("gsm8kReward", () => {
  test.each([
    ["So 48+24 = <<48+24=72>>72 clips.\n#### 72", 72],
    ["#### 1,450,000", 1450000],
    ["#### $-7.50 dollars", -7.5],
    ["#### 3/4", 0.75],
    ["#### 1\n#### 2", 2],
    ["####\nthe answer is 5", 5],
    ["A: 18", 18],
    ["no answer", undefined],
  ])("extracts from %j", (text, expected) => expect(extractGsm8kAnswer(text)).toBe(expected));

  test("strict takes nothing but what is marked", () => {
    expect(extractGsm8kAnswer("it is 5", "strict")).toBe(undefined);
    expect(extractGsm8kAnswer("it is 5 #### 6", "strict")).toBe(6);
  });

  test("agrees with the released labels of models' solutions", async () => {
    const rows = readFileSync(at("fixtures/rewards/gsm8k-solutions.jsonl"), "utf8").trim().split("\n");
    const solutions = rows.map((row) => JSON.parse(row) as { ground_truth: string; solution: string; is_correct: boolean });
    const rewards = await rewardsOf(gsm8kReward(), {
      completions: solutions.map(({ solution }) => solution),
      columns: { answer: solutions.map(({ ground_truth }) => ground_truth) },
    });
    expect(rewards).toEqual(solutions.map(({ is_correct }) => Number(is_correct)));
    expect(rewards).toContain(1);
    expect(rewards).toContain(0);
  });

  test("scores, formats, messages and rows without an answer", async () => {
    const completions = [[{ role: "assistant", content: "#### 2" }], "#### 3", "dunno", "#### 2"];
    const reward = gsm8kReward({ score: 2, formatScore: 0.5 });
    expect(await rewardsOf(reward, { completions, columns: { answer: ["#### 2", 2, 2, "unknown"] } })).toEqual([2, 0.5, 0, null]);
    expect(reward.name).toBe("gsm8k_reward");
    expect(gsm8kReward({ name: "mine" }).name).toBe("mine");
  });
});

describe("accuracyReward", () => {
  const score = async (completion: string, solution: unknown, options = {}) =>
    (await rewardsOf(accuracyReward(options), { completions: [completion], columns: { solution: [solution] } }))[0];

  test("finds the final answer", () => {
    expect(finalAnswer("\\boxed{1}, so \\boxed{\\frac{1}{2}}.")).toBe("\\frac{1}{2}");
    expect(finalAnswer("<answer> 5 </answer> #### 6")).toBe("5");
    expect(finalAnswer("#### 6 ")).toBe("6");
    expect(finalAnswer("\\boxed{1")).toBe(undefined);
    expect(finalAnswer("the answer is 5")).toBe(undefined);
  });

  test.each([
    ["\\frac{1}{3}", "1/3"],
    ["\\dfrac{x+1}{2}", "(x+1)/2"],
    ["1{,}000", "1{,}000"],
    ["1,000", "1000"],
    ["0.50", "1/2"],
    ["50\\%", "50"],
    ["$12.00", "12"],
    ["12 \\text{ cm}", "12"],
    ["12 dollars", "12"],
    ["\\left( 1, 2 \\right)", "(1,2)"],
    ["90^\\circ", "90"],
    ["x = 3", "x=3"],
    ["\\text{Evelyn}", "Evelyn"],
    ["3 \\cdot x", "3*x"],
  ])("%s is %s", (a, b) => {
    expect(isSameAnswer(a, b)).toBe(true);
    expect(isSameAnswer(b, a)).toBe(true);
  });

  test.each([
    ["1/3", "0.333"],
    ["2x", "2"],
    ["(1,2)", "(2,1)"],
    ["-3", "3"],
    ["12", "1/2"],
    ["2\\pi", "2"],
    ["", "0"],
  ])("%s is not %s", (a, b) => expect(isSameAnswer(a, b)).toBe(false));

  test("TRL's documented examples", async () => {
    expect(await score("My answer is \\boxed{\\frac{1}{3}}", "\\frac{1}{3}")).toBe(1);
    expect(await score("My answer is \\boxed{\\frac{1}{2}}", "\\frac{1}{3}")).toBe(0);
    const options = { reasoningDelimiters: ["</think>"] };
    expect(await score("<think> Reasoning content </think> The final answer is \\boxed{\\frac{1}{3}}", "\\frac{1}{3}", options)).toBe(1);
    expect(await score("<think> Reasoning content </think> The final answer is \\boxed{\\frac{1}{2}}", "\\frac{1}{3}", options)).toBe(0);
    expect(await score("<think> Partial \\boxed{\\frac{1}{3}} but no final answer", "\\frac{1}{3}", options)).toBe(0);
    expect(accuracyReward(options).name).toBe("reasoning_accuracy_reward");
  });

  test("takes the expected answer out of a whole solution, and skips an empty one", async () => {
    expect(await score("\\boxed{7}", "First 3, then 4: \\boxed{7}")).toBe(1);
    expect(await score("#### 72", "48/2 = 24 #### 72")).toBe(1);
    expect(await score("\\boxed{7}", "")).toBe(null);
  });
});

describe("built-in rewards", () => {
  test("are made by name, each with its own metric name", () => {
    const required: Record<string, object> = {
      "cosine-scaled": { maxLen: 10 },
      "soft-overlong-punishment": { maxCompletionLen: 10, softPunishCache: 2 },
    };
    const names = Object.keys(builtInRewards).map((name) => builtInReward(name, { ...required[name] }).name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z0-9_]+_reward$/);
    expect(builtInReward("gsm8k", { name: "x" }).name).toBe("x");
    expect(() => builtInReward("toString")).toThrow(/one of accuracy, .*got "toString"/);
  });
});
