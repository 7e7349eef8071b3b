/** The text of one completion as it grows: whole characters only, stop strings found and never shown. */
import type { TextCodec, TextStream } from "./options";

export class CompletionText {
  readonly #stream: TextStream | undefined;
  readonly #vocabSize: number;
  readonly #stop: readonly string[];
  #text = "";
  #shown = 0;
  #isCut = false;

  /** Without a tokenizer the text stays empty. */
  constructor(tokenizer: TextCodec | undefined, stop: readonly string[]) {
    this.#stream = tokenizer?.decodeStream({ skipSpecialTokens: true });
    this.#vocabSize = tokenizer?.vocabSize ?? 0;
    this.#stop = stop;
  }

  get text(): string {
    return this.#text;
  }

  /** Adds a token; true when it completes a stop string, before which the text then ends. */
  push(token: number): boolean {
    if (!this.#stream || token >= this.#vocabSize) return false;
    const before = this.#text.length;
    this.#text += this.#stream.push(token);
    let end = Number.POSITIVE_INFINITY;
    for (const stop of this.#stop) {
      const at = this.#text.indexOf(stop, Math.max(0, before - stop.length + 1));
      if (at >= 0) end = Math.min(end, at);
    }
    if (end === Number.POSITIVE_INFINITY) return false;
    this.#text = this.#text.slice(0, end);
    this.#isCut = true;
    return true;
  }

  /** Ends the text, an unfinished character included. */
  finish(): void {
    if (this.#stream && !this.#isCut) this.#text += this.#stream.flush();
    this.#isCut = true;
  }

  /** Text not taken yet; until the end, without what may turn out to begin a stop string. */
  take(): string {
    const end = this.#isCut ? this.#text.length : this.#text.length - this.#heldBack();
    const delta = this.#text.slice(this.#shown, end);
    this.#shown = Math.max(this.#shown, end);
    return delta;
  }

  /** Length of the longest end of the text that is a beginning of a stop string. */
  #heldBack(): number {
    let held = 0;
    for (const stop of this.#stop) {
      for (let length = Math.min(stop.length - 1, this.#text.length); length > held; length--) {
        if (this.#text.endsWith(stop.slice(0, length))) held = length;
      }
    }
    return held;
  }
}
