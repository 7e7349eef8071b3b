/** Prompts and completions as they are shown: as text, with every space and line break. */

import type { Message, Turns } from "@trimtab/core";
import { html, nothing, type TemplateResult } from "lit";
import type { Parts } from "./differences";

/** Text, or messages with their roles. `parts` are shown in place of the text of the last message, the middle marked. */
export function renderTurns(turns: Turns, parts?: Parts): TemplateResult {
  if (typeof turns === "string") return renderText(turns, parts);
  return html`${turns.map((message, i) => renderMessage(message, i === turns.length - 1 ? parts : undefined))}`;
}

function renderMessage({ role, content, tool_calls: calls }: Message, parts: Parts | undefined): TemplateResult {
  const text = content ?? JSON.stringify(calls, null, 2);
  return html`<div class="message"><span class="label">${role}</span>${renderText(text, parts)}</div>`;
}

// The tags and the text stand together: white space between them would be shown.
function renderText(text: string, parts: Parts | undefined): TemplateResult {
  if (!parts) return html`<p class="text" dir="auto">${text}</p>`;
  const [start, middle, end] = parts;
  return html`<p class="text" dir="auto">${start}${middle ? html`<mark>${middle}</mark>` : nothing}${end}</p>`;
}
