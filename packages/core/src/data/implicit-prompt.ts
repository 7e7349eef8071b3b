/** The prompt of a preference whose two texts or conversations begin with it. */
import { canonicalJson } from "./canonical-json";
import type { Message, Turns } from "./formats";

export interface ExtractedPrompt {
  readonly prompt: Turns;
  readonly chosen: Turns;
  readonly rejected: Turns;
}

/**
 * Splits off what `chosen` and `rejected` begin with in common: the first characters of texts, the first messages of conversations. A
 * space at the end of a common text goes to the completions, where tokenizers expect it. TRL's `extract_prompt`, with two departures:
 * where one is the beginning of the other, TRL leaves the last common character or message to the completions, and here the shorter
 * completion is empty; a character outside the basic plane is never cut in two.
 */
export function extractPrompt(chosen: Turns, rejected: Turns): ExtractedPrompt {
  if (typeof chosen === "string" && typeof rejected === "string") {
    const end = commonText(chosen, rejected);
    return { prompt: chosen.slice(0, end), chosen: chosen.slice(end), rejected: rejected.slice(end) };
  }
  const [a, b] = [chosen as readonly Message[], rejected as readonly Message[]];
  let end = 0;
  while (end < Math.min(a.length, b.length) && canonicalJson(a[end]) === canonicalJson(b[end])) end++;
  return { prompt: a.slice(0, end), chosen: a.slice(end), rejected: b.slice(end) };
}

/** Length of the common beginning that serves as a prompt. */
function commonText(a: string, b: string): number {
  let end = 0;
  while (end < Math.min(a.length, b.length) && a[end] === b[end]) end++;
  const last = a.charCodeAt(end - 1);
  if (last >= 0xd800 && last < 0xdc00) end--;
  return a[end - 1] === " " ? end - 1 : end;
}
