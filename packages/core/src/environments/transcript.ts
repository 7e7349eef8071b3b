/**
 * The conversation of one episode, as text for rewards and as tokens for the policy. What the policy wrote is never encoded again: only the
 * text between its actions becomes tokens here.
 */
import type { Turns } from "../data/formats";
import type { Tokenizer } from "../tokenizer/tokenizer";

export interface TranscriptOptions {
  /** What an observation's text becomes before it is shown. */
  readonly renderObservation?: ((observation: string) => Turns) | undefined;
  /** Longest observation in tokens (of each message, where it is several). Default: no limit. */
  readonly maxObservationTokens?: number | undefined;
}

export abstract class Transcript {
  readonly #tokenizer: Tokenizer;
  readonly #maxObservationTokens: number;
  /** Observations so far, and how many of them were too long. */
  observations = 0;
  cutObservations = 0;

  constructor(tokenizer: Tokenizer, options: TranscriptOptions) {
    this.#tokenizer = tokenizer;
    this.#maxObservationTokens = options.maxObservationTokens ?? Number.POSITIVE_INFINITY;
  }

  /** The prompt's tokens, with the first observation if there is one. */
  abstract open(observation: Turns | undefined): Uint32Array;
  /** Notes an action's text. */
  abstract act(text: string): void;
  /** The tokens between the last action and the next. `eosToken` is what the action ended with, undefined where it ended otherwise. */
  abstract observe(observation: Turns | undefined, eosToken: number | undefined): Uint32Array;
  /** What reward functions see. */
  abstract turns(): { readonly prompt: Turns; readonly completion: Turns };

  protected encode(text: string): Uint32Array {
    return this.#tokenizer.encode(text, { addSpecialTokens: false });
  }

  /** Cuts an observation to its limit, at a whole character. */
  protected limit(observation: Turns): Turns {
    const limited =
      typeof observation === "string"
        ? this.#cut(observation)
        : observation.map((message) => ({ ...message, content: this.#cut(message.content) }));
    this.observations++;
    if (textOf(limited) !== textOf(observation)) this.cutObservations++;
    return limited;
  }

  #cut(text: string): string {
    const tokens = this.encode(text);
    if (tokens.length <= this.#maxObservationTokens) return text;
    const stream = this.#tokenizer.decodeStream({ skipSpecialTokens: false });
    return Array.from(tokens.subarray(0, this.#maxObservationTokens), (token) => stream.push(token)).join("");
  }
}

/** The whole as one text; messages on lines of their own. */
export function textOf(turns: Turns): string {
  return typeof turns === "string" ? turns : turns.map(({ content }) => content).join("\n");
}
