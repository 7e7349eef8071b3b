/** What a model with tools writes: text, then calls. */
import { randomUUID } from "node:crypto";
import { hermesToolCalls } from "@trimtab/core";

const TAG = "<tool_call>";

/** A call in OpenAI's form. */
export interface ApiToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** Lets text pass until a call begins; calls are read when the text has ended. */
export class ToolOutput {
  #text = "";
  #shown = 0;

  /** More of the text; returns what can be shown. */
  push(text: string): string {
    this.#text += text;
    const at = this.#text.indexOf(TAG);
    const end = at >= 0 ? at : this.#text.length - beginningOf(TAG, this.#text);
    return this.#take(end);
  }

  /** The calls, and what there is still to show: all of the text where one of its calls cannot be read. */
  finish(): { readonly text: string; readonly calls: readonly ApiToolCall[] } {
    const at = this.#text.indexOf(TAG);
    const parsed = at >= 0 ? hermesToolCalls(this.#text.slice(at)) : [];
    const calls = parsed.flatMap((call) =>
      call.problem === undefined
        ? [
            {
              id: `call_${randomUUID().replaceAll("-", "")}`,
              type: "function" as const,
              function: { name: call.name, arguments: JSON.stringify(call.arguments) },
            },
          ]
        : [],
    );
    const isWhole = calls.length > 0 && calls.length === parsed.length;
    return isWhole ? { text: "", calls } : { text: this.#take(this.#text.length), calls: [] };
  }

  #take(end: number): string {
    const shown = this.#text.slice(this.#shown, end);
    this.#shown = Math.max(this.#shown, end);
    return shown;
  }
}

/** Length of the longest end of the text with which `tag` begins. */
function beginningOf(tag: string, text: string): number {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length--) if (text.endsWith(tag.slice(0, length))) return length;
  return 0;
}
