/** What is asked: a prompt, completions of it, and the kind of feedback wanted. */
import { canonicalJson, DataError, type DatasetRow, type Turns } from "@trimtab/core";

export const FEEDBACK_KINDS = ["pair", "ranking", "thumbs", "stars", "correction", "demonstration"] as const;

/**
 * pair: which of two is better. ranking: several in order, ties allowed. thumbs: liked or not. stars: a mark from 1 to 5. correction: what the
 * completion should have been. demonstration: a completion written from nothing.
 */
export type FeedbackKind = (typeof FEEDBACK_KINDS)[number];

export interface FeedbackCompletion {
  /** Text, or messages where the prompt is messages. */
  readonly content: Turns;
  /** What it was sampled at. */
  readonly temperature?: number | undefined;
  /** Where it comes from: a model, a checkpoint, a person. */
  readonly source?: string | undefined;
}

export interface FeedbackItem {
  /** Unique in its session. */
  readonly id: string;
  readonly kind: FeedbackKind;
  readonly prompt: Turns;
  /** Two for a pair, two or more for a ranking, none for a demonstration, else one. */
  readonly completions: readonly FeedbackCompletion[];
  /** Columns that exported rows carry. */
  readonly columns?: DatasetRow | undefined;
}

/** An item before it is in a session, which names it where it has no name. */
export type NewFeedbackItem = Omit<FeedbackItem, "id"> & { readonly id?: string | undefined };

/** Fewest and most completions of each kind. */
const counts: Readonly<Record<FeedbackKind, readonly [low: number, high: number]>> = {
  pair: [2, 2],
  ranking: [2, Number.POSITIVE_INFINITY],
  thumbs: [1, 1],
  stars: [1, 1],
  correction: [1, 1],
  demonstration: [0, 0],
};

/**
 * The items that ask `kind` of the completions of a prompt: a pair for every two of them, one ranking of all, one item a completion, or one
 * demonstration. Of equal completions the first stays, so that there may be nothing to compare and no item.
 */
export function feedbackItems(
  kind: FeedbackKind,
  prompt: Turns,
  completions: readonly (string | FeedbackCompletion)[],
  columns?: DatasetRow,
): NewFeedbackItem[] {
  const all = completions.map((completion) => (typeof completion === "string" ? { content: completion } : completion));
  const seen = new Set<string>();
  const different = all.filter(({ content }) => seen.size < seen.add(canonicalJson(content)).size);
  const item = (...these: FeedbackCompletion[]): NewFeedbackItem => ({
    kind,
    prompt,
    completions: these,
    ...(columns ? { columns } : {}),
  });
  if (kind === "demonstration") return [item()];
  if (kind === "ranking") return different.length < 2 ? [] : [item(...different)];
  if (kind !== "pair") return different.map((completion) => item(completion));
  return different.flatMap((first, i) => different.slice(i + 1).map((second) => item(first, second)));
}

/** Throws DataError where an item does not have what its kind needs. */
export function checkItem({ kind, prompt, completions }: NewFeedbackItem): void {
  const refuse = (must: string, got: unknown, advice: string) => {
    throw new DataError(`feedback item: ${must}, got ${JSON.stringify(got)}. ${advice}`);
  };
  if (!FEEDBACK_KINDS.includes(kind)) refuse(`kind must be one of ${FEEDBACK_KINDS.join(", ")}`, kind, "Choose one.");
  if (!isTurns(prompt) || prompt.length === 0) refuse("prompt must be text or messages, not empty", prompt, "Write one.");
  const [low, high] = counts[kind];
  if (!(completions.length >= low && completions.length <= high)) {
    const count = high === Number.POSITIVE_INFINITY ? `at least ${low}` : `${low}`;
    refuse(`a ${kind} must have completions: ${count}`, completions.length, "feedbackItems() makes items from any number.");
  }
  for (const { content } of completions) {
    const isAlike = isTurns(content) && typeof content === typeof prompt && (typeof content === "string" || content.length > 0);
    if (!isAlike) refuse("completions must be text where the prompt is, and messages where it is", content, "Make them alike.");
  }
}

const isTurns = (value: unknown): value is Turns =>
  typeof value === "string" || (Array.isArray(value) && value.every((message) => typeof message?.role === "string" && hasContent(message)));

/** An assistant's turn that only calls tools has no text. */
const hasContent = ({ content, tool_calls: calls }: { content?: unknown; tool_calls?: unknown }) =>
  typeof content === "string" || Array.isArray(calls);

/** What a person reads and edits: the text, or that of the last message. */
export function lastText(content: Turns): string {
  return typeof content === "string" ? content : (content.at(-1)?.content ?? "");
}

/** The completion with that text in place of its own; of messages, in place of the last one's. */
export function withLastText(content: Turns, text: string): Turns {
  if (typeof content === "string") return text;
  return content.map((message, i) => (i === content.length - 1 ? { ...message, content: text } : message));
}

/** A completion that somebody wrote, in the form of its prompt: text, or one message of the assistant. */
export function writtenTurns(prompt: Turns, text: string): Turns {
  return typeof prompt === "string" ? text : [{ role: "assistant", content: text }];
}
