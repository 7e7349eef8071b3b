/** Bodies of requests: OpenAI's fields, checked one by one, as what the scheduler is asked. */
import { randomInt } from "node:crypto";
import type { Constraint, SamplingOptions } from "@trimtab/core";
import { z } from "zod";
import { ApiError, unsupported } from "./api-error";

/** Accepted and without effect: they say nothing about what is generated. */
const ignored = {
  user: z.unknown().optional(),
  metadata: z.unknown().optional(),
  store: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  safety_identifier: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
};

/** Known and refused, unless they have the value that changes nothing. */
const refused = {
  frequency_penalty: z.number().nullish(),
  presence_penalty: z.number().nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
};

const shared = {
  model: z.string(),
  n: z.int().min(1).max(128).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  /** The next three are vLLM's, not OpenAI's. */
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  max_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  seed: z.int().nullish(),
  stream: z.boolean().nullish(),
  response_format: z
    .discriminatedUnion("type", [
      z.looseObject({ type: z.literal("text") }),
      z.looseObject({ type: z.literal("json_object") }),
      z.looseObject({ type: z.literal("json_schema"), json_schema: z.looseObject({ schema: z.record(z.string(), z.unknown()) }) }),
    ])
    .nullish(),
  /** vLLM's: the whole completion matches it. */
  guided_regex: z.string().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() }).nullish(),
  ...ignored,
  ...refused,
};

const tokens = z.array(z.int().min(0));

const completionSchema = z.strictObject({
  ...shared,
  prompt: z.union([z.string(), z.array(z.string()).min(1), tokens.min(1), z.array(tokens.min(1)).min(1)]),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  best_of: z.int().nullish(),
  suffix: z.string().nullish(),
});

const part = z.looseObject({ type: z.string(), text: z.string().optional() });

const messageSchema = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.union([z.string(), z.array(part)]).nullish(),
  tool_calls: z
    .array(
      z.looseObject({ id: z.string(), type: z.literal("function"), function: z.looseObject({ name: z.string(), arguments: z.string() }) }),
    )
    .nullish(),
});

const toolSchema = z.looseObject({
  type: z.literal("function"),
  function: z.looseObject({ name: z.string().min(1), description: z.string().optional(), parameters: z.unknown().optional() }),
});

const chatSchema = z.strictObject({
  ...shared,
  messages: z.array(messageSchema).min(1),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: z.array(toolSchema).nullish(),
  tool_choice: z.union([z.enum(["none", "auto", "required"]), z.looseObject({})]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
});

export type CompletionBody = z.output<typeof completionSchema>;
export type ChatBody = z.output<typeof chatSchema>;
export type ChatMessage = z.output<typeof messageSchema>;

/** What both kinds of request come down to. */
export interface GenerationRequest {
  readonly model: string;
  readonly n: number;
  /** Undefined: the server's default. */
  readonly maxTokens: number | undefined;
  readonly sampling: SamplingOptions;
  /** Undefined: no log-probabilities are asked for. */
  readonly topLogprobs: number | undefined;
  readonly isStreamed: boolean;
  readonly includesUsage: boolean;
}

export function readCompletion(json: unknown): { body: CompletionBody; request: GenerationRequest } {
  const body = check(completionSchema, json);
  if (body.echo) throw unsupported("echo", "`echo` is not supported: the prompt is not scored. Leave it out.");
  if (body.suffix) throw unsupported("suffix", "`suffix` is not supported: the models complete from left to right. Leave it out.");
  if (body.best_of != null && body.best_of !== (body.n ?? 1)) throw unsupported("best_of", "`best_of` is not supported. Use `n`.");
  return { body, request: requestOf(body, body.max_tokens ?? 16, body.logprobs ?? undefined) };
}

export function readChat(json: unknown): { body: ChatBody; request: GenerationRequest } {
  const body = check(chatSchema, json);
  if (body.top_logprobs && !body.logprobs) {
    throw new ApiError(400, "`top_logprobs` must come with `logprobs: true`.", { param: "top_logprobs" });
  }
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? undefined;
  return { body, request: requestOf(body, maxTokens, body.logprobs ? (body.top_logprobs ?? 0) : undefined) };
}

function requestOf(body: CompletionBody | ChatBody, maxTokens: number | undefined, topLogprobs: number | undefined): GenerationRequest {
  for (const name of ["frequency_penalty", "presence_penalty"] as const) {
    if (body[name]) throw unsupported(name, `\`${name}\` is not supported. Use \`repetition_penalty\`, or leave it out.`);
  }
  if (body.logit_bias && Object.keys(body.logit_bias).length > 0)
    throw unsupported("logit_bias", "`logit_bias` is not supported. Leave it out.");
  const { stop, seed } = body;
  return {
    model: body.model,
    n: body.n ?? 1,
    maxTokens,
    topLogprobs,
    isStreamed: body.stream ?? false,
    includesUsage: body.stream_options?.include_usage ?? false,
    sampling: {
      temperature: body.temperature ?? 1,
      topP: body.top_p ?? 1,
      topK: Math.max(0, body.top_k ?? 0),
      minP: body.min_p ?? 0,
      repetitionPenalty: body.repetition_penalty ?? 1,
      stop: stop == null ? [] : [stop].flat(),
      // A negative seed is as good as any; without one, no two requests are alike.
      seed: seed == null ? randomInt(2 ** 47) : seed < 0 ? [Math.abs(seed) >>> 0, 1] : seed,
      topLogprobs: topLogprobs ?? 0,
      constraint: constraintOf(body),
    },
  };
}

function constraintOf({ response_format: format, guided_regex: regex }: CompletionBody | ChatBody): Constraint | undefined {
  const isJson = format != null && format.type !== "text";
  if (isJson && regex != null) throw new ApiError(400, "`guided_regex` must come without a `response_format`.", { param: "guided_regex" });
  if (regex != null) return { regex };
  if (!isJson) return undefined;
  return { jsonSchema: format.type === "json_schema" ? format.json_schema.schema : { type: "object" } };
}

/** Throws ApiError naming the first field that is wrong. */
function check<S extends z.ZodType>(schema: S, json: unknown): z.output<S> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues as [z.core.$ZodIssue];
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const param = [...issue.path, key].join(".");
    throw unsupported(param, `Unrecognized request argument supplied: ${param}.`);
  }
  const param = issue.path.join(".");
  throw new ApiError(400, `${param === "" ? "The body" : `\`${param}\``}: ${issue.message}.`, { param: param === "" ? undefined : param });
}
