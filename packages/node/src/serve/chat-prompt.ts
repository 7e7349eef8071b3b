/** Conversations as OpenAI writes them, as the chat template of a model wants them. */
import { chatRenderer, type Message, type Tokenizer, TrimtabError } from "@trimtab/core";
import { ApiError, unsupported } from "./api-error";
import type { ChatBody, ChatMessage } from "./requests";

/** Renders a conversation up to where the assistant begins. Throws ApiError for what the template cannot hold. */
export function chatPrompt({ messages, tools, tool_choice: choice }: ChatBody, tokenizer: Tokenizer): Uint32Array {
  const { chatTemplate } = tokenizer;
  if (chatTemplate === undefined) {
    throw new ApiError(400, "This model has no chat template. Use /v1/completions.", { param: "messages", code: "no_chat_template" });
  }
  if (choice != null && choice !== "auto" && choice !== "none") {
    throw unsupported("tool_choice", "`tool_choice` must be auto or none here: a call cannot be forced.");
  }
  const given = tools && tools.length > 0 && choice !== "none" ? tools : undefined;
  if (given && !takesTools(chatTemplate)) {
    throw unsupported(
      "tools",
      "This model's chat template takes no tools, or writes calls in a form that is not known here. Leave them out.",
    );
  }
  try {
    const text = chatRenderer(tokenizer)(messages.map(messageOf), { addGenerationPrompt: true, tools: given });
    return tokenizer.encode(text, { addSpecialTokens: false });
  } catch (cause) {
    if (cause instanceof TrimtabError) throw new ApiError(400, cause.message, { param: "messages", cause });
    throw cause;
  }
}

/** Whether a template shows tools to the model and has it call them between <tool_call> tags: the form that is read back here. */
export function takesTools(template: string): boolean {
  return /\btools\b/.test(template) && template.includes("<tool_call>");
}

function messageOf({ content, tool_calls: calls, role, ...rest }: ChatMessage, index: number): Message {
  const text = typeof content === "string" ? content : (content ?? []).map((part) => textOf(part, index)).join("");
  // Templates write arguments as JSON themselves, and would quote a string.
  const parsed = calls?.map((call) => ({ ...call, function: { ...call.function, arguments: parse(call.function.arguments, index) } }));
  return { ...rest, role: role === "developer" ? "system" : role, content: text, ...(parsed ? { tool_calls: parsed } : {}) };
}

function textOf(part: { readonly type: string; readonly text?: string | undefined }, index: number): string {
  if (part.type === "text" && part.text !== undefined) return part.text;
  throw unsupported(`messages.${index}.content`, `Parts of a message must be text, got ${part.type}. The models read text only.`);
}

function parse(json: string, index: number): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new ApiError(400, "The arguments of a tool call must be JSON.", { param: `messages.${index}.tool_calls`, cause });
  }
}
