/**
 * The text and messages of one row to token ids.
 *
 * Departure from TRL: a completion is encoded by itself and joined to the prompt's tokens, so that the boundary is where
 * generation would meet it; TRL encodes both together and looks for the prompt's tokens again.
 */
import { DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { AssistantMasker } from "./assistant-mask";
import type { Sequence } from "./batch";
import { type ChatRenderer, chatRenderer, type RowContext } from "./chat-template";
import type { Message, Turns } from "./formats";
import type { DatasetRow } from "./jsonl";
import { concatTokens } from "./truncation";

/** Encodes the rows of one dataset. The chat template is parsed where the first conversation comes. */
export class RowEncoder {
  readonly #tokenizer: Tokenizer;
  #renderer: ChatRenderer | undefined;
  #masker: AssistantMasker | undefined;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Text and its EOS token. */
  text(text: string): Uint32Array {
    return this.#withEos(this.#tokenizer.encode(text));
  }

  /** A whole conversation, which ends as its template says. */
  messages(messages: readonly Message[], row: RowContext): Uint32Array {
    return this.#rendered(this.#render(messages, false, row));
  }

  /** A whole conversation of which only what the assistant says counts. */
  assistant(messages: readonly Message[], row: RowContext): Sequence {
    this.#masker ??= new AssistantMasker(this.#tokenizer);
    return this.#masker.encode(messages, row);
  }

  /** A prompt to answer. A conversation gets the header of the assistant's turn, unless it ends with the assistant's own words. */
  prompt(prompt: Turns, row: RowContext): Uint32Array {
    return typeof prompt === "string" ? this.#tokenizer.encode(prompt) : this.#rendered(this.#renderPrompt(prompt, row));
  }

  /**
   * A prompt and what follows it. Text completions end with the EOS token. Throws DataError where the chat template renders prompt and
   * completion so that the rendered prompt is not their beginning.
   */
  completions(prompt: Turns, completions: readonly Turns[], row: RowContext): { prompt: Uint32Array; completions: Uint32Array[] } {
    if (typeof prompt === "string") {
      const answers = completions.map((text) => this.#withEos(this.#tokenizer.encode(text as string, { addSpecialTokens: false })));
      return { prompt: this.#tokenizer.encode(prompt), completions: answers };
    }
    const before = this.#renderPrompt(prompt, row);
    const answers = completions.map((messages) => {
      const all = this.#render([...prompt, ...(messages as readonly Message[])], false, row);
      if (all.startsWith(before)) return this.#rendered(all.slice(before.length));
      throw new DataError(
        `dataset line ${row.line}: the chat template must render prompt and completion so that it begins with the rendered prompt, got "${all.slice(0, 40)}". Use a template that only appends.`,
        { line: row.line },
      );
    });
    return { prompt: this.#rendered(before), completions: answers };
  }

  #renderPrompt(prompt: readonly Message[], row: RowContext): string {
    return this.#render(prompt, prompt.at(-1)?.role !== "assistant", row);
  }

  #render(messages: readonly Message[], addGenerationPrompt: boolean, { line, tools }: RowContext): string {
    this.#renderer ??= chatRenderer(this.#tokenizer);
    return this.#renderer(messages, { addGenerationPrompt, line, tools });
  }

  /** A template writes special tokens itself. */
  #rendered(text: string): Uint32Array {
    return this.#tokenizer.encode(text, { addSpecialTokens: false });
  }

  #withEos(tokens: Uint32Array): Uint32Array {
    const { eosTokenId } = this.#tokenizer;
    return eosTokenId === undefined || tokens.at(-1) === eosTokenId ? tokens : concatTokens(tokens, Uint32Array.of(eosTokenId));
  }
}

/** Encodes every row with its 1-based line. Throws DataError where there is no row. */
export function encodeRows<T>(
  rows: readonly DatasetRow[],
  tokenizer: Tokenizer,
  encode: (row: DatasetRow, line: number, encoder: RowEncoder) => T,
): T[] {
  if (rows.length === 0) throw new DataError("dataset: it must have at least one row, got none. Check the path or the filter.");
  const encoder = new RowEncoder(tokenizer);
  return rows.map((row, i) => encode(row, i + 1, encoder));
}
