/** Conversations written with `from` and `value` to `role` and `content`. */
import type { DatasetRow } from "../jsonl";

const fields = ["prompt", "completion", "chosen", "rejected", "edited", "messages", "conversations"];

/** The names that ShareGPT's files give to roles. */
const roles = new Map<unknown, string>([
  ["human", "user"],
  ["gpt", "assistant"],
]);

/**
 * A row with `role` and `content` in place of `from` and `value`, and `messages` in place of `conversations`: TRL's
 * `maybe_convert_to_chatml`. Departures: the row itself is left alone, `completions` and `edited` are converted too, and the roles
 * "human" and "gpt" become "user" and "assistant".
 */
export function maybeConvertToChatml(row: DatasetRow): DatasetRow {
  const converted = Object.entries(row).map(([field, value]): [string, unknown] => {
    if (field === "completions" && Array.isArray(value)) return [field, value.map(convertMessages)];
    return [field === "conversations" ? "messages" : field, fields.includes(field) ? convertMessages(value) : value];
  });
  return Object.fromEntries(converted);
}

function convertMessages(value: unknown): unknown {
  return Array.isArray(value) ? value.map(convertMessage) : value;
}

function convertMessage(message: unknown): unknown {
  if (typeof message !== "object" || message === null || !("from" in message || "value" in message)) return message;
  const { from, value, ...rest } = message as { readonly from?: unknown; readonly value?: unknown };
  return {
    ...(from === undefined ? {} : { role: roles.get(from) ?? from }),
    ...(value === undefined ? {} : { content: value }),
    ...rest,
  };
}
