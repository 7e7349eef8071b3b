/** The transcript of a conversation: what its chat template puts between two actions, and nothing of the actions themselves. */
import { type ChatRenderer, chatRenderer } from "../data/chat-template";
import type { Message, Turns } from "../data/formats";
import type { EncodedPrompt } from "../data/tokenize";
import { DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { Transcript, type TranscriptOptions } from "./transcript";

/** Stands for an action in a rendering. Private-use characters: no template or text has them. */
const MARK = "\u{f0001}action\u{f0002}";

export class ChatTranscript extends Transcript {
  readonly #render: ChatRenderer;
  readonly #renderObservation: (observation: string) => Turns;
  readonly #tools: unknown;
  readonly #tokens: Uint32Array;
  #prompt: readonly Message[];
  readonly #completion: Message[] = [];

  /** By default an observation is a message by the user. Throws ConfigError where the tokenizer has no chat template. */
  constructor(prompt: readonly Message[], row: EncodedPrompt, tokenizer: Tokenizer, options: TranscriptOptions) {
    super(tokenizer, options);
    this.#render = chatRenderer(tokenizer);
    this.#renderObservation = options.renderObservation ?? ((observation) => observation);
    this.#tools = row.columns.tools;
    this.#prompt = prompt;
    this.#tokens = row.tokens;
  }

  /** Text goes to the end of a last message by the user, so that roles still alternate. */
  open(observation: Turns | undefined): Uint32Array {
    if (observation === undefined) return this.#tokens;
    const shown = this.#show(observation);
    const last = this.#prompt.at(-1);
    this.#prompt =
      typeof shown === "string" && last?.role === "user"
        ? [...this.#prompt.slice(0, -1), { ...last, content: `${last.content}\n${shown}` }]
        : [...this.#prompt, ...asMessages(shown)];
    return this.encode(this.#render(this.#prompt, { addGenerationPrompt: true, tools: this.#tools }));
  }

  act(text: string): void {
    this.#completion.push({ role: "assistant", content: text });
  }

  /**
   * The rendering after the last action, up to where the next begins. Marks stand for the actions, because a template may show an earlier
   * turn otherwise than it was written (trimmed, without its thoughts). Checked against a rendering that has the next action too, which must
   * begin alike. The action's own EOS token is not repeated.
   */
  observe(observation: Turns | undefined, eosToken: number | undefined): Uint32Array {
    const messages = asMessages(observation === undefined ? "" : this.#show(observation));
    const history = [...this.#marked(), ...messages];
    const between = this.#afterMark(history, true, 0);
    const whole = this.#afterMark(withAction(history), false, 1);
    if (between === undefined || !whole?.startsWith(between)) {
      throw new DataError(
        `environment: the chat template must show every action, and what it puts between two of them must not change with what follows, got "${(between ?? "no action").slice(0, 40)}". Use a template that only appends.`,
      );
    }
    this.#completion.push(...messages);
    const tokens = this.encode(between);
    return tokens.length > 0 && tokens[0] === eosToken ? tokens.subarray(1) : tokens;
  }

  turns() {
    return { prompt: this.#prompt, completion: this.#completion };
  }

  /** The conversation with a mark for the last action. */
  #marked(): Message[] {
    return withAction([...this.#prompt, ...this.#completion.slice(0, -1)]);
  }

  /** What follows a mark, counted from the last; undefined where there are not so many. */
  #afterMark(messages: readonly Message[], addGenerationPrompt: boolean, fromLast: number): string | undefined {
    const parts = this.#render(messages, { addGenerationPrompt, tools: this.#tools }).split(MARK);
    return parts.length > fromLast + 1 ? parts.at(-1 - fromLast) : undefined;
  }

  #show(observation: Turns): Turns {
    const limited = this.limit(observation);
    return typeof limited === "string" ? this.#renderObservation(limited) : limited;
  }
}

/** A mark as the assistant's next words, which may continue its message at the end of a prompt. */
function withAction(messages: readonly Message[]): Message[] {
  const last = messages.at(-1);
  return last?.role === "assistant"
    ? [...messages.slice(0, -1), { ...last, content: last.content + MARK }]
    : [...messages, { role: "assistant", content: MARK }];
}

function asMessages(observation: Turns): readonly Message[] {
  return typeof observation === "string" ? [{ role: "user", content: observation }] : observation;
}
