/** The icons of the elements, drawn in the current colour. */
import { html, type TemplateResult } from "lit";

const icon = (path: string, kind = ""): TemplateResult =>
  html`<svg class="icon ${kind}" viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>`;

const THUMB = "M7.5 10.5 11.4 3.4a2.1 2.1 0 0 1 2.6 2.4l-.7 3.7h5a2.2 2.2 0 0 1 2.1 2.7l-1.4 6a2.3 2.3 0 0 1-2.2 1.8H7.5Zm0 0H4.2v9.5h3.3";

export const thumbUpIcon = icon(THUMB);
export const thumbDownIcon = icon(THUMB, "turned");
export const starIcon = icon("m12 3.3 2.7 5.5 6 .9-4.4 4.2 1 6-5.3-2.8-5.4 2.8 1.1-6-4.4-4.2 6-.9Z", "star");
export const gripIcon = icon("M9 6h.01M9 12h.01M9 18h.01M15 6h.01M15 12h.01M15 18h.01", "dots");
export const upIcon = icon("m6.5 14.5 5.5-5.5 5.5 5.5");
export const downIcon = icon("m6.5 9.5 5.5 5.5 5.5-5.5");
export const undoIcon = icon("M8.5 5 4.5 9l4 4M4.5 9h9a5.5 5.5 0 0 1 0 11h-4");
export const redoIcon = icon("m15.5 5 4 4-4 4M19.5 9h-9a5.5 5.5 0 0 0 0 11h4");
export const skipIcon = icon("m6 6 6 6-6 6M12.5 6l6 6-6 6");
export const doneIcon = icon("m5.5 12.5 4.5 4.5 8.5-10");
