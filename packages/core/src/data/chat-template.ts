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

/** Renders conversations of one tokenizer. */
export type ChatRenderer = (messages: readonly Message[], options: RenderOptions) => string;

/** Parses the tokenizer's template. Throws ConfigError where it has none or a malformed one; rows that it refuses are DataErrors. */
export function chatRenderer(tokenizer: Tokenizer): ChatRenderer {
  if (tokenizer.chatTemplate === undefined) {
    throw new ConfigError(
      "chat template: conversational rows need a tokenizer with a `chat_template`, got none. Use text rows or add one.",
    );
  }
  let template: Template;
  try {
    template = new Template(tokenizer.chatTemplate);
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
