/** Conversations to text, by the Jinja template that a tokenizer carries. */
import { Template } from "@huggingface/jinja";
import { ConfigError, DataError } from "../errors";
import type { Tokenizer } from "../tokenizer/tokenizer";
import type { Message } from "./formats";

export interface RenderOptions {
  /** End with the header of the assistant's turn. */
  readonly addGenerationPrompt: boolean;
  /** The dataset row, for messages of errors. */
  readonly line?: number | undefined;
  readonly tools?: unknown;
}

/** The row that turns belong to: its 1-based line, for messages, and the tools that its chat template is given. */
export interface RowContext {
  readonly line: number;
  readonly tools: unknown;
}

/** Renders conversations of one tokenizer. */
export type ChatRenderer = (messages: readonly Message[], options: RenderOptions) => string;

/** Stand for the beginning and the end of what a template says the assistant generates. Private-use characters: no template or text has them. */
export const GENERATION_MARKS = ["\u{f0003}", "\u{f0004}"] as const;

const generationTag = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/** Whether a template says what the assistant generates, with {% generation %} and {% endgeneration %}. */
export const marksGeneration = (template: string): boolean => template.search(generationTag) >= 0;

/** The template with a mark in the place of each tag. A condition around it has the tag's effect on the white space beside it. */
function withMarks(template: string): string {
  return template.replace(generationTag, (_, before: string, end: string | undefined, after: string) => {
    return `{%${before} if true %}{{ "${GENERATION_MARKS[end ? 1 : 0]}" }}{% endif ${after}%}`;
  });
}

/** Parses the tokenizer's template; with `marks`, renderings have GENERATION_MARKS where its generation tags are. Throws ConfigError where it has none or a malformed one; rows that it refuses are DataErrors. */
export function chatRenderer(tokenizer: Tokenizer, marks = false): ChatRenderer {
  if (tokenizer.chatTemplate === undefined) {
    throw new ConfigError(
      "chat template: conversational rows need a tokenizer with a `chat_template`, got none. Use text rows or add one.",
    );
  }
  let template: Template;
  try {
    template = new Template(marks ? withMarks(tokenizer.chatTemplate) : tokenizer.chatTemplate);
  } catch (cause) {
    throw new ConfigError(`chat template: it must be valid Jinja, got ${(cause as Error).message}. Correct tokenizer_config.json.`, {
      cause,
    });
  }
  const nameOf = (id: number | undefined) => (id === undefined ? "" : (tokenizer.idToToken(id) ?? ""));
  const specials = { bos_token: nameOf(tokenizer.bosTokenId), eos_token: nameOf(tokenizer.eosTokenId) };
  return (messages, { addGenerationPrompt, line, tools }) => {
    try {
      return template.render({ ...specials, messages, tools, add_generation_prompt: addGenerationPrompt });
    } catch (cause) {
      throw new DataError(
        `${line === undefined ? "conversation" : `dataset line ${line}`}: the chat template must accept the messages, got ${(cause as Error).message}. Correct the row or the template.`,
        line === undefined ? {} : { line },
        { cause },
      );
    }
  };
}
