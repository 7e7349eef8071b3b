/** Tool use: calls are found, checked, run and answered; failures survive and are counted; the calculator earns on word problems. */
import { describe, expect, test } from "vitest";
import { calculatorEnvironment, calculatorTool } from "../src/environments/calculator";
import type { EnvironmentFactory } from "../src/environments/environment";
import { hermesToolCalls, plainToolCalls } from "../src/environments/tool-calls";
import { type Tool, toolEnvironment, withTools } from "../src/environments/tools";
import { wordProblems } from "../src/environments/word-problems";
import { ConfigError } from "../src/errors";
import { evaluateArithmetic } from "../src/rewards/arithmetic";

const context = () => ({ tokens: Uint32Array.of(1), isCut: false, signal: new AbortController().signal });
const begin = (factory: EnvironmentFactory, row = {}) =>
  factory(row, 0, { sampleIndex: 0, trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 } });
const call = (name: string, args: unknown) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`;

describe("calls", () => {
  test("as Hermes and Qwen write them", () => {
    expect(hermesToolCalls("The answer is 4.")).toEqual([]);
    expect(hermesToolCalls(`First ${call("a", { x: 1 })} then <tool_call>{"name": "b", "arguments": {}}`)).toEqual([
      { name: "a", arguments: { x: 1 } },
      { name: "b", arguments: {} },
    ]);
    for (const bad of ["{", "[]", '{"arguments": {}}', '{"name": "a", "arguments": 3}', '{"name": "a"}']) {
      expect(hermesToolCalls(`<tool_call>${bad}</tool_call>`)).toEqual([{ problem: expect.any(String) }]);
    }
  });

  test("in the plain form", () => {
    expect(plainToolCalls('<tool>add({"a": 1})</tool> and <tool> now() </tool>')).toEqual([
      { name: "add", arguments: { a: 1 } },
      { name: "now", arguments: {} },
    ]);
    expect(plainToolCalls("<tool>add</tool><tool>add(1)</tool>").map(({ problem }) => typeof problem)).toEqual(["string", "string"]);
  });
});

describe("a tool environment", () => {
  const tools: Tool[] = [
    calculatorTool,
    { name: "list", description: "", parameters: { type: "object" }, run: async () => ({ items: [1, 2] }) },
    { name: "hang", description: "", parameters: { type: "object" }, run: () => new Promise(() => {}) },
    {
      name: "break",
      description: "",
      parameters: { type: "object" },
      run() {
        throw new RangeError("out of paper");
      },
    },
  ];

  test("shows results and errors, counts both, and is over with an answer", async () => {
    const environment = await begin(toolEnvironment({ tools, toolTimeoutMs: 10, maxResultLength: 40, reward: (text) => text.length }));
    const two = await environment.step(call("calculator", { expression: "2*(3+4)" }) + call("list", {}), context());
    expect(two).toEqual({
      observation: '<tool_response>\n14\n</tool_response>\n<tool_response>\n{"items":[1,2]}\n</tool_response>',
      done: false,
    });
    const failing: [string, RegExp][] = [
      [call("calculator", { expression: "2/0" }), /Error: the expression must be/],
      [call("calculator", { expression: "process.exit()" }), /Error: the expression must be/],
      [call("calculator", { expression: 3 }), /Error: bad arguments of calculator/],
      [call("calculator", {}), /Error: bad arguments of calculator/],
      [call("search", {}), /Error: there is no tool search/],
      [call("break", {}), /Error: out of paper/],
      [call("hang", {}), /Error: hang took longer than 10 ms/],
      ["<tool_call>oops</tool_call>", /Error: a call must be/],
    ];
    for (const [action, message] of failing) {
      const { observation, done } = await environment.step(action, context());
      expect(observation).toMatch(message);
      expect((observation as string).length).toBeLessThanOrEqual("<tool_response>\n\n</tool_response>".length + 40);
      expect(done).toBe(false);
    }
    expect(await environment.reward?.()).toBe(0);
    expect(await environment.step("done", context())).toEqual({ reward: 4, done: true });
    expect(await environment.reward?.()).toBeNull();
    expect(await environment.report?.()).toEqual({
      metrics: { "tools/call_frequency": 10, "tools/failure_frequency": { sum: 8, count: 10 } },
    });
    expect(() => toolEnvironment({ tools: [calculatorTool, calculatorTool] })).toThrow(ConfigError);
  });

  test("an aborted run is not a tool's failure", async () => {
    const controller = new AbortController();
    const environment = await begin(toolEnvironment({ tools }));
    const waiting = environment.step(call("hang", {}), { ...context(), signal: controller.signal });
    controller.abort(new Error("stop"));
    await expect(waiting).rejects.toThrow("stop");
  });

  test("describes its tools to templates and to text prompts", () => {
    const [text, chat] = withTools([{ prompt: "Q" }, { prompt: [{ role: "user", content: "Q" }] }], [calculatorTool]);
    expect(text?.prompt).toMatch(/^Tools:\n\{"name":"calculator".*\n\nQ$/s);
    expect(chat?.tools).toMatchObject([{ type: "function", function: { name: "calculator", parameters: { required: ["expression"] } } }]);
  });
});

describe("the calculator on word problems", () => {
  test("problems are seeded, varied, and their steps are right", () => {
    const rows = wordProblems(300, 7) as { prompt: string; answer: string }[];
    expect(wordProblems(300, 7)).toEqual(rows);
    expect(wordProblems(300, 8)).not.toEqual(rows);
    expect(new Set(rows.map(({ prompt }) => prompt)).size).toBeGreaterThan(290);
    for (const { answer } of rows) {
      const [first, second, last] = answer.split("\n") as [string, string, string];
      for (const line of [first, second]) {
        const [expression, value] = line.split("=") as [string, string];
        expect(evaluateArithmetic(expression)?.value).toBe(Number(value));
      }
      expect(last).toBe(`#### ${second.split("=")[1]}`);
      expect(Number(last.slice(5))).toBeGreaterThan(0);
    }
  });

  test("the right number earns 1", async () => {
    const row = { prompt: "", answer: "6*7=42\n#### 42" };
    const play = async (answer: string) => (await (await begin(calculatorEnvironment(), row)).step(answer, context())).reward;
    expect(await play("It is 42.")).toBe(1);
    expect(await play("6*7 #### 42 of 50")).toBe(1);
    expect(await play("42, no: 43")).toBe(0);
    expect(await play("I do not know.")).toBe(0);
    expect(await (await begin(calculatorEnvironment(), {})).step("42", context())).toEqual({ reward: null, done: true });
  });
});
