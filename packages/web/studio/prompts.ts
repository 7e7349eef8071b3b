/** Prompts as they come in: lines of text, or JSON Lines with a `prompt` (text or messages) or `messages`; and a few to begin with. */
import { type DatasetRow, type Message, parseJsonl } from "@trimtab/core";
import { newId } from "./session";
import type { StudioPrompt } from "./store";

/** Openings of sentences that the bundled model can go on from. */
export const BUNDLED_PROMPTS: readonly string[] = [
  "My fellow Americans,",
  "Tonight I ask the Congress",
  "The state of our Union",
  "We must work together to",
  "Our economy is",
  "I am proud to say that",
  "The people of this country",
  "In the year ahead, we will",
  "Our children deserve",
  "Peace in the world",
  "For the first time in our history,",
  "The cost of health care",
  "We have made progress",
  "Let us resolve that",
  "Every American family",
  "Our armed forces",
  "The future of our Nation",
  "I propose that we",
  "There are those who say",
  "Freedom is",
  "We face a great challenge:",
  "The budget I send you",
  "Across the country, workers",
  "Thank you, and God",
];

export function promptOf(prompt: StudioPrompt["prompt"], columns: DatasetRow = {}): StudioPrompt {
  return { id: newId(), prompt, columns };
}

/**
 * The prompts of a file. JSON Lines where it is named `.jsonl`, `.ndjson` or `.json`, or begins with a brace; else one prompt a line, where
 * a line break inside a prompt is written `\n`. Throws DataError with the line of a row that has none.
 */
export function readPrompts(text: string, name: string): readonly StudioPrompt[] {
  const isJson = /\.(jsonl|ndjson|json)$/i.test(name) || text.trimStart().startsWith("{");
  if (!isJson) {
    const lines = text.split(/\r?\n/).map((line) => line.trim().replaceAll("\\n", "\n"));
    return lines.filter(Boolean).map((line) => promptOf(line));
  }
  return parseJsonl(text, name).map((row, i) => {
    const { prompt, messages, ...columns } = row;
    const value = prompt ?? openTurns(messages);
    if (!isPrompt(value)) throw new Error(`${name}:${i + 1}: a row must have a prompt, text or messages. Add a "prompt" column.`);
    return promptOf(value, columns);
  });
}

/** A conversation up to what its user said last. */
function openTurns(messages: unknown): unknown {
  if (!Array.isArray(messages)) return undefined;
  const last = messages.findLastIndex((message) => message?.role === "user");
  return last < 0 ? undefined : messages.slice(0, last + 1);
}

function isPrompt(value: unknown): value is string | readonly Message[] {
  if (typeof value === "string") return value.length > 0;
  return Array.isArray(value) && value.length > 0 && value.every((m) => typeof m?.role === "string" && typeof m.content === "string");
}

/** What one reads of a prompt: the text, or the last thing said. */
export function promptText({ prompt }: StudioPrompt): string {
  return typeof prompt === "string" ? prompt : (prompt.at(-1)?.content ?? "");
}

/** The prompt as a dataset's row. */
export function promptRow({ prompt, columns }: StudioPrompt): DatasetRow {
  return { ...columns, prompt };
}

/** What belongs to each prompt, in order, by the prompt's id. */
export function byPrompt<T extends { readonly promptId: string }>(all: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(one.promptId, [...(groups.get(one.promptId) ?? []), one]);
  return groups;
}
