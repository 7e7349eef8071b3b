/** The transcript of a text row: prompt, actions and observations one after another. */
import type { Turns } from "../data/formats";
import type { EncodedPrompt } from "../data/tokenize";
import { EnvironmentError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { Transcript, type TranscriptOptions } from "./transcript";

export class TextTranscript extends Transcript {
  readonly #render: (observation: string) => Turns;
  readonly #tokens: Uint32Array;
  #prompt: string;
  #completion = "";

  /** By default an observation stands on lines of its own. */
  constructor(prompt: string, row: EncodedPrompt, tokenizer: Tokenizer, options: TranscriptOptions) {
    super(tokenizer, options);
    this.#render = options.renderObservation ?? ((observation) => `\n${observation}\n`);
    this.#prompt = prompt;
    this.#tokens = row.tokens;
  }

  open(observation: Turns | undefined): Uint32Array {
    const text = this.#show(observation);
    this.#prompt += text;
    return text === "" ? this.#tokens : Uint32Array.from([...this.#tokens, ...this.encode(text)]);
  }

  act(text: string): void {
    this.#completion += text;
  }

  observe(observation: Turns | undefined): Uint32Array {
    const text = this.#show(observation);
    this.#completion += text;
    return this.encode(text);
  }

  turns() {
    return { prompt: this.#prompt, completion: this.#completion };
  }

  #show(observation: Turns | undefined): string {
    if (observation === undefined) return "";
    const limited = this.limit(observation);
    const text = typeof limited === "string" ? this.#render(limited) : limited;
    if (typeof text === "string") return text;
    throw new EnvironmentError("environment: an observation must be text where prompts are text, got messages. Return a string.");
  }
}
