/**
 * Rows of feedback to token ids. Completions are encoded as for supervised learning: after their prompt, ended by the EOS token where
 * they are text, and the only tokens that count.
 */
import { ConfigError, DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Sequence } from "./batch";
import type { Dropped } from "./conversion";
import { type PreferenceOptions, type RatingOptions, readPreference, readRanked, readRated, readStepwise, readUnpaired } from "./feedback";
import type { Turns } from "./formats";
import type { DatasetRow } from "./jsonl";
import { encodeRows, type RowEncoder } from "./row-encoder";
import { concatTokens, hasTarget, joinCompletion, type TruncationMode, truncate } from "./truncation";

export interface TokenizeFeedbackOptions {
  readonly tokenizer: Tokenizer;
  /** Longest sequence, prompt included; undefined = whole rows. */
  readonly maxLength?: number | undefined;
  /**
   * What happens to a longer one: an end stays (as in TRL's DPO and KTO), or the whole row is dropped (as in TRL's reward trainer, where a
   * score read in the middle of an answer would be that of another answer). Default "keep_start".
   */
  readonly truncationMode?: TruncationMode | "drop" | undefined;
}

/** Examples, and the rows that gave none. */
export interface TokenizedFeedback<T> {
  readonly examples: T[];
  readonly dropped: Dropped[];
}

/** What every example knows. */
interface Tokenized {
  /** The row, from 1. */
  readonly line: number;
  /** The whole prompt, also where the sequences are cut. */
  readonly prompt: Uint32Array;
}

export interface TokenizedPreference extends Tokenized {
  readonly chosen: Sequence;
  readonly rejected: Sequence;
  readonly margin: number | undefined;
  readonly group: string | number | undefined;
}

export interface TokenizedUnpaired extends Tokenized {
  /** The whole completion, for losses that set it after another prompt (KTO). */
  readonly completion: Uint32Array;
  readonly sequence: Sequence;
  readonly label: boolean;
}

export interface TokenizedRanked extends Tokenized {
  /** (K) */
  readonly sequences: readonly Sequence[];
  /** 1 is the best. (K) */
  readonly ranks: readonly number[];
}

export interface TokenizedRated extends Tokenized {
  readonly sequence: Sequence;
  readonly rating: number;
  readonly rater: string | number | undefined;
}

export interface TokenizedStepwise extends Tokenized {
  /** Prompt and steps, each step with its separator. (N) */
  readonly tokens: Uint32Array;
  /** For each step that has a label: the position of the token that carries it, the last of the step's separator. (T) */
  readonly ends: Uint32Array;
  /** Label or reward of each of these steps. (T) */
  readonly values: readonly number[];
}

/** Encodes preferences, with explicit or implicit prompts; see `readPreference`. */
export function tokenizePreferences(
  rows: readonly DatasetRow[],
  options: TokenizeFeedbackOptions & PreferenceOptions,
): TokenizedFeedback<TokenizedPreference> {
  return tokenize(rows, options, (row, line, encoder) => {
    const { prompt, chosen, rejected, margin, group } = readPreference(row, line, options);
    const encoded = encode(prompt, [chosen, rejected], row, line, encoder, options);
    if (typeof encoded === "string") return encoded;
    const [first, second] = encoded.sequences as [Sequence, Sequence];
    return { line, prompt: encoded.prompt, chosen: first, rejected: second, margin, group };
  });
}

/** Encodes completions that were liked or not. */
export function tokenizeUnpaired(rows: readonly DatasetRow[], options: TokenizeFeedbackOptions): TokenizedFeedback<TokenizedUnpaired> {
  return tokenize(rows, options, (row, line, encoder) => {
    const { prompt, completion, label } = readUnpaired(row, line);
    const encoded = encode(prompt, [completion], row, line, encoder, options);
    if (typeof encoded === "string") return encoded;
    const [sequence, tokens] = [encoded.sequences[0] as Sequence, encoded.completions[0] as Uint32Array];
    return { line, prompt: encoded.prompt, completion: tokens, sequence, label };
  });
}

/** Encodes ranked lists. With `truncationMode: "drop"` a list with one completion that is too long is dropped whole. */
export function tokenizeRanked(rows: readonly DatasetRow[], options: TokenizeFeedbackOptions): TokenizedFeedback<TokenizedRanked> {
  return tokenize(rows, options, (row, line, encoder) => {
    const { prompt, completions, ranks } = readRanked(row, line);
    const encoded = encode(prompt, completions, row, line, encoder, options);
    return typeof encoded === "string" ? encoded : { line, prompt: encoded.prompt, sequences: encoded.sequences, ranks };
  });
}

/** Encodes ratings. */
export function tokenizeRated(
  rows: readonly DatasetRow[],
  options: TokenizeFeedbackOptions & RatingOptions,
): TokenizedFeedback<TokenizedRated> {
  return tokenize(rows, options, (row, line, encoder) => {
    const { prompt, completion, rating, rater } = readRated(row, line, options);
    const encoded = encode(prompt, [completion], row, line, encoder, options);
    if (typeof encoded === "string") return encoded;
    return { line, prompt: encoded.prompt, sequence: encoded.sequences[0] as Sequence, rating, rater };
  });
}

export interface TokenizeStepwiseOptions {
  readonly tokenizer: Tokenizer;
  /** Longest sequence; the steps that do not end in it are left out. Undefined = whole rows. */
  readonly maxLength?: number | undefined;
  /** Text after each step. Default "\n". */
  readonly stepSeparator?: string | undefined;
  /** Keep only the label of the last step. Default false. */
  readonly trainOnLastStepOnly?: boolean | undefined;
}

/**
 * Encodes completions in steps as TRL's PRM trainer does: every step and every separator by itself, the label at the last token of the
 * separator, no EOS token. A prompt gets what the tokenizer puts before text (TRL: the BOS token).
 */
export function tokenizeStepwise(rows: readonly DatasetRow[], options: TokenizeStepwiseOptions): TokenizedFeedback<TokenizedStepwise> {
  const { tokenizer, stepSeparator = "\n", trainOnLastStepOnly = false, maxLength = Number.POSITIVE_INFINITY } = options;
  const separator = tokenizer.encode(stepSeparator, { addSpecialTokens: false });
  if (separator.length === 0) throw new ConfigError('tokenizeStepwise: stepSeparator must have a token, got "". Use "\\n".');
  return tokenize(rows, options, (row, line) => {
    const { prompt: text, completions, values } = readStepwise(row, line);
    const prompt = tokenizer.encode(text);
    let tokens: Uint32Array = prompt;
    const steps = completions.map((step, i) => {
      tokens = concatTokens(concatTokens(tokens, tokenizer.encode(step, { addSpecialTokens: false })), separator);
      return { end: tokens.length - 1, value: values[i] as number };
    });
    const kept = steps.slice(trainOnLastStepOnly ? -1 : 0).filter(({ end }) => end < maxLength);
    if (kept.length === 0) return "no labelled step ends within maxLength";
    const ends = Uint32Array.from(kept, ({ end }) => end);
    return { line, prompt, tokens: tokens.slice(0, Math.min(tokens.length, maxLength)), ends, values: kept.map(({ value }) => value) };
  });
}

/** Runs `encodeOne` over the rows and parts examples from reasons. Throws DataError where no example is left. */
function tokenize<T extends object>(
  rows: readonly DatasetRow[],
  { tokenizer, maxLength }: { readonly tokenizer: Tokenizer; readonly maxLength?: number | undefined },
  encodeOne: (row: DatasetRow, line: number, encoder: RowEncoder) => T | string,
): TokenizedFeedback<T> {
  const examples: T[] = [];
  const dropped: Dropped[] = [];
  for (const [i, result] of encodeRows(rows, tokenizer, encodeOne).entries()) {
    if (typeof result === "string") dropped.push({ line: i + 1, reason: result });
    else examples.push(result);
  }
  if (examples.length > 0) return { examples, dropped };
  throw new DataError(
    `dataset: at least one row must fit, got ${rows.length} of which none does: ${dropped[0]?.reason}. Raise maxLength (${maxLength}) or shorten the rows.`,
  );
}

interface EncodedRow {
  readonly prompt: Uint32Array;
  readonly completions: readonly Uint32Array[];
  readonly sequences: readonly Sequence[];
}

/** The sequences of a row, or the reason why it must be dropped. */
function encode(
  prompt: Turns,
  completions: readonly Turns[],
  row: DatasetRow,
  line: number,
  encoder: RowEncoder,
  { maxLength, truncationMode = "keep_start" }: TokenizeFeedbackOptions,
): EncodedRow | string {
  const encoded = encoder.completions(prompt, completions, { line, tools: row.tools });
  const whole = encoded.completions.map((completion) => joinCompletion(encoded.prompt, completion));
  if (!whole.every(hasTarget)) {
    throw new DataError(`dataset line ${line}: every completion must have a token, got none. Use a tokenizer with an EOS token.`, { line });
  }
  if (truncationMode === "drop") {
    if (whole.some(({ tokens }) => tokens.length > (maxLength ?? Number.POSITIVE_INFINITY))) return "longer than maxLength";
    return { ...encoded, sequences: whole };
  }
  const sequences = whole.map((sequence) => truncate(sequence, maxLength, truncationMode));
  return sequences.every(hasTarget) ? { ...encoded, sequences } : "no token of a completion left within maxLength";
}
