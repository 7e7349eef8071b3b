/** Requests to the Hugging Face hub: tried again where that can help, redirected without the token, refused in words. */
import { setTimeout as delay } from "node:timers/promises";
import { HubError, type HubModel, hubRefusal } from "@trimtab/core";
import { version } from "../environment";

/** How patient a client is. */
export interface HubPatience {
  /** Tries of one request. */
  readonly tries: number;
  /** Wait after the first failure; it doubles with each. */
  readonly firstDelayMs: number;
  /** Longest wait that the hub may ask for; it asks for more than a try is worth where its limits are exhausted. */
  readonly longestDelayMs: number;
  /** Longest silence, before an answer and within it. */
  readonly silenceMs: number;
}

export const PATIENCE: HubPatience = { tries: 5, firstDelayMs: 500, longestDelayMs: 60_000, silenceMs: 30_000 };

/** Statuses that pass. */
const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const MOST_REDIRECTS = 10;

export interface HubClientOptions {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly patience?: HubPatience | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Asks one hub about one model. */
export class HubClient {
  readonly endpoint: string;
  readonly model: HubModel;
  readonly patience: HubPatience;
  readonly signal: AbortSignal | undefined;
  readonly #token: string | undefined;

  constructor(model: HubModel, { endpoint, token, patience = PATIENCE, signal }: HubClientOptions) {
    this.model = model;
    this.endpoint = endpoint;
    this.patience = patience;
    this.signal = signal;
    this.#token = token;
  }

  /** A successful answer about the repository itself, whole: `fetch` for the functions of @huggingface/hub. */
  readonly fetchApi: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    return this.#again(url, undefined, async () => {
      const response = await this.#follow(url, init ?? {}, this.patience.silenceMs);
      return new Response(await response.arrayBuffer(), response);
    });
  };

  /** A successful answer with a file's bytes from `offset` on, to be read with {@link HubClient.chunks}. */
  fetchFile(commit: string, file: string, offset: number): Promise<Response> {
    const url = new URL(`${this.endpoint}/${this.model.repository}/resolve/${commit}/${encodeURIComponent(file)}`);
    const headers: Record<string, string> = offset > 0 ? { Range: `bytes=${offset}-` } : {};
    return this.#again(url, file, () => this.#follow(url, { headers }, this.patience.silenceMs));
  }

  /** An answer's bytes as they arrive. Throws where it falls silent or breaks off. */
  async *chunks(response: Response): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await soon(reader.read(), this.patience.silenceMs);
        if (done) return;
        yield value;
      }
    } finally {
      // What is left, if anything, is not waited for.
      reader.cancel().catch(() => {});
    }
  }

  /** How long to wait after a number of failures. */
  async wait(failures: number, atLeastMs = 0): Promise<void> {
    const own = this.patience.firstDelayMs * 2 ** (failures - 1);
    await delay(Math.min(Math.max(own, atLeastMs), this.patience.longestDelayMs), undefined, { signal: this.signal });
  }

  async #again(url: URL, file: string | undefined, ask: () => Promise<Response>): Promise<Response> {
    const { repository } = this.model;
    for (let tried = 1; ; tried++) {
      let response: Response;
      try {
        response = await ask();
      } catch (cause) {
        this.signal?.throwIfAborted();
        if (tried < this.patience.tries) {
          await this.wait(tried);
          continue;
        }
        throw new HubError(
          `${repository}: ${url.origin} must answer, got ${reasonOf(cause)} in ${tried} tries. Check the connection; with HF_HUB_OFFLINE=1 the cache alone is used, HF_ENDPOINT names another server.`,
          { repository, file },
          { cause },
        );
      }
      if (response.ok) return response;
      await response.body?.cancel();
      const asked = askedDelayMs(response.headers.get("Retry-After"));
      const isWorthIt = PASSING.includes(response.status) && tried < this.patience.tries && asked <= this.patience.longestDelayMs;
      if (!isWorthIt) throw this.#refusal(response, file);
      await this.wait(tried, asked);
    }
  }

  #refusal(response: Response, file: string | undefined): HubError {
    const { endpoint } = this;
    const tokenAdvice = `Set HF_TOKEN to a token (${endpoint}/settings/tokens), or run \`hf auth login\``;
    return hubRefusal({ ...this.model, endpoint, file, hasToken: this.#token !== undefined, tokenAdvice }, response);
  }

  /** The answer at the end of the redirects. Large files lie on other servers, whose addresses are signed: the token is not for them. */
  async #follow(first: URL, init: RequestInit, silenceMs: number): Promise<Response> {
    let url = first;
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
      const headers = new Headers(init.headers);
      // Compressed answers have other lengths and no ranges.
      headers.set("Accept-Encoding", "identity");
      headers.set("User-Agent", `trimtab/${version}; node/${process.versions.node}`);
      if (this.#token !== undefined && url.origin === new URL(this.endpoint).origin) headers.set("Authorization", `Bearer ${this.#token}`);
      const silence = new AbortController();
      const signal = this.signal ? AbortSignal.any([this.signal, silence.signal]) : silence.signal;
      const timer = setTimeout(() => silence.abort(new Error(silenceOf(silenceMs))), silenceMs);
      let response: Response;
      try {
        response = await fetch(url, { ...init, headers, signal, redirect: "manual" });
      } finally {
        clearTimeout(timer);
      }
      const location = REDIRECTS.includes(response.status) ? response.headers.get("Location") : null;
      if (location === null) return response;
      await response.body?.cancel();
      url = new URL(location, url);
    }
    throw new Error(`more than ${MOST_REDIRECTS} redirects`);
  }
}

/** The value, unless it takes too long. */
async function soon<T>(value: Promise<T>, silenceMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(silenceOf(silenceMs))), silenceMs);
  });
  try {
    return await Promise.race([value, silence]);
  } finally {
    clearTimeout(timer);
  }
}

const silenceOf = (silenceMs: number): string => `silence for ${silenceMs / 1000} seconds`;

/** Retry-After in seconds or as a date, in milliseconds; 0 where there is none. */
function askedDelayMs(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** What went wrong underneath: fetch says only that it failed. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return reasonOf(error.cause);
  const { code } = error as { code?: unknown };
  return error.message || String(code ?? error.name);
}
