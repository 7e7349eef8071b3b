/** TRL's dataset formats: what a row means, checked field by field. */
import { DataError } from "../errors";
import { type DatasetRow, describe } from "./jsonl";

/** One turn of a conversation. Other fields (`tool_calls`, `name`, ...) are handed to the chat template as they are. */
export interface Message {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** A prompt or completion: standard (text) or conversational. */
export type Turns = string | readonly Message[];

/** A row to learn from: the whole text, or a completion of a prompt. */
export type Example =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "messages"; readonly messages: readonly Message[] }
  | { readonly kind: "completion"; readonly prompt: Turns; readonly completion: Turns };

/** A row to answer: a prompt, and the columns that go to the reward functions. */
export interface PromptRow {
  readonly prompt: Turns;
  readonly columns: DatasetRow;
}

/** Reads a row for supervised learning: prompt and completion, `messages`, or the text field. */
export function readExample(row: DatasetRow, line: number, textField = "text"): Example {
  if (has(row, "prompt") || has(row, "completion")) {
    const prompt = readTurns(row, "prompt", line);
    const completion = readTurns(row, "completion", line);
    if ((typeof prompt === "string") !== (typeof completion === "string")) {
      throw bad(line, "completion", "must be text where the prompt is text, and messages where it is messages", row.completion);
    }
    return { kind: "completion", prompt, completion };
  }
  if (has(row, "messages")) return { kind: "messages", messages: readMessages(row.messages, "messages", line) };
  const text = row[textField];
  if (typeof text !== "string")
    throw bad(line, textField, "must be a string (or the row have `messages`, or `prompt` and `completion`)", text);
  if (text === "") throw bad(line, textField, "must not be empty", text);
  return { kind: "text", text };
}

/** Reads a prompt-only row; `line` is 1-based. */
export function readPrompt(row: DatasetRow, line: number): PromptRow {
  const { prompt: _, ...columns } = row;
  return { prompt: readTurns(row, "prompt", line), columns };
}

function readTurns(row: DatasetRow, field: string, line: number): Turns {
  const value = row[field];
  if (typeof value === "string") {
    if (value === "" && field === "prompt") throw bad(line, field, "must not be empty", value);
    return value;
  }
  return readMessages(value, field, line);
}

function readMessages(value: unknown, field: string, line: number): readonly Message[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw bad(line, field, field === "messages" ? "must be a list of messages" : "must be a string or a list of messages", value);
  }
  value.forEach((message: unknown, i) => {
    const turn = message as Partial<Message> | null;
    if (typeof turn !== "object" || turn === null || typeof turn.role !== "string" || !isContent(turn)) {
      throw bad(line, `${field}[${i}]`, "must have a `role` and a `content`, both strings", message);
    }
  });
  return value as readonly Message[];
}

/** An assistant's turn that only calls tools has no content. */
function isContent(turn: Partial<Message>): boolean {
  return typeof turn.content === "string" || Array.isArray(turn.tool_calls);
}

const has = (row: DatasetRow, field: string) => row[field] !== undefined && row[field] !== null;

function bad(line: number, field: string, rule: string, got: unknown): DataError {
  return new DataError(`dataset line ${line}: \`${field}\` ${rule}, got ${describe(got)}. Correct the row.`, { line, field });
}
