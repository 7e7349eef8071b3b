/** One episode as it is played: its environment, its tokens so far, what they earned, and why it ended. */
import { type Seed, seedWords, threefry } from "@trimtab/kernels";
import type { Turns } from "../data/formats";
import type { EncodedPrompt } from "../data/tokenize";
import { EnvironmentError } from "../errors";
import type { Completion } from "../generate/options";
import { type Signal, withDeadline } from "../rl/abort";
import type { StepReward } from "../rl/rewards";
import type { RolloutEnd } from "../rl/rollout";
import type { RolloutCompletion, RolloutRequest } from "../rl/rollout-function";
import { ChatTranscript } from "./chat-transcript";
import type { Environment, EnvironmentFactory, EnvironmentStep, EpisodeReport } from "./environment";
import type { EnvironmentSettings } from "./options";
import { TextTranscript } from "./text-transcript";
import { type Transcript, textOf } from "./transcript";

export class Episode {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  /** Of generation: that of the completion, whatever the turn. */
  readonly stream: number;
  readonly #request: RolloutRequest;
  readonly #settings: EnvironmentSettings;
  readonly #row: EncodedPrompt;
  readonly #transcript: Transcript;
  #environment: Environment | undefined;
  #promptTokens: Uint32Array;
  readonly #tokens: number[] = [];
  readonly #logps: number[] = [];
  readonly #mask: number[] = [];
  readonly #steps: StepReward[] = [];
  /** Actions played. */
  turns = 0;
  end: RolloutEnd | undefined;
  failure: EnvironmentError | undefined;
  report: EpisodeReport = {};

  constructor(request: RolloutRequest, settings: EnvironmentSettings, promptIndex: number, sampleIndex: number) {
    this.#request = request;
    this.#settings = settings;
    this.promptIndex = promptIndex;
    this.sampleIndex = sampleIndex;
    this.stream = request.streams[promptIndex * request.n + sampleIndex] as number;
    this.#row = request.rows[promptIndex] as EncodedPrompt;
    this.#promptTokens = this.#row.tokens;
    const { prompt } = this.#row;
    const { tokenizer } = request.model;
    this.#transcript =
      typeof prompt === "string"
        ? new TextTranscript(prompt, this.#row, tokenizer, settings)
        : new ChatTranscript(prompt, this.#row, tokenizer, settings);
  }

  /** Prompt, actions and observations: what the next action is sampled after. */
  get history(): Uint32Array {
    return Uint32Array.from([...this.#promptTokens, ...this.#tokens]);
  }

  /** Most tokens of the next action. */
  get limit(): number {
    return Math.min(this.#settings.maxActionTokens ?? Number.POSITIVE_INFINITY, this.#room);
  }

  /** Tokens that the completion may still get. */
  get #room(): number {
    const { maxNewTokens, model } = this.#request;
    return Math.min(maxNewTokens, model.decoder.config.maxPositions - this.#promptTokens.length) - this.#tokens.length;
  }

  get observations(): { readonly all: number; readonly cut: number } {
    return { all: this.#transcript.observations, cut: this.#transcript.cutObservations };
  }

  /** Makes the environment and takes its first observation into the prompt. */
  async open(factory: EnvironmentFactory): Promise<void> {
    const { streams, n, seed = 0, trainerState } = this.#request;
    const row = { ...this.#row.columns, prompt: this.#row.prompt };
    const taskSeed = seedOf(seed, streams[this.promptIndex * n] as number);
    const observation = await this.#attempt("reset", async () => {
      this.#environment = await factory(row, taskSeed, { sampleIndex: this.sampleIndex, trainerState });
      return checkedObservation((await this.#environment.reset(row)) ?? undefined);
    });
    this.#promptTokens = this.#transcript.open(observation);
    const { maxPositions } = this.#request.model.decoder.config;
    if (this.#promptTokens.length >= maxPositions) {
      throw new EnvironmentError(
        `${this.#name}: prompt and first observation must leave room for a token in the context of ${maxPositions}, got ${this.#promptTokens.length} tokens. Shorten it or set maxObservationTokens.`,
      );
    }
  }

  /** Plays what was sampled after the history, and goes on from there or ends. */
  async play(action: Completion): Promise<void> {
    const { maxActionTokens, maxTurns } = this.#settings;
    const isCut = action.finishReason === "length" && action.tokens.length !== maxActionTokens;
    this.#append(action.tokens, action.logps, 1);
    this.#transcript.act(action.text);
    this.turns++;
    const environment = this.#environment;
    if (this.failure || !environment) {
      this.end = "environment";
      return;
    }
    const result = await this.#attempt("step", async (signal) =>
      checked(await environment.step(action.text, { tokens: action.tokens, isCut, signal })),
    );
    if (typeof result?.reward === "number") this.#earn(result.reward);
    if (isCut) this.end = "length";
    else if (!result || result.done) this.end = "environment";
    else if (this.turns === maxTurns) this.end = "length";
    else {
      const eosToken = action.finishReason === "stop" ? action.tokens.at(-1) : undefined;
      const shown = this.#transcript.observe(result.observation ?? undefined, eosToken);
      if (shown.length < this.#room) this.#append(shown, new Float32Array(shown.length), 0);
      else this.end = "length";
    }
  }

  /** Asks for the reward of the whole and for the report. */
  async finish(): Promise<void> {
    const environment = this.#environment;
    if (this.failure || !environment) return;
    const reward = await this.#attempt("reward", async () => checkedReward((await environment.reward?.()) ?? null));
    if (typeof reward === "number") this.#earn(reward);
    this.report = (await this.#attempt("report", async () => environment.report?.())) ?? {};
  }

  async close(): Promise<void> {
    await this.#environment?.close?.();
  }

  completion(): RolloutCompletion {
    const turns = this.#transcript.turns();
    const total = this.#steps.reduce((sum, { value }) => sum + value, 0);
    return {
      promptIndex: this.promptIndex,
      sampleIndex: this.sampleIndex,
      promptTokens: this.#promptTokens,
      tokens: Uint32Array.from(this.#tokens),
      logps: Float32Array.from(this.#logps),
      mask: Uint8Array.from(this.#mask),
      finishReason: this.end ?? "length",
      text: textOf(turns.completion),
      turns,
      reward: this.failure || this.#steps.length === 0 ? null : { total, steps: this.#steps },
      extras: this.report.extras,
    };
  }

  get #name(): string {
    return `environment of prompt ${this.promptIndex}, sample ${this.sampleIndex}`;
  }

  #append(tokens: Uint32Array, logps: Float32Array, mask: number): void {
    this.#tokens.push(...tokens);
    this.#logps.push(...logps);
    for (let t = 0; t < tokens.length; t++) this.#mask.push(mask);
  }

  /** Credits the last action's last token. */
  #earn(value: number): void {
    const end = this.#tokens.length - 1;
    const last = this.#steps.at(-1);
    if (last?.end === end) this.#steps[this.#steps.length - 1] = { end, value: last.value + value };
    else this.#steps.push({ end, value });
  }

  /** Runs the environment's own code. A failure ends the rollout, or with onRewardError "skip" the episode, which then has no reward. */
  async #attempt<T>(what: string, work: (signal: Signal) => Promise<T>): Promise<T | undefined> {
    const { signal, onRewardError } = this.#request;
    const { timeoutMs } = this.#settings;
    const limits = {
      timeoutMs,
      outer: signal,
      onTimeout: () =>
        new EnvironmentError(`${this.#name}: ${what} must settle within ${timeoutMs} ms. Raise timeoutMs or make it faster.`),
    };
    try {
      return await withDeadline(work, limits);
    } catch (cause) {
      signal?.throwIfAborted();
      const got = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
      this.failure =
        cause instanceof EnvironmentError
          ? cause
          : new EnvironmentError(`${this.#name}: ${what} must not throw, got ${got}. Correct it, or set onRewardError to "skip".`, {
              cause,
            });
      if (onRewardError === "throw") throw this.failure;
      return undefined;
    }
  }
}

/** Throws for a result that an episode cannot go on with. */
function checked(result: EnvironmentStep): EnvironmentStep {
  if (typeof result !== "object" || result === null || typeof result.done !== "boolean") {
    throw new EnvironmentError(
      `environment: step must return an object with a boolean \`done\`, got ${JSON.stringify(result)}. Correct the environment.`,
    );
  }
  checkedObservation(result.observation ?? undefined);
  checkedReward(result.reward ?? null);
  return result;
}

function checkedObservation(observation: Turns | undefined): Turns | undefined {
  if (observation === undefined || typeof observation === "string" || Array.isArray(observation)) return observation;
  throw new EnvironmentError(`environment: an observation must be text or messages, got ${typeof observation}. Correct the environment.`);
}

function checkedReward(reward: number | null): number | null {
  if (reward === null || (typeof reward === "number" && Number.isFinite(reward))) return reward;
  throw new EnvironmentError(
    `environment: a reward must be a finite number or null, got ${typeof reward === "number" ? reward : typeof reward}. Correct the environment.`,
  );
}

/** A safe integer for each (seed, stream), apart from the numbers that sampling draws. */
function seedOf(seed: Seed, stream: number): number {
  const [lo, hi] = seedWords(seed);
  const [a, b] = threefry([lo, (hi ^ 0x656e7669) >>> 0], [stream, 0]);
  return a + (b & 0x1fffff) * 2 ** 32;
}
