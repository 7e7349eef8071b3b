/** What `generate` is asked for, and what it returns. */
import type { Seed } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import type { Constraint } from "../constraints/constraint";
import type { Decoder } from "../models/decoder";
import type { Tensor } from "../tensor/tensor";
import type { GenerationStats } from "./stats";

/** Decodes one completion token by token; text comes out in whole characters. */
export interface TextStream {
  /** Text that this token completes; empty while a character is unfinished. */
  push(token: number): string;
  /** What an unfinished character leaves. */
  flush(): string;
}

/** The part of a tokenizer that generation uses. */
export interface TextCodec {
  /** Tokens from here on, which a padded embedding table may have, have no text. */
  readonly vocabSize: number;
  encode(text: string): Uint32Array;
  /** Bytes that a token adds to a text; only for constraints. Undefined for tokens without text. */
  tokenBytes?(id: number): Uint8Array | undefined;
  /** Spaces that are dropped at the beginning of a text. Default 0. */
  readonly leadingSpaces?: number | undefined;
  decodeStream(options: { readonly skipSpecialTokens: boolean }): TextStream;
}

/** What is added to a model's logits before a token is drawn: how values guide a policy (ILQL). */
export interface LogitShift {
  /** Whose hidden states `shift` reads, with a cache of its own; same vocabulary, device and at least the context of the model. Default: the model's own. */
  readonly decoder?: Decoder | undefined;
  /** hidden (R, C) of the newest positions -> (R, V), on a tape that does not record. */
  shift(tape: Tape, hidden: Tensor): Tensor;
}

/** A decoder, and a tokenizer where prompts or completions are text. */
export interface GenerationModel {
  readonly decoder: Decoder;
  /** Logits = hidden · headᵀ + shift; log-probabilities are those of the shifted policy. Default: no shift. */
  readonly logitShift?: LogitShift | undefined;
  readonly tokenizer?: TextCodec | undefined;
  readonly generationConfig?: { readonly eosTokenIds?: readonly number[] | undefined } | undefined;
}

/** The part of an AbortSignal that generation uses. */
export interface CancelSignal {
  throwIfAborted(): void;
}

/** How tokens are drawn, and where completions end. */
export interface SamplingOptions {
  /** 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** Sample among the k most likely tokens; 0 is off. Default 0. */
  readonly topK?: number | undefined;
  /** Sample among the most likely tokens that hold this much probability; 1 is off. Default 1. */
  readonly topP?: number | undefined;
  /** Sample among tokens at least this fraction as likely as the likeliest; 0 is off. Default 0. */
  readonly minP?: number | undefined;
  /** Divides positive and multiplies negative logits of tokens that the prompt or the completion holds; 1 is off. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Tokens that end a completion and are its last token. Default: the model's; [] for none. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /** Strings that end a completion; its text is cut before them. Needs a tokenizer. */
  readonly stop?: readonly string[] | undefined;
  /** Key of the random numbers. Default 0. */
  readonly seed?: Seed | undefined;
  /** Report this many of the likeliest tokens beside every token. Where it is not 0, tokens are read back one by one. Default 0. */
  readonly topLogprobs?: number | undefined;
  /**
   * Holds completions to a regular expression or a JSON schema: only tokens that can still lead to a match are drawn, and EOS tokens only where the
   * text is one. A completion that nothing may follow ends with "stop". One that ends by its length or a stop string may be unfinished. Needs a
   * tokenizer whose tokens are bytes; tokens are read back one by one.
   */
  readonly constraint?: Constraint | undefined;
}

/** What is asked for: prompts, how many completions of each, how long, and how drawn. */
export interface RequestOptions extends SamplingOptions {
  /** Token ids, or text that the tokenizer encodes. Each must be shorter than the model's context. */
  readonly prompts: readonly (Uint32Array | string)[];
  /** Completions per prompt; they share the prompt's cache. Default 1. */
  readonly n?: number | undefined;
  /** One limit, or one for each prompt. Default 64. A completion also ends where the model's context does. */
  readonly maxNewTokens?: number | ArrayLike<number> | undefined;
  /**
   * Random stream of each completion, (prompts × n). The token at position t of a sequence is drawn with the number at
   * (seed, stream, t), whatever else is in the batch. Default: the completion's index.
   */
  readonly streams?: Uint32Array | undefined;
}

/** How a batch is run; none of it changes a completion, but for rounding. */
export interface BatchOptions {
  readonly model: GenerationModel;
  /** Memory for keys and values, all layers. Default: half of what the device has left, or 1 GiB where that is not known. */
  readonly cacheBytes?: number | undefined;
  /** Most completions decoded at once; the rest wait. Default 256, or what one buffer of logits can hold. */
  readonly maxRows?: number | undefined;
  /** Positions per cache block. Default 16. */
  readonly blockSize?: number | undefined;
  /** Positions decoded between two readbacks. Default 8. */
  readonly stepsPerRead?: number | undefined;
  /** Prompt tokens computed in one pass, unless a single prompt is longer. Default 4096. */
  readonly prefillTokens?: number | undefined;
}

export interface GenerateOptions extends RequestOptions, BatchOptions {
  /** Looked at between blocks of positions; throws its reason. */
  readonly signal?: CancelSignal | undefined;
  /** Milliseconds since any origin, e.g. `performance.now`; where given, stats carry times. */
  readonly clock?: (() => number) | undefined;
  /** Receives the figures of a run that ended normally. */
  readonly onStats?: ((stats: GenerationStats) => void) | undefined;
}

/** Why a completion ended: an EOS token (or its constraint lets nothing follow), the length limit or the model's context, a stop string. */
export type FinishReason = "stop" | "length" | "stop_string";

/** A token that could have been drawn. */
export interface TokenLogprob {
  readonly token: number;
  /** Under softmax(logits / temperature), before penalty and truncation. */
  readonly logp: number;
}

export interface Completion {
  readonly promptIndex: number;
  /** Which of the prompt's n completions this is. */
  readonly sampleIndex: number;
  readonly promptTokens: Uint32Array;
  /** New tokens; the EOS token, or the token that completed a stop string, is the last. (T) */
  readonly tokens: Uint32Array;
  /** Log-probability of each token under softmax(logits / temperature), before penalty and truncation. (T) */
  readonly logps: Float32Array;
  /** The likeliest tokens at each position, the likeliest first; undefined unless asked for. (T) */
  readonly topLogprobs?: readonly (readonly TokenLogprob[])[] | undefined;
  readonly finishReason: FinishReason;
  /** Without special tokens and without the stop string. Empty where the model has no tokenizer. */
  readonly text: string;
}
