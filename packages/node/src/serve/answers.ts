/** Answers in OpenAI's form, whole or in chunks, from what the scheduler hands out. */
import type { Completion, CompletionDelta, Tokenizer } from "@trimtab/core";
import { chatLogprobs, completionLogprobs, textOf } from "./logprobs";
import { type ApiToolCall, ToolOutput } from "./tool-output";

/** Tokens of a request; those of the completion grow while it is answered. */
export interface TokenCounts {
  promptTokens: number;
  completionTokens: number;
}

export interface AnswerContext {
  readonly kind: "chat" | "completion";
  readonly id: string;
  /** Seconds. */
  readonly created: number;
  readonly model: string;
  readonly tokenizer: Tokenizer;
  /** Completions per prompt. */
  readonly n: number;
  readonly tokens: Readonly<TokenCounts>;
  readonly hasLogprobs: boolean;
  readonly hasTools: boolean;
  readonly includesUsage: boolean;
}

/** What one choice gained; `calls` and the reason come with its last part. */
interface Part {
  readonly index: number;
  readonly text: string;
  readonly scored: CompletionDelta;
  readonly calls: readonly ApiToolCall[];
  readonly finishReason: "stop" | "length" | "tool_calls" | null;
}

export async function wholeAnswer(deltas: AsyncIterable<CompletionDelta>, context: AnswerContext): Promise<object> {
  const choices: object[] = [];
  const texts = new Map<number, string>();
  for await (const { index, text, calls, finishReason, scored } of parts(deltas, context)) {
    const whole = (texts.get(index) ?? "") + text;
    texts.set(index, whole);
    if (scored.completion)
      choices[index] = { index, ...wholeChoice(whole, calls, scored.completion, context), finish_reason: finishReason };
  }
  return { ...headOf(context), choices, usage: usageOf(context) };
}

export async function* chunkedAnswer(deltas: AsyncIterable<CompletionDelta>, context: AnswerContext): AsyncGenerator<object, void> {
  const head = headOf(context, "chunk");
  const tail = context.includesUsage ? { usage: null } : {};
  /** Of each choice that has begun, the length of its tokens' text where log-probabilities say where each is. */
  const offsets = new Map<number, number>();
  for await (const { index, text, calls, finishReason, scored } of parts(deltas, context)) {
    const offset = offsets.get(index);
    const needsLength = context.kind === "completion" && context.hasLogprobs;
    const length = needsLength ? Array.from(scored.tokens).reduce((sum, token) => sum + textOf(token, context.tokenizer).length, 0) : 0;
    offsets.set(index, (offset ?? 0) + length);
    if (text === "" && !context.hasLogprobs && finishReason === null && offset !== undefined) continue;
    const choice =
      context.kind === "completion"
        ? { text, logprobs: context.hasLogprobs ? completionLogprobs(scored, context.tokenizer, offset ?? 0) : null }
        : {
            delta: {
              ...(offset === undefined ? { role: "assistant" } : {}),
              ...(text !== "" || offset === undefined ? { content: text } : {}),
              ...(calls.length > 0 ? { tool_calls: calls.map((call, i) => ({ index: i, ...call })) } : {}),
            },
            logprobs: context.hasLogprobs ? chatLogprobs(scored, context.tokenizer) : null,
          };
    yield { ...head, choices: [{ index, ...choice, finish_reason: finishReason }], ...tail };
  }
  if (context.includesUsage) yield { ...head, choices: [], usage: usageOf(context) };
}

async function* parts(deltas: AsyncIterable<CompletionDelta>, context: AnswerContext): AsyncGenerator<Part> {
  const tools = new Map<number, ToolOutput>();
  for await (const scored of deltas) {
    const { promptIndex, sampleIndex, completion } = scored;
    const index = promptIndex * context.n + sampleIndex;
    if (!context.hasTools) {
      yield { index, text: scored.text, scored, calls: [], finishReason: completion ? reasonOf(completion) : null };
      continue;
    }
    const output = tools.get(index) ?? new ToolOutput();
    tools.set(index, output);
    const shown = output.push(scored.text);
    const end = completion ? output.finish() : { text: "", calls: [] };
    const finishReason = completion ? (end.calls.length > 0 ? "tool_calls" : reasonOf(completion)) : null;
    yield { index, text: shown + end.text, scored, calls: end.calls, finishReason };
  }
}

function wholeChoice(
  text: string,
  calls: readonly ApiToolCall[],
  scored: Completion,
  { kind, hasLogprobs, tokenizer }: AnswerContext,
): object {
  if (kind === "completion") return { text, logprobs: hasLogprobs ? completionLogprobs(scored, tokenizer, 0) : null };
  const message = { role: "assistant", content: calls.length > 0 && text === "" ? null : text, refusal: null };
  return {
    message: calls.length > 0 ? { ...message, tool_calls: calls } : message,
    logprobs: hasLogprobs ? chatLogprobs(scored, tokenizer) : null,
  };
}

const reasonOf = ({ finishReason }: Completion): "stop" | "length" => (finishReason === "length" ? "length" : "stop");

function headOf({ kind, id, created, model }: AnswerContext, chunk?: "chunk"): object {
  return { id, object: kind === "completion" ? "text_completion" : chunk ? "chat.completion.chunk" : "chat.completion", created, model };
}

function usageOf({ tokens: { promptTokens, completionTokens } }: AnswerContext): object {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
}
