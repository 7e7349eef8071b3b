/** An HTTP server that speaks OpenAI's API for models of this process; all requests for a model share one continuous batch. */
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type CompletionDelta, ConfigError, type LanguageModel, Scheduler, type SchedulerOptions } from "@trimtab/core";
import { type AnswerContext, chunkedAnswer, type TokenCounts, wholeAnswer } from "./answers";
import { ApiError, toApiError } from "./api-error";
import { chatPrompt } from "./chat-prompt";
import type { GenerationRequest } from "./requests";

export interface ApiServerOptions extends Omit<SchedulerOptions, "model"> {
  /** By the names that requests call them; they must be on one device. The caller disposes of them after `close`. */
  readonly models: ReadonlyMap<string, LanguageModel>;
  /** Requests must bring it as a bearer token. Default: anyone is served. */
  readonly apiKey?: string | undefined;
  /** The page origin that may call from a browser, or "*". Default: none. */
  readonly corsOrigin?: string | undefined;
  /** Longest completion of a chat that names no limit. Default 512, or what the context leaves. */
  readonly defaultMaxTokens?: number | undefined;
  /** Hears of every request when it has been answered. */
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
}

/** A request that has been answered or given up. */
export interface RequestRecord extends Readonly<TokenCounts> {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly elapsedMs: number;
  /** The client went away before the end. */
  readonly isAborted: boolean;
  /** What went wrong. */
  readonly error: unknown;
}

/** A model that is served. */
interface Served {
  readonly name: string;
  readonly model: LanguageModel;
  readonly scheduler: Scheduler;
}

/** One request while it is answered. */
interface Exchange {
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly tokens: TokenCounts;
}

const MAX_BODY_BYTES = 8 << 20;

export class ApiServer {
  /** Listen with `http.listen(port, host)`. */
  readonly http: Server;
  readonly #options: ApiServerOptions;
  readonly #served: ReadonlyMap<string, Served>;
  readonly #created = Math.floor(Date.now() / 1000);
  readonly #answering = new Set<Promise<void>>();
  #isClosing = false;

  /** Allocates a cache for every model, from the same share of memory. Throws ConfigError for bad options. */
  constructor(options: ApiServerOptions) {
    this.#options = options;
    const { models, ...batch } = options;
    const [first] = models.values();
    if (!first) throw new ConfigError("ApiServer: at least one model must be served, got none. Give one.");
    const { info, counters } = first.decoder.device;
    const share = Math.floor((info.memoryBytes === undefined ? 2 ** 30 : (info.memoryBytes - counters.liveBytes) / 2) / models.size);
    this.#served = new Map(
      [...models].map(([name, model]) => [
        name,
        { name, model, scheduler: new Scheduler({ ...batch, cacheBytes: batch.cacheBytes ?? share, model }) },
      ]),
    );
    this.http = createServer((request, response) => {
      const answering = this.#serve(request, response).finally(() => this.#answering.delete(answering));
      this.#answering.add(answering);
    });
  }

  /** The scheduler of a model; undefined for other names. */
  scheduler(name: string): Scheduler | undefined {
    return this.#served.get(name)?.scheduler;
  }

  /** Takes no more requests, waits for those that are being answered, at most `graceMs`, and frees the caches. */
  async close(graceMs = 0): Promise<void> {
    this.#isClosing = true;
    this.http.close();
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([Promise.all(this.#answering), expired]);
    clearTimeout(timer);
    for (const { scheduler } of this.#served.values()) await scheduler.close();
    await Promise.all(this.#answering);
    this.http.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const start = performance.now();
    const controller = new AbortController();
    const exchange: Exchange = { response, signal: controller.signal, tokens: { promptTokens: 0, completionTokens: 0 } };
    response.on("close", () => {
      if (!response.writableFinished) controller.abort(new ApiError(499, "The client went away."));
    });
    let error: unknown;
    try {
      await this.#route(request, exchange);
    } catch (thrown) {
      error = thrown;
      if (!controller.signal.aborted) sendError(response, toApiError(thrown));
    }
    this.#options.onRequest?.({
      method: request.method ?? "",
      path: pathOf(request),
      status: response.statusCode,
      elapsedMs: performance.now() - start,
      ...exchange.tokens,
      isAborted: controller.signal.aborted,
      error,
    });
  }

  async #route(request: IncomingMessage, exchange: Exchange): Promise<void> {
    const { response } = exchange;
    const { corsOrigin } = this.#options;
    if (corsOrigin !== undefined) {
      response.setHeader("access-control-allow-origin", corsOrigin);
      response.setHeader("access-control-allow-headers", "authorization, content-type, *");
      response.setHeader("access-control-allow-methods", "GET, POST");
      if (request.method === "OPTIONS") {
        response.writeHead(204).end();
        return;
      }
    }
    if (this.#isClosing) throw new ApiError(503, "The server is shutting down.", { headers: { connection: "close" } });
    const path = pathOf(request);
    if (request.method === "GET" && path === "/health") return sendJson(response, { status: "ok" });
    this.#authorise(request);
    const name = /^\/v1\/models(?:\/(.+))?$/.exec(path);
    if (request.method === "GET" && name) return sendJson(response, this.#models(name[1] && decodeURIComponent(name[1])));
    if (path === "/v1/completions" || path === "/v1/chat/completions") {
      if (request.method !== "POST") throw new ApiError(405, `${path} takes POST, got ${request.method}.`, { headers: { allow: "POST" } });
      const json = await readJson(request);
      return path === "/v1/completions" ? this.#complete(json, exchange) : this.#chat(json, exchange);
    }
    throw new ApiError(404, `There is nothing at ${request.method} ${path}.`, { code: "unknown_url" });
  }

  #authorise({ headers }: IncomingMessage): void {
    const { apiKey } = this.#options;
    if (apiKey === undefined) return;
    const digest = (text: string) => createHash("sha256").update(text).digest();
    if (timingSafeEqual(digest(headers.authorization ?? ""), digest(`Bearer ${apiKey}`))) return;
    throw new ApiError(401, "Incorrect API key provided.", { code: "invalid_api_key" });
  }

  #models(name: string | undefined): object {
    const record = ({ name: id }: Served) => ({ id, object: "model", created: this.#created, owned_by: "trimtab" });
    if (name !== undefined) return record(this.#find(name));
    return { object: "list", data: [...this.#served.values()].map(record) };
  }

  #find(name: string): Served {
    const served = this.#served.get(name);
    if (served) return served;
    const names = [...this.#served.keys()].join(", ");
    throw new ApiError(404, `The model \`${name}\` does not exist. There is: ${names}.`, { param: "model", code: "model_not_found" });
  }

  async #complete(json: unknown, exchange: Exchange): Promise<void> {
    const { readCompletion } = await import("./requests");
    const { body, request } = readCompletion(json);
    const served = this.#find(request.model);
    const { prompt } = body;
    const isTokens = (value: unknown): value is number[] => Array.isArray(value) && typeof value[0] === "number";
    const given: readonly (string | number[])[] = typeof prompt === "string" || isTokens(prompt) ? [prompt] : prompt;
    const prompts = given.map((each) => (typeof each === "string" ? served.model.tokenizer.encode(each) : Uint32Array.from(each)));
    return this.#answer("completion", served, prompts, request, exchange, false);
  }

  async #chat(json: unknown, exchange: Exchange): Promise<void> {
    const { readChat } = await import("./requests");
    const { body, request } = readChat(json);
    const served = this.#find(request.model);
    const hasTools = (body.tools?.length ?? 0) > 0 && body.tool_choice !== "none";
    return this.#answer("chat", served, [chatPrompt(body, served.model.tokenizer)], request, exchange, hasTools);
  }

  async #answer(
    kind: AnswerContext["kind"],
    { name, model, scheduler }: Served,
    prompts: readonly Uint32Array[],
    request: GenerationRequest,
    exchange: Exchange,
    hasTools: boolean,
  ): Promise<void> {
    const { response, signal, tokens } = exchange;
    const { maxPositions } = model.decoder.config;
    const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
    if (longest + (request.maxTokens ?? 1) > maxPositions) {
      const asked = request.maxTokens === undefined ? "" : ` and \`max_tokens\` of ${request.maxTokens}`;
      throw new ApiError(400, `This model's context is ${maxPositions} tokens, got a prompt of ${longest}${asked}. Shorten either.`, {
        param: kind === "chat" ? "messages" : "prompt",
        code: "context_length_exceeded",
      });
    }
    tokens.promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
    const deltas = scheduler.generate({
      prompts,
      n: request.n,
      maxNewTokens: request.maxTokens ?? Math.min(this.#options.defaultMaxTokens ?? 512, maxPositions - longest),
      ...request.sampling,
      signal,
    });
    const context: AnswerContext = {
      kind,
      id: `${kind === "chat" ? "chatcmpl" : "cmpl"}-${randomUUID().replaceAll("-", "")}`,
      created: Math.floor(Date.now() / 1000),
      model: name,
      tokenizer: model.tokenizer,
      n: request.n,
      tokens,
      hasLogprobs: request.topLogprobs !== undefined,
      hasTools,
      includesUsage: request.includesUsage,
    };
    const counted = counting(deltas, tokens);
    if (!request.isStreamed) return sendJson(response, await wholeAnswer(counted, context));
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
    for await (const chunk of chunkedAnswer(counted, context)) {
      // A reader that is slower than the model holds up its own stream only.
      if (!response.write(`data: ${JSON.stringify(chunk)}\n\n`)) await once(response, "drain", { signal });
    }
    response.end("data: [DONE]\n\n");
  }
}

async function* counting(deltas: AsyncIterable<CompletionDelta>, counts: TokenCounts): AsyncGenerator<CompletionDelta> {
  for await (const delta of deltas) {
    counts.completionTokens += delta.tokens.length;
    yield delta;
  }
}

const pathOf = ({ url = "/" }: IncomingMessage): string => url.replace(/[?#].*$/, "").replace(/(?<=.)\/+$/, "");

function sendJson(response: ServerResponse, body: object): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** As a body, or as an event where the answer has begun. */
function sendError(response: ServerResponse, error: ApiError): void {
  const json = JSON.stringify(error);
  if (response.headersSent) response.end(`data: ${json}\n\n`);
  else response.writeHead(error.status, { ...error.headers, "content-type": "application/json" }).end(json);
}

/** The body of a request. What is not declared JSON is refused: a page of another origin could send it unasked. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    throw new ApiError(415, `The body must be application/json, got ${request.headers["content-type"] ?? "no content-type"}.`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw new ApiError(413, `The body must be at most ${MAX_BODY_BYTES} bytes.`, { headers: { connection: "close" } });
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw new ApiError(400, `The body must be JSON: ${(cause as Error).message}.`, { cause });
  }
}
