/** Which tokens of a conversation the assistant said. */
import { DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Sequence } from "./batch";
import { type ChatRenderer, chatRenderer, GENERATION_MARKS, marksGeneration, type RowContext } from "./chat-template";
import type { Message } from "./formats";

/** From and to in a rendering, in UTF-16 code units. */
type Span = readonly [from: number, to: number];

/** Stands for the end of what was said. Private-use characters: no template or text has them. */
const MARK = "\u{f0005}";

const utf8Length = (text: string) => {
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
};

/**
 * Encodes conversations with a mask of what the assistant said. Where the template has generation tags, that is what stands between them, and a token
 * counts when it has a character of it (as transformers' `return_assistant_tokens_mask`). Otherwise it is what each of the assistant's turns adds to the
 * rendering of what comes before it with the header of that turn, up to the token that ends it; the rendering of every beginning must then be the
 * beginning of the whole, which is checked.
 */
export class AssistantMasker {
  readonly #tokenizer: Tokenizer;
  readonly #render: ChatRenderer;
  readonly #renderMarked: ChatRenderer | undefined;

  /** Throws ConfigError where the tokenizer has no chat template, or a malformed one. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#render = chatRenderer(tokenizer);
    this.#renderMarked = marksGeneration(tokenizer.chatTemplate ?? "") ? chatRenderer(tokenizer, true) : undefined;
  }

  /** Throws DataError where the assistant's words cannot be told from the rest. */
  encode(messages: readonly Message[], row: RowContext): Sequence {
    const text = this.#render(messages, { ...row, addGenerationPrompt: false });
    const spans = this.#renderMarked ? this.#marked(this.#renderMarked, messages, text, row) : this.#added(messages, text, row);
    const tokens = this.#tokenizer.encode(text, { addSpecialTokens: false });
    return { tokens, mask: this.#mask(text, tokens, spans, row) };
  }

  #marked(render: ChatRenderer, messages: readonly Message[], text: string, row: RowContext): Span[] {
    const [open, close] = GENERATION_MARKS;
    const pieces = render(messages, { ...row, addGenerationPrompt: false }).split(/([\u{f0003}\u{f0004}])/u);
    const spans: Span[] = [];
    let plain = "";
    let from: number | undefined;
    for (const piece of pieces) {
      if (piece === open) from = plain.length;
      else if (piece === close && from !== undefined) {
        spans.push([from, plain.length]);
        from = undefined;
      } else plain += piece;
    }
    if (plain === text && from === undefined) return spans;
    throw unclear(row, "the chat template's generation tags must come in pairs and change nothing else", text);
  }

  #added(messages: readonly Message[], text: string, row: RowContext): Span[] {
    const spans: Span[] = [];
    messages.forEach(({ role }, i) => {
      if (role !== "assistant") return;
      const before = this.#render(messages.slice(0, i), { ...row, addGenerationPrompt: true });
      const after = this.#render(messages.slice(0, i + 1), { ...row, addGenerationPrompt: false });
      const end = this.#endOfTurn(messages.slice(0, i + 1), before.length, after, row);
      if (!after.startsWith(before) || !text.startsWith(after.slice(0, end))) {
        throw unclear(row, "the chat template must only append (or have generation tags)", text.slice(before.length));
      }
      spans.push([before.length, end]);
    });
    return spans;
  }

  /**
   * Where the last turn of a rendering ends: after the EOS token, else after the first special token that follows what was said; else it is all
   * of the rendering. What a template puts after that token nobody generates.
   */
  #endOfTurn(messages: readonly Message[], from: number, rendering: string, row: RowContext): number {
    const last = messages.at(-1) as Message;
    const marked = this.#render([...messages.slice(0, -1), { ...last, content: last.content + MARK }], {
      ...row,
      addGenerationPrompt: false,
    });
    const closing = marked.split(MARK)[1];
    const start = closing !== undefined && rendering.endsWith(closing) ? rendering.length - closing.length : from;
    const rest = rendering.slice(start);
    const { eosTokenId, specialTokenIds } = this.#tokenizer;
    const after = (ids: Iterable<number>) => {
      const ends = Array.from(ids, (id) => {
        const token = this.#tokenizer.idToToken(id) ?? "";
        const at = token === "" ? -1 : rest.indexOf(token);
        return at < 0 ? Number.POSITIVE_INFINITY : at + token.length;
      });
      return Math.min(...ends);
    };
    const end = after(eosTokenId === undefined ? [] : [eosTokenId]);
    return start + Math.min(rest.length, Number.isFinite(end) ? end : after(specialTokenIds));
  }

  #mask(text: string, tokens: Uint32Array, spans: readonly Span[], row: RowContext): Uint8Array<ArrayBuffer> {
    const mask = new Uint8Array(tokens.length);
    const starts = this.#tokenizer.align(text, tokens);
    for (const [from, to] of spans) {
      if (from === to) continue;
      if (starts === undefined) {
        mask.fill(1, this.#tokensBefore(text, tokens, from, row), this.#tokensBefore(text, tokens, to, row));
        continue;
      }
      const [first, last] = [utf8Length(text.slice(0, from)), utf8Length(text.slice(0, to))];
      for (let i = 0; i < tokens.length; i++) if (starts[i]! < last && starts[i + 1]! > first) mask[i] = 1;
    }
    return mask;
  }

  /** For tokenizers whose tokens do not spell the text: the tokens of its beginning, which must be the beginning of its tokens. */
  #tokensBefore(text: string, tokens: Uint32Array, at: number, row: RowContext): number {
    const before = this.#tokenizer.encode(text.slice(0, at), { addSpecialTokens: false });
    if (before.every((token, i) => tokens[i] === token)) return before.length;
    throw unclear(row, "no token may cross the border of the assistant's words", text.slice(Math.max(0, at - 20)));
  }
}

function unclear({ line }: RowContext, must: string, got: string): DataError {
  return new DataError(`dataset line ${line}: ${must}, got "${got.slice(0, 40)}". Correct the template or leave assistantOnlyLoss false.`, {
    line,
  });
}
