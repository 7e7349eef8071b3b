/** What a rule reads of a completion: its text, or that of the assistant's last message. */
import type { Turns } from "../data/formats";

/** A text as it is; of messages, the content of the last one by the assistant ("" where it has none). */
export function completionText(completion: Turns): string {
  if (typeof completion === "string") return completion;
  return completion.findLast(({ role }) => role === "assistant")?.content ?? "";
}
