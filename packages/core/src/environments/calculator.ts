/** A calculator as a tool, and the environment that pairs it with word problems. */
import { evaluateArithmetic } from "../rewards/arithmetic";
import { extractGsm8kAnswer } from "../rewards/gsm8k";
import { isClose } from "../rewards/number-text";
import type { EnvironmentFactory } from "./environment";
import { type Tool, type ToolEnvironmentOptions, toolEnvironment } from "./tools";

/** Numbers, + - * / and parentheses; what a model wrote is parsed, never run as code. */
export const calculatorTool: Tool = {
  name: "calculator",
  description: "Evaluates an arithmetic expression with + - * / and parentheses.",
  parameters: { type: "object", properties: { expression: { type: "string" } }, required: ["expression"] },
  run({ expression }) {
    const result = evaluateArithmetic(expression as string);
    if (!result) throw new Error("the expression must be numbers, + - * / and parentheses, without division by zero");
    return String(Number(result.value.toPrecision(12)));
  },
};

/** The calculator on rows with an `answer` (GSM8K's own, `wordProblems`): 1 for the right final number (after `####`, else the last), 0 else. */
export function calculatorEnvironment(options: Omit<ToolEnvironmentOptions, "tools" | "reward"> = {}): EnvironmentFactory {
  return toolEnvironment({
    ...options,
    tools: [calculatorTool],
    reward(text, row) {
      const expected = extractGsm8kAnswer(String(row.answer ?? ""));
      const answer = extractGsm8kAnswer(text);
      if (expected === undefined) return null;
      return answer !== undefined && isClose(answer, expected, { absolute: 1e-6, relative: 1e-9 }) ? 1 : 0;
    },
  });
}
