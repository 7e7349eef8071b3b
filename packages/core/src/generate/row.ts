/** One completion while it is being decoded. */
import { CompletionText } from "./completion-text";
import type { Completion, FinishReason } from "./options";
import type { Settings } from "./settings";

export class Row {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  readonly prompt: Uint32Array;
  /** Most tokens it may get: the option's, or what the context leaves. */
  readonly limit: number;
  readonly stream: number;
  /** Added to its positions where the model is told them; set with its group. */
  positionShift = 0;
  /** Cache blocks of positions 0, 1, ...; set when the row is admitted. */
  table: Uint32Array = new Uint32Array(0);
  /** Bit v of word ⌊v / 32⌋ is set where token v has occurred; only kept for the repetition penalty. */
  readonly seen: Uint32Array | undefined;
  readonly tokens: number[] = [];
  readonly #logps: number[] = [];
  readonly #text: CompletionText;
  readonly #eosTokenIds: ReadonlySet<number>;
  #finishReason: FinishReason | undefined;

  constructor(settings: Settings, promptIndex: number, sampleIndex: number) {
    const { decoder, tokenizer, stop, n } = settings;
    this.promptIndex = promptIndex;
    this.sampleIndex = sampleIndex;
    this.prompt = settings.prompts[promptIndex] as Uint32Array;
    this.limit = Math.min(settings.maxNewTokens[promptIndex] as number, decoder.config.maxPositions - this.prompt.length);
    this.stream = settings.streams[promptIndex * n + sampleIndex] as number;
    this.#eosTokenIds = settings.eosTokenIds;
    this.#text = new CompletionText(tokenizer, stop);
    if (settings.repetitionPenalty !== 1) {
      this.seen = new Uint32Array(Math.ceil(decoder.config.vocabSize / 32));
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

  /** Adds a token, unless the row has finished, and finds out whether it is the last. */
  push(token: number, logp: number): void {
    if (this.isFinished) return;
    this.tokens.push(token);
    this.#logps.push(logp);
    this.#mark(token);
    if (this.#eosTokenIds.has(token)) this.#finishReason = "stop";
    else if (this.#text.push(token)) this.#finishReason = "stop_string";
    else if (this.tokens.length >= this.limit) this.#finishReason = "length";
    if (this.isFinished) this.#text.finish();
  }

  /** Tokens and log-probabilities from index `first` on, and the text that has become certain since the last call. */
  since(first: number): { tokens: Uint32Array; logps: Float32Array; text: string } {
    return {
      tokens: Uint32Array.from(this.tokens.slice(first)),
      logps: Float32Array.from(this.#logps.slice(first)),
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
      finishReason: this.#finishReason,
      text: this.#text.text,
    };
  }

  #mark(token: number): void {
    if (this.seen) this.seen[token >>> 5] = ((this.seen[token >>> 5] as number) | (1 << (token & 31))) >>> 0;
  }
}
