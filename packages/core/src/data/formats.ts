/** What a row means in each dataset format: TRL's formats, and three that it lacks (ranked lists, ratings, corrections). */
import type { DatasetRow } from "./jsonl";

/** One turn of a conversation. Other fields (`tool_calls`, `name`, ...) are handed to the chat template as they are. */
export interface Message {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** A prompt or completion: standard (text) or conversational. In one row all are of the same kind. */
export type Turns = string | readonly Message[];

/** A row to learn from: the whole text, or a completion of a prompt. */
export type Example =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "messages"; readonly messages: readonly Message[] }
  | { readonly kind: "completion"; readonly prompt: Turns; readonly completion: Turns };

/** What every row of feedback is about. */
export interface PromptRow {
  readonly prompt: Turns;
  /** The other columns: reward functions receive them, converters hand them on. */
  readonly columns: DatasetRow;
}

/** Two completions, one preferred. */
export interface PreferenceExample extends PromptRow {
  readonly chosen: Turns;
  readonly rejected: Turns;
  /** How much better the chosen one is, in reward; undefined where the row does not say. */
  readonly margin: number | undefined;
  /** Pairs of one ranking share it, so that they can be one element of a batch. */
  readonly group: string | number | undefined;
}

/** A completion that was liked or not. */
export interface UnpairedExample extends PromptRow {
  readonly completion: Turns;
  readonly label: boolean;
}

/** A completion in steps, each with its own label or reward. */
export interface StepwiseExample extends PromptRow {
  readonly prompt: string;
  /** The steps. (T) */
  readonly completions: readonly string[];
  /** `labels`: 1 right, 0 wrong, or the probability of being right. `rewards`: any number. (T) */
  readonly values: readonly number[];
}

/** Several completions in the order of preference. */
export interface RankedExample extends PromptRow {
  /** (K), K at least 2 */
  readonly completions: readonly Turns[];
  /** 1 is the best; equal ranks are ties; gaps are allowed. (K) */
  readonly ranks: readonly number[];
}

/** A completion with a mark on a scale. */
export interface RatedExample extends PromptRow {
  readonly completion: Turns;
  readonly rating: number;
  /** Who rated. */
  readonly rater: string | number | undefined;
}

/** A completion and what somebody made of it. */
export interface CorrectionExample extends PromptRow {
  readonly completion: Turns;
  readonly edited: Turns;
}
