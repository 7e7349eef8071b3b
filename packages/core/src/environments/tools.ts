/** An environment in which a model calls tools until it answers: an action without a call is the answer. */
import { Validator } from "@cfworker/json-schema";
import type { DatasetRow } from "../data/jsonl";
import { ConfigError } from "../errors";
import { type Signal, withDeadline } from "../rl/abort";
import type { Environment, EnvironmentFactory, EnvironmentStep, EpisodeReport, StepContext } from "./environment";
import { hermesToolCalls, type ToolCall, type ToolCallParser } from "./tool-calls";

/** A function that a model may call. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments, which are checked against it before the tool runs. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Returns what the model sees: text, or a value shown as JSON. What it throws is shown as an error, and counted. */
  run(args: Readonly<Record<string, unknown>>, context: { readonly signal: Signal }): unknown;
}

export interface ToolEnvironmentOptions {
  readonly tools: readonly Tool[];
  /** Rewards the answer, once; null for no reward. An episode that ends without one is rewarded for the answer "". */
  readonly reward?: ((answer: string, row: DatasetRow) => number | null | Promise<number | null>) | undefined;
  /** Default {@link hermesToolCalls}. */
  readonly parser?: ToolCallParser | undefined;
  /** Shows one result. Default `<tool_response>\n...\n</tool_response>`, as the templates of Hermes and Qwen do. */
  readonly renderResult?: ((result: string) => string) | undefined;
  /** Longest result in characters; the rest is cut off. Default 4000. */
  readonly maxResultLength?: number | undefined;
  /** Longest that one asynchronous call may take; a longer one is a failure. Default 10000. */
  readonly toolTimeoutMs?: number | undefined;
}

/**
 * The calls of an action run one after another, and their results are the next observation. A call that cannot be read, an unknown tool, bad
 * arguments, a throw and a timeout are shown to the model as errors. Metrics under TRL's names: `tools/call_frequency` (calls per episode) and
 * `tools/failure_frequency` (share of calls that failed). Throws ConfigError for two tools of one name.
 */
export function toolEnvironment(options: ToolEnvironmentOptions): EnvironmentFactory {
  const names = options.tools.map(({ name }) => name);
  if (new Set(names).size < names.length) {
    throw new ConfigError(`toolEnvironment: tools must have different names, got ${names.join(", ")}. Rename one.`);
  }
  return (row) => new ToolUse(options, row);
}

/** Rows with the tools' descriptions: in the column `tools`, which chat templates read, or in front of a text prompt. */
export function withTools(rows: readonly DatasetRow[], tools: readonly Tool[]): DatasetRow[] {
  const described = tools.map(({ name, description, parameters }) => ({ type: "function", function: { name, description, parameters } }));
  const lines = described.map((tool) => `${JSON.stringify(tool.function)}\n`).join("");
  return rows.map((row) =>
    typeof row.prompt === "string" ? { ...row, prompt: `Tools:\n${lines}\n${row.prompt}` } : { ...row, tools: described },
  );
}

class ToolUse implements Environment {
  readonly #options: ToolEnvironmentOptions;
  readonly #row: DatasetRow;
  #calls = 0;
  #failures = 0;
  #hasAnswered = false;

  constructor(options: ToolEnvironmentOptions, row: DatasetRow) {
    this.#options = options;
    this.#row = row;
  }

  reset(): undefined {
    return undefined;
  }

  async step(action: string, { signal }: StepContext): Promise<EnvironmentStep> {
    const { parser = hermesToolCalls, reward, renderResult, maxResultLength = 4000 } = this.#options;
    const calls = parser(action);
    if (calls.length === 0) {
      this.#hasAnswered = true;
      return { reward: reward ? await reward(action, this.#row) : null, done: true };
    }
    const shown: string[] = [];
    for (const call of calls) {
      const result = (await this.#call(call, signal)).slice(0, maxResultLength);
      shown.push(renderResult ? renderResult(result) : `<tool_response>\n${result}\n</tool_response>`);
    }
    return { observation: shown.join("\n"), done: false };
  }

  async reward(): Promise<number | null> {
    const { reward } = this.#options;
    return this.#hasAnswered || !reward ? null : reward("", this.#row);
  }

  report(): EpisodeReport {
    return {
      metrics: {
        "tools/call_frequency": this.#calls,
        "tools/failure_frequency": { sum: this.#failures, count: this.#calls },
      },
    };
  }

  async #call(call: ToolCall, outer: Signal): Promise<string> {
    this.#calls++;
    try {
      return await this.#run(call, outer);
    } catch (error) {
      outer.throwIfAborted();
      this.#failures++;
      return `Error: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  async #run(call: ToolCall, outer: Signal): Promise<string> {
    const { tools, toolTimeoutMs: timeoutMs = 10_000 } = this.#options;
    if (call.problem !== undefined) throw new Error(call.problem);
    const tool = tools.find(({ name }) => name === call.name);
    if (!tool) throw new Error(`there is no tool ${call.name}, only ${tools.map(({ name }) => name).join(", ")}`);
    const { valid, errors } = new Validator(tool.parameters).validate(call.arguments);
    if (!valid) throw new Error(`bad arguments of ${tool.name}: ${errors.at(-1)?.error ?? "they do not match"}`);
    const onTimeout = () => new Error(`${tool.name} took longer than ${timeoutMs} ms`);
    const result = await withDeadline(async (signal) => tool.run(call.arguments, { signal }), { timeoutMs, onTimeout, outer });
    return typeof result === "string" ? result : (JSON.stringify(result) ?? "null");
  }
}
