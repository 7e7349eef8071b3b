/** Dataset rows for supervised learning to sequences with loss masks, and prompts to token ids. */
import { DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Sequence } from "./batch";
import type { Example, PromptRow, Turns } from "./formats";
import type { DatasetRow } from "./jsonl";
import { encodeRows, type RowEncoder } from "./row-encoder";
import { readExample, readPrompt } from "./supervised";
import { hasTarget, joinCompletion, type TruncationMode, truncate } from "./truncation";

export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** Name of the text column; default "text". */
  readonly datasetTextField?: string | undefined;
  /** Loss on completions only; undefined = on for prompt-completion rows. False counts the prompt too. */
  readonly completionOnlyLoss?: boolean | undefined;
  /** Loss on what the assistant says only, in rows of `messages`. Default false. */
  readonly assistantOnlyLoss?: boolean | undefined;
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
  return encodeRows(rows, tokenizer, (row, line, encoder) => {
    const whole = encodeExample(readExample(row, line, datasetTextField), row, line, options, encoder);
    const sequence = truncate(whole, maxLength, truncationMode);
    if (!hasTarget(sequence)) {
      const cut = whole.tokens.length > sequence.tokens.length ? ` after its ${whole.tokens.length} tokens were cut to ${maxLength}` : "";
      throw new DataError(`dataset line ${line}: a row must have a token to learn from, got none${cut}. Remove it or raise maxLength.`, {
        line,
      });
    }
    return sequence;
  });
}

/** Refuses tokens that the model has no embedding for, before any training. A sequence without a `line` has its place, from 1. */
export function requireVocabulary(
  sequences: readonly { readonly tokens: Uint32Array; readonly line?: number | undefined }[],
  vocabSize: number,
): void {
  sequences.forEach(({ tokens, line }, i) => {
    const bad = tokens.find((token) => token >= vocabSize);
    if (bad === undefined) return;
    const at = line ?? i + 1;
    throw new DataError(
      `dataset line ${at}: every token must be below the model's vocabulary size ${vocabSize}, got ${bad}. Use the model's own tokenizer.`,
      { line: at },
    );
  });
}

/** A prompt ready for generation. */
export interface EncodedPrompt extends PromptRow {
  readonly tokens: Uint32Array;
}

/** Encodes prompt-only rows. Throws DataError for a prompt longer than `maxTokens`. */
export function tokenizePrompts(rows: readonly DatasetRow[], tokenizer: Tokenizer, maxTokens: number): EncodedPrompt[] {
  return encodeRows(rows, tokenizer, (row, line, encoder) => {
    const { prompt, columns } = readPrompt(row, line);
    const tokens = encoder.prompt(prompt, { line, tools: row.tools });
    if (tokens.length === 0 || tokens.length > maxTokens) {
      throw new DataError(
        `dataset line ${line}: \`prompt\` must have between 1 and ${maxTokens} tokens, got ${tokens.length}. Shorten it or lower maxCompletionLength.`,
        { line, field: "prompt" },
      );
    }
    return { prompt, columns, tokens };
  });
}

/** What a completion looks like to a reward function: text, or an assistant message where the prompt is a conversation. */
export function asTurns(prompt: Turns, text: string): Turns {
  return typeof prompt === "string" ? text : [{ role: "assistant", content: text }];
}

function encodeExample(example: Example, row: DatasetRow, line: number, options: TokenizeOptions, encoder: RowEncoder): Sequence {
  if (options.completionOnlyLoss && example.kind !== "completion") {
    throw new DataError(`dataset line ${line}: completionOnlyLoss needs \`prompt\` and \`completion\`, got neither. Leave it undefined.`, {
      line,
      field: "completion",
    });
  }
  const context = { line, tools: row.tools };
  if (options.assistantOnlyLoss) {
    if (example.kind === "messages") return encoder.assistant(example.messages, context);
    throw new DataError(`dataset line ${line}: assistantOnlyLoss needs \`messages\`, got none. Leave it false.`, {
      line,
      field: "messages",
    });
  }
  if (example.kind === "text") return allCount(encoder.text(example.text));
  if (example.kind === "messages") return allCount(encoder.messages(example.messages, context));
  const { prompt, completions } = encoder.completions(example.prompt, [example.completion], context);
  return joinCompletion(prompt, completions[0] as Uint32Array, options.completionOnlyLoss === false);
}

const allCount = (tokens: Uint32Array): Sequence => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) });
