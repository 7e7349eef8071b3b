/** Reads rows for supervised learning and prompt-only rows, checked column by column. */
import { readRow } from "./columns";
import type { Example, PromptRow } from "./formats";
import type { DatasetRow } from "./jsonl";

/** Reads a row for supervised learning: prompt and completion (a demonstration), `messages`, or the text field. */
export function readExample(row: DatasetRow, line: number, textField = "text"): Example {
  return readRow<Example>(row, line, (columns) => {
    if (columns.has("prompt") || columns.has("completion")) {
      const example = { kind: "completion", prompt: columns.turns("prompt"), completion: columns.turns("completion") } as const;
      columns.alike("prompt");
      return example;
    }
    if (columns.has("messages")) return { kind: "messages", messages: columns.messages("messages") };
    const text = columns.get(textField);
    if (typeof text !== "string") {
      columns.reject(textField, "must be a string (or the row have `messages`, or `prompt` and `completion`)", text);
    } else if (text === "") columns.reject(textField, "must not be empty", text);
    return { kind: "text", text: String(text) };
  });
}

/** Reads a prompt-only row; `line` is 1-based. */
export function readPrompt(row: DatasetRow, line: number): PromptRow {
  return readRow(row, line, (columns) => ({ prompt: columns.turns("prompt"), columns: columns.rest() }));
}
