/** A client of an OpenAI-compatible endpoint: retries, time limits, a cap on concurrency, a cache, and what it all cost. */
import type { Message } from "../data/formats";
import { JudgeError } from "../errors";
import { type Signal, type SignalLike, withDeadline } from "../rl/abort";
import { mapConcurrently } from "../rl/concurrently";
import { type JudgeStatistics, sumStatistics } from "./judge";
import { sha256 } from "./sha256";

/** Answers by key; files or a database can be behind it. */
export interface JudgeCache {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
}

/** A cache that lasts as long as the process. */
export function memoryCache(): JudgeCache {
  const values = new Map<string, string>();
  return { get: async (key) => values.get(key), set: async (key, value) => void values.set(key, value) };
}

/** The part of `fetch` that is used here. */
export type FetchLike = (
  url: string,
  init: { readonly method: "POST"; readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly signal: Signal },
) => Promise<{ readonly status: number; readonly headers: { get(name: string): string | null }; text(): Promise<string> }>;

declare const fetch: FetchLike;
declare const setTimeout: (callback: () => void, ms: number) => unknown;

export interface EndpointOptions {
  /** Up to and with the version, e.g. "https://api.openai.com/v1"; "/chat/completions" is added. */
  readonly baseUrl: string;
  readonly model: string;
  /** Sent as a bearer token; never logged, and struck from messages of errors. */
  readonly apiKey?: string | undefined;
  /** Further members of the request's body. Defaults: temperature 0, max_tokens 16. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  /** Ask for the log-probabilities of the answer's tokens; false for servers that refuse such requests. Default true. */
  readonly logprobs?: boolean | undefined;
  /** Longest one attempt may take. Default 60000. */
  readonly timeoutMs?: number | undefined;
  /** Further attempts after a network error, a time-out, an unreadable body, status 408, 429 or 5xx. Default 4. */
  readonly maxRetries?: number | undefined;
  /** Wait before the first retry; doubled each time, unless the server's Retry-After says otherwise. Default 500. */
  readonly retryDelayMs?: number | undefined;
  /** Longest wait; a server that asks for more ends the attempts. Default 60000. */
  readonly maxRetryDelayMs?: number | undefined;
  /** Requests at a time. Default 8. */
  readonly concurrency?: number | undefined;
  /** Prices of a million tokens, for `judge/cost`. */
  readonly price?: { readonly promptPerMillion: number; readonly completionPerMillion: number } | undefined;
  /** Default {@link memoryCache}. Keys are hashes of address, model, messages and parameters. */
  readonly cache?: JudgeCache | undefined;
  /** Default: the platform's. */
  readonly fetch?: FetchLike | undefined;
}

/** An answer with, where the server gives them, the likeliest tokens at each of its positions. */
export interface ChatAnswer {
  readonly content: string;
  readonly topLogprobs: readonly (readonly { readonly token: string; readonly logprob: number }[])[];
}

/** Answers in the order of the requests, and what they took. */
export type AskChat = (
  requests: readonly (readonly Message[])[],
  signal?: SignalLike,
) => Promise<{ answers: ChatAnswer[]; statistics: JudgeStatistics }>;

/** Makes the function that asks. It throws JudgeError for an answer that cannot be had, and the signal's reason when aborted. */
export function chatCompletions(options: EndpointOptions): AskChat {
  const { baseUrl, model, logprobs = true, concurrency = 8, cache = memoryCache(), price } = options;
  const url = `${baseUrl.replace(/\/+$/, "")}/chat/completions`;
  const fixed = { model, temperature: 0, max_tokens: 16, ...(logprobs ? { logprobs: true, top_logprobs: 20 } : {}), ...options.parameters };
  return async (requests, outer) => {
    const parts: Partial<JudgeStatistics>[] = [];
    const pending = new Map<string, Promise<Body>>();
    const fetchBody = async (key: string, body: string, signal: SignalLike): Promise<Body> => {
      const stored = readBody((await cache.get(key)) ?? "");
      if (stored) {
        parts.push({ cacheHits: 1 });
        return stored;
      }
      const text = await attempt(url, body, options, signal, parts);
      await cache.set(key, text);
      const fresh = readBody(text) as Body;
      const { promptTokens, completionTokens } = fresh;
      const cost = price ? (promptTokens * price.promptPerMillion + completionTokens * price.completionPerMillion) / 1e6 : 0;
      parts.push({ calls: 1, promptTokens, completionTokens, cost });
      return fresh;
    };
    const ask = async (messages: readonly Message[], signal: SignalLike): Promise<ChatAnswer> => {
      const body = JSON.stringify({ ...fixed, messages });
      const key = sha256(`${url}\n${body}`);
      const started = pending.get(key);
      if (started) parts.push({ cacheHits: 1 });
      else pending.set(key, fetchBody(key, body, signal));
      return (await (pending.get(key) as Promise<Body>)).answer;
    };
    const answers = await withDeadline((own) => mapConcurrently(requests, concurrency, (messages) => ask(messages, own)), {
      timeoutMs: undefined,
      onTimeout: () => new JudgeError("judge: it must end."),
      outer,
    });
    return { answers, statistics: sumStatistics(...parts) };
  };
}

/** The body of a good response, after as many attempts as allowed. */
async function attempt(
  url: string,
  body: string,
  options: EndpointOptions,
  signal: SignalLike,
  parts: Partial<JudgeStatistics>[],
): Promise<string> {
  const { maxRetries = 4, retryDelayMs = 500, maxRetryDelayMs = 60_000, timeoutMs = 60_000, apiKey } = options;
  const send = options.fetch ?? ((to, init) => fetch(to, init));
  const headers = { "content-type": "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) };
  for (let retry = 0; ; retry++) {
    let problem: string;
    let asked: number | undefined;
    let isFinal = false;
    try {
      const work = async (own: Signal) => {
        const response = await send(url, { method: "POST", headers, body, signal: own });
        return { response, text: await response.text() };
      };
      const { response, text } = await withDeadline(work, {
        timeoutMs,
        onTimeout: () => new Error(`no answer within ${timeoutMs} ms`),
        outer: signal,
      });
      const { status } = response;
      if (status >= 200 && status < 300) {
        if (readBody(text)) return text;
        problem = `an unreadable body: ${text.slice(0, 200)}`;
      } else {
        problem = `status ${status}: ${text.slice(0, 200)}`;
        isFinal = status !== 408 && status !== 429 && status < 500;
        asked = retryAfterMs(response.headers.get("retry-after"));
      }
    } catch (error) {
      signal.throwIfAborted();
      problem = error instanceof Error ? error.message : String(error);
    }
    const wait = asked ?? Math.min(maxRetryDelayMs, retryDelayMs * 2 ** retry);
    if (isFinal || retry >= maxRetries || wait > maxRetryDelayMs) {
      const shown = apiKey ? problem.replaceAll(apiKey, "[key]") : problem;
      throw new JudgeError(
        `judge: ${url} must answer, got ${shown} after ${retry} retries. Check the address, the key, the model and its limits.`,
      );
    }
    parts.push({ retries: 1 });
    await withDeadline(() => new Promise<void>((resolve) => setTimeout(resolve, wait)), {
      timeoutMs: undefined,
      onTimeout: () => new Error(),
      outer: signal,
    });
  }
}

/** Retry-After in seconds or as a date; undefined where it says neither. */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null || value.trim() === "") return undefined;
  const ms = /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

interface Body {
  readonly answer: ChatAnswer;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** What is used of a response; undefined where it is no answer. */
function readBody(text: string): Body | undefined {
  interface Json {
    readonly choices?: readonly {
      readonly message?: { readonly content?: unknown };
      readonly logprobs?: {
        readonly content?: readonly { readonly top_logprobs?: readonly { token: string; logprob: number }[] }[] | null;
      } | null;
    }[];
    readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null;
  }
  let json: Json | null;
  try {
    json = JSON.parse(text) as Json | null;
  } catch {
    return undefined;
  }
  const choice = json?.choices?.[0];
  const content = choice?.message?.content;
  if (typeof content !== "string") return undefined;
  const topLogprobs = (choice?.logprobs?.content ?? []).map((position) => position.top_logprobs ?? []);
  return {
    answer: { content, topLogprobs },
    promptTokens: json?.usage?.prompt_tokens ?? 0,
    completionTokens: json?.usage?.completion_tokens ?? 0,
  };
}
