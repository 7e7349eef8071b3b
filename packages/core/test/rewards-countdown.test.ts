/** The arithmetic parser against JavaScript's own evaluator, and countdown by TinyZero's scores. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RewardError } from "../src/errors";
import { evaluateArithmetic } from "../src/rewards/arithmetic";
import { countdownReward, isSolution } from "../src/rewards/countdown";
import { at } from "./fixture-files";
import { rewardsOf } from "./reward-arguments";

type Operator = "+" | "-" | "*" | "/";
type Tree =
  | number
  | { readonly sign: "+" | "-"; readonly of: Tree }
  | { readonly operator: Operator; readonly left: Tree; readonly right: Tree };

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.integer({ min: 0, max: 99 }),
    fc.integer({ min: 0, max: 9999 }).map((n) => n / 100),
    fc.record({ sign: fc.constantFrom("+", "-"), of: tie("tree") }),
    fc.record({ operator: fc.constantFrom("+", "-", "*", "/"), left: tie("tree"), right: tie("tree") }),
    fc.record({ operator: fc.constantFrom("+", "-", "*", "/"), left: tie("tree"), right: tie("tree") }),
  ),
}));

/** A tree's value; NaN where something is divided by zero. */
function evaluate(node: Tree): number {
  if (typeof node === "number") return node;
  if ("sign" in node) return node.sign === "-" ? -evaluate(node.of) : evaluate(node.of);
  const [a, b] = [evaluate(node.left), evaluate(node.right)];
  return { "+": a + b, "-": a - b, "*": a * b, "/": b === 0 ? Number.NaN : a / b }[node.operator];
}

/** Writes a tree with no more parentheses than precedence and left association ask for. */
function write(node: Tree, level = 0): string {
  if (typeof node === "number") return String(node);
  if ("sign" in node) return `${node.sign} ${write(node.of, 3)}`;
  const own = node.operator === "+" || node.operator === "-" ? 1 : 2;
  const text = `${write(node.left, own)} ${node.operator}${write(node.right, own + 1)}`;
  return own < level ? `(${text})` : text;
}

const numbersOf = (node: Tree): number[] =>
  typeof node === "number" ? [node] : "sign" in node ? numbersOf(node.of) : [...numbersOf(node.left), ...numbersOf(node.right)];

describe("evaluateArithmetic", () => {
  test("undoes writing an expression with as few parentheses as can be", () => {
    fc.assert(
      fc.property(tree, (node) => {
        const value = evaluate(node);
        expect(evaluateArithmetic(write(node))).toEqual(Number.isFinite(value) ? { value, numbers: numbersOf(node) } : undefined);
      }),
      { seed: 7, numRuns: 1000 },
    );
  });

  test("keeps precedence and associativity", () => {
    expect(evaluateArithmetic("2 + 3 * 4 - 6 / 2")?.value).toBe(11);
    expect(evaluateArithmetic("100 / 10 / 5 - 1 - 1")?.value).toBe(0);
    expect(evaluateArithmetic("-(2 - 5) * --2")?.value).toBe(6);
    expect(evaluateArithmetic("6 \u00d7 7 \u2212 84 \u00f7 2")).toEqual({ value: 0, numbers: [6, 7, 84, 2] });
  });

  test.each([
    "",
    " ",
    "1 +",
    "* 2",
    "(1",
    "1)",
    "1 2",
    "2 ** 3",
    "7 // 2",
    "1 = 1",
    "x",
    "1e5",
    "0x10",
    "1/0",
    "1/(2-2)",
    "alert(1)",
    "1,000",
    "٣",
  ])("refuses %j", (text) => expect(evaluateArithmetic(text)).toBe(undefined));

  test("survives hostile nesting and length", () => {
    expect(evaluateArithmetic(`${"(".repeat(99)}1${")".repeat(99)}`)?.value).toBe(1);
    expect(evaluateArithmetic(`${"(".repeat(900)}1${")".repeat(900)}`)).toBe(undefined);
    expect(evaluateArithmetic("(".repeat(1e6))).toBe(undefined);
    expect(evaluateArithmetic(`${"-".repeat(1900)}1`)).toBe(undefined);
    expect(evaluateArithmetic("9".repeat(1999))).toBe(undefined);
  });
});

describe("countdownReward", () => {
  const columns = { numbers: [[19, 36, 55, 7]], target: [65] };
  const score = async (answer: string, options = {}) => (await rewardsOf(countdownReward(options), { completions: [answer], columns }))[0];

  test("TinyZero's scores: 0 without an answer, 0.1 for a wrong one, 1 for a solution", async () => {
    expect(await score("55 + 36 - 7 - 19")).toBe(0);
    expect(await score("<think>hm</think> <answer>55 + 36 - 7 - 19</answer>")).toBe(1);
    expect(await score("<answer>(55 + 36) - (7 + 19)</answer>")).toBe(1);
    expect(await score("<answer>55 + 36 - 7</answer>")).toBe(0.1);
    expect(await score("<answer>55 + 36 - 7 - 19 + 19 - 19</answer>")).toBe(0.1);
    expect(await score("<answer>65</answer>")).toBe(0.1);
    expect(await score("<answer>55 + 36 - 7 - 19 = 65</answer>")).toBe(0.1);
    expect(await score("<answer>55 + 36 - 7 - 19</answer> no: <answer>1</answer>")).toBe(0.1);
    expect(await score("<answer></answer>")).toBe(0.1);
  });

  test("options: scores, where the answer is, and numbers left over", async () => {
    expect(await score("<answer>1</answer>", { formatScore: 0 })).toBe(0);
    expect(await score("55 + 36 - 7 - 19", { tag: "", score: 2 })).toBe(2);
    expect(await score("so: 55 + 36 - 7 - 19.", { pattern: "so: ([^.]*)" })).toBe(1);
    const puzzle = { numbers: [3, 3, 8], target: 11 };
    expect(isSolution("3 + 8", puzzle)).toBe(false);
    expect(isSolution("3 + 8", puzzle, "at-most-once")).toBe(true);
    expect(isSolution("3 + 3 + 8 - 3", puzzle, "at-most-once")).toBe(false);
    expect(isSolution("8 / 3", { numbers: [3, 8], target: 2.66667 })).toBe(true);
  });

  test("finds the solutions of published puzzles right, and others wrong", () => {
    const rows = readFileSync(at("fixtures/rewards/countdown.jsonl"), "utf8").trim().split("\n");
    for (const row of rows) {
      const puzzle = JSON.parse(row) as { numbers: number[]; target: number; expression: string };
      expect(isSolution(puzzle.expression, puzzle)).toBe(true);
      expect(isSolution(`${puzzle.expression} + 1 - 1`, puzzle)).toBe(false);
      expect(isSolution(puzzle.expression, { ...puzzle, target: puzzle.target + 1 })).toBe(false);
    }
  });

  test("refuses a row that is no puzzle, and skips one without numbers", async () => {
    const call = (numbers: unknown, target: unknown) =>
      rewardsOf(countdownReward(), { completions: ["<answer>1</answer>"], columns: { numbers: [numbers], target: [target] } });
    await expect(call("1, 2", 3)).rejects.toBeInstanceOf(RewardError);
    await expect(call([1, 2], null)).rejects.toThrow(/countdown_reward.*numbers and a target.*completion 0/);
    expect(await call(null, null)).toEqual([null]);
  });
});
