/** One completion while it is being decoded. */
import { CompletionText } from "./completion-text";
import { likeliest } from "./likeliest";
import type { Completion, FinishReason, TokenLogprob } from "./options";
import { RowConstraint } from "./row-constraint";
import type { Sampling, Settings } from "./settings";
import { wordsOf } from "./token-mask";

/** What a row gained. */
export interface RowDelta {
  readonly tokens: Uint32Array;
  readonly logps: Float32Array;
  readonly topLogprobs: readonly (readonly TokenLogprob[])[] | undefined;
  readonly text: string;
}

export class Row {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  readonly prompt: Uint32Array;
  /** Most tokens it may get: the option's, or what the context leaves. */
  readonly limit: number;
  readonly stream: number;
  readonly sampling: Sampling;
  /** Added to its positions where the model is told them; set with its group. */
  positionShift = 0;
  /** Cache blocks of positions 0, 1, ...; set when the row is admitted. */
  table: Uint32Array = new Uint32Array(0);
  /** Bit v of word ⌊v / 32⌋ is set where token v has occurred; only kept for the repetition penalty. */
  readonly seen: Uint32Array | undefined;
  readonly tokens: number[] = [];
  readonly #logps: number[] = [];
  readonly #topLogprobs: (readonly TokenLogprob[])[] | undefined;
  readonly #text: CompletionText;
  /** Undefined where any token may be drawn. */
  readonly constraint: RowConstraint | undefined;
  #finishReason: FinishReason | undefined;

  constructor(settings: Settings, promptIndex: number, sampleIndex: number) {
    const { decoder, tokenizer, sampling, n } = settings;
    this.promptIndex = promptIndex;
    this.sampleIndex = sampleIndex;
    this.prompt = settings.prompts[promptIndex] as Uint32Array;
    this.limit = Math.min(settings.maxNewTokens[promptIndex] as number, decoder.config.maxPositions - this.prompt.length);
    this.stream = settings.streams[promptIndex * n + sampleIndex] as number;
    this.sampling = sampling;
    this.#text = new CompletionText(tokenizer, sampling.stop);
    this.constraint = sampling.constraint && new RowConstraint(sampling.constraint, sampling.eosTokenIds);
    if (sampling.topLogprobs > 0) this.#topLogprobs = [];
    if (sampling.repetitionPenalty !== 1) {
      this.seen = new Uint32Array(wordsOf(decoder.config.vocabSize));
      for (const token of this.prompt) this.#mark(token);
    }
  }

  /** Position of the newest token, which the cache does not hold yet. */
  get position(): number {
    return this.prompt.length + this.tokens.length - 1;
  }

  get newestToken(): number {
    return (this.tokens.at(-1) ?? this.prompt.at(-1)) as number;
  }

  get isFinished(): boolean {
    return this.#finishReason !== undefined;
  }

  /** Positions that may be decoded before the host has to see a token. */
  get steps(): number {
    return this.#topLogprobs || this.constraint ? 1 : this.limit - this.tokens.length;
  }

  /** Adds a token, unless the row has finished, and finds out whether it is the last; `logits` (V), where the row reports likely tokens. */
  push(token: number, logp: number, logits?: Float32Array): void {
    if (this.isFinished) return;
    this.tokens.push(token);
    this.#logps.push(logp);
    const { topLogprobs, temperature } = this.sampling;
    if (logits) this.#topLogprobs?.push(likeliest(logits, topLogprobs, temperature, { token, logp }));
    this.#mark(token);
    const isEnd = this.sampling.eosTokenIds.has(token);
    if (!isEnd) this.constraint?.push(token);
    if (isEnd) this.#finishReason = "stop";
    else if (this.#text.push(token)) this.#finishReason = "stop_string";
    else if (this.constraint?.isOver) this.#finishReason = "stop";
    else if (this.tokens.length >= this.limit) this.#finishReason = "length";
    if (this.isFinished) this.#text.finish();
  }

  /** Tokens and log-probabilities from index `first` on, and the text that has become certain since the last call. */
  since(first: number): RowDelta {
    return {
      tokens: Uint32Array.from(this.tokens.slice(first)),
      logps: Float32Array.from(this.#logps.slice(first)),
      topLogprobs: this.#topLogprobs?.slice(first),
      text: this.#text.take(),
    };
  }

  /** The whole completion; undefined until it has finished. */
  completion(): Completion | undefined {
    if (this.#finishReason === undefined) return undefined;
    return {
      promptIndex: this.promptIndex,
      sampleIndex: this.sampleIndex,
      promptTokens: this.prompt,
      tokens: Uint32Array.from(this.tokens),
      logps: Float32Array.from(this.#logps),
      topLogprobs: this.#topLogprobs && [...this.#topLogprobs],
      finishReason: this.#finishReason,
      text: this.#text.text,
    };
  }

  #mark(token: number): void {
    if (this.seen) this.seen[token >>> 5] = ((this.seen[token >>> 5] as number) | (1 << (token & 31))) >>> 0;
  }
}
