/** Finding tool calls in what a model wrote. */

/** A call, or what is wrong with one that was meant. */
export type ToolCall =
  | { readonly name: string; readonly arguments: Readonly<Record<string, unknown>>; readonly problem?: undefined }
  | { readonly problem: string };

/** The calls of an action, in order; none where the action is an answer. */
export type ToolCallParser = (action: string) => readonly ToolCall[];

/** `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, as Hermes and Qwen models write them. The last one may lack its end. */
export const hermesToolCalls: ToolCallParser = (action) =>
  [...action.matchAll(/<tool_call>(.*?)(?:<\/tool_call>|$)/gs)].map(([, json = ""]) => {
    const value = parseObject(json);
    if (!value || typeof value.name !== "string") return { problem: "a call must be a JSON object with a name and arguments" };
    return asCall(value.name, value.arguments);
  });

/** `<tool>name({...})</tool>`: short enough for small models. The arguments are a JSON object, or nothing. */
export const plainToolCalls: ToolCallParser = (action) =>
  [...action.matchAll(/<tool>(.*?)(?:<\/tool>|$)/gs)].map(([, body = ""]) => {
    const match = /^\s*([\w.-]+)\s*\((.*)\)\s*$/s.exec(body);
    if (!match) return { problem: "a call must be written name({...})" };
    const [, name = "", json = ""] = match;
    return asCall(name, json.trim() === "" ? {} : parseObject(json));
  });

function asCall(name: string, value: unknown): ToolCall {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? { name, arguments: value as Record<string, unknown> } : { problem: `the arguments of ${name} must be a JSON object` };
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
