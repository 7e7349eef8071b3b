/**
 * Dataset rows to sequences with loss masks, and prompts to token ids.
 *
 * Departure from TRL: a completion is encoded by itself and joined to the prompt's tokens, so that the boundary is where
 * generation would meet it; TRL encodes both together and looks for the prompt's tokens again.
 */
import { DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Sequence } from "./batch";
import { type ChatRenderer, chatRenderer } from "./chat-template";
import { type Example, type Message, type PromptRow, readExample, readPrompt, type Turns } from "./formats";
import type { DatasetRow } from "./jsonl";

export type TruncationMode = "keep_start" | "keep_end";

export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** Name of the text column; default "text". */
  readonly datasetTextField?: string | undefined;
  /** Loss on completions only; undefined = on for prompt-completion rows. False counts the prompt too. */
  readonly completionOnlyLoss?: boolean | undefined;
  /** Longest sequence; undefined = whole rows. */
  readonly maxLength?: number | undefined;
  /** Which end of a longer row stays. Default "keep_start". */
  readonly truncationMode?: TruncationMode | undefined;
}

/**
 * Encodes rows for supervised learning. Text and completions end with the EOS token, which counts; conversations end as
 * their template says. Throws DataError with the line for a malformed row, and for one without any token to learn from.
 */
export function tokenizeExamples(rows: readonly DatasetRow[], options: TokenizeOptions): Sequence[] {
  const { tokenizer, datasetTextField, maxLength, truncationMode = "keep_start" } = options;
  requireRows(rows);
  const render = lazyRenderer(tokenizer);
  return rows.map((row, i) => {
    const line = i + 1;
    const whole = encodeExample(readExample(row, line, datasetTextField), row, line, options, render);
    const sequence = truncate(whole, maxLength, truncationMode);
    if (sequence.mask.indexOf(1, 1) < 0) {
      const cut = whole.tokens.length > sequence.tokens.length ? ` after its ${whole.tokens.length} tokens were cut to ${maxLength}` : "";
      throw new DataError(`dataset line ${line}: a row must have a token to learn from, got none${cut}. Remove it or raise maxLength.`, {
        line,
      });
    }
    return sequence;
  });
}

/** Refuses tokens that the model has no embedding for, before any training. */
export function requireVocabulary(sequences: readonly { readonly tokens: Uint32Array }[], vocabSize: number): void {
  sequences.forEach(({ tokens }, i) => {
    const bad = tokens.find((token) => token >= vocabSize);
    if (bad === undefined) return;
    throw new DataError(
      `dataset line ${i + 1}: every token must be below the model's vocabulary size ${vocabSize}, got ${bad}. Use the model's own tokenizer.`,
      { line: i + 1 },
    );
  });
}

/** A prompt ready for generation. */
export interface EncodedPrompt extends PromptRow {
  readonly tokens: Uint32Array;
}

/** Encodes prompt-only rows. Throws DataError for a prompt longer than `maxTokens`. */
export function tokenizePrompts(rows: readonly DatasetRow[], tokenizer: Tokenizer, maxTokens: number): EncodedPrompt[] {
  requireRows(rows);
  const render = lazyRenderer(tokenizer);
  return rows.map((row, i) => {
    const line = i + 1;
    const { prompt, columns } = readPrompt(row, line);
    const tokens =
      typeof prompt === "string"
        ? tokenizer.encode(prompt)
        : encodeRendered(tokenizer, render()(prompt, { addGenerationPrompt: endsWithUser(prompt), line, tools: row.tools }));
    if (tokens.length === 0 || tokens.length > maxTokens) {
      throw new DataError(
        `dataset line ${line}: \`prompt\` must have between 1 and ${maxTokens} tokens, got ${tokens.length}. Shorten it or lower maxCompletionLength.`,
        { line, field: "prompt" },
      );
    }
    return { prompt, columns, tokens };
  });
}

/** A prompt that ends with the assistant's own words is continued. */
const endsWithUser = (messages: readonly Message[]) => messages.at(-1)?.role !== "assistant";

/** What a completion looks like to a reward function: text, or an assistant message where the prompt is a conversation. */
export function asTurns(prompt: Turns, text: string): Turns {
  return typeof prompt === "string" ? text : [{ role: "assistant", content: text }];
}

function encodeExample(example: Example, row: DatasetRow, line: number, options: TokenizeOptions, render: () => ChatRenderer): Sequence {
  const { tokenizer } = options;
  const tools = row.tools;
  if (options.completionOnlyLoss && example.kind !== "completion") {
    throw new DataError(`dataset line ${line}: completionOnlyLoss needs \`prompt\` and \`completion\`, got neither. Leave it undefined.`, {
      line,
      field: "completion",
    });
  }
  if (example.kind === "text") return allCount(withEos(tokenizer.encode(example.text), tokenizer));
  if (example.kind === "messages") {
    return allCount(encodeRendered(tokenizer, render()(example.messages, { addGenerationPrompt: false, line, tools })));
  }
  const { prompt, completion } = example;
  const completionOnly = options.completionOnlyLoss ?? true;
  if (typeof prompt === "string") {
    const answer = withEos(tokenizer.encode(completion as string, { addSpecialTokens: false }), tokenizer);
    return join(tokenizer.encode(prompt), answer, completionOnly);
  }
  const before = render()(prompt, { addGenerationPrompt: endsWithUser(prompt), line, tools });
  const all = render()([...prompt, ...(completion as readonly Message[])], { addGenerationPrompt: false, line, tools });
  if (!all.startsWith(before)) {
    throw new DataError(
      `dataset line ${line}: the chat template must render prompt and completion so that it begins with the rendered prompt, got "${all.slice(0, 40)}". Use a template that only appends.`,
      { line },
    );
  }
  return join(encodeRendered(tokenizer, before), encodeRendered(tokenizer, all.slice(before.length)), completionOnly);
}

/** A template writes special tokens itself. */
function encodeRendered(tokenizer: Tokenizer, text: string): Uint32Array {
  return tokenizer.encode(text, { addSpecialTokens: false });
}

function withEos(tokens: Uint32Array, { eosTokenId }: Tokenizer): Uint32Array {
  return eosTokenId === undefined || tokens.at(-1) === eosTokenId ? tokens : concat(tokens, Uint32Array.of(eosTokenId));
}

function join(prompt: Uint32Array, completion: Uint32Array, completionOnly: boolean): Sequence {
  const tokens = concat(prompt, completion);
  const mask = new Uint8Array(tokens.length).fill(1, completionOnly ? prompt.length : 0);
  return { tokens, mask };
}

function concat(a: Uint32Array, b: Uint32Array): Uint32Array {
  const joined = new Uint32Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

const allCount = (tokens: Uint32Array): Sequence => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) });

function truncate(sequence: Sequence, maxLength: number | undefined, mode: TruncationMode): Sequence {
  const { tokens, mask } = sequence;
  if (maxLength === undefined || tokens.length <= maxLength) return sequence;
  const [from, to] = mode === "keep_start" ? [0, maxLength] : [tokens.length - maxLength, tokens.length];
  return { tokens: tokens.slice(from, to), mask: mask.slice(from, to) };
}

function lazyRenderer(tokenizer: Tokenizer): () => ChatRenderer {
  let renderer: ChatRenderer | undefined;
  return () => {
    renderer ??= chatRenderer(tokenizer);
    return renderer;
  };
}

function requireRows(rows: readonly DatasetRow[]): void {
  if (rows.length === 0) throw new DataError("dataset: it must have at least one row, got none. Check the path or the filter.");
}
