/** The studio's drawings: 24-unit line icons in the colour of the text around them, decorative unless what they are in says otherwise. */
import { html, type SVGTemplateResult, svg, type TemplateResult } from "lit";
import type { ViewName } from "./store";

const icon = (shape: SVGTemplateResult): TemplateResult => html`<svg
  class="icon"
  viewBox="0 0 24 24"
  width="24"
  height="24"
  fill="none"
  stroke="currentColor"
  stroke-width="1.75"
  stroke-linecap="round"
  stroke-linejoin="round"
  aria-hidden="true"
>${shape}</svg>`;

export const viewIcons: Readonly<Record<ViewName, TemplateResult>> = {
  model: icon(svg`<path d="M12 3 4 7.5v9L12 21l8-4.5v-9z"/><path d="m4 7.5 8 4.5 8-4.5M12 12v9"/>`),
  prompts: icon(svg`<path d="M5 5h14v11H11l-4.5 4v-4H5z"/><path d="M9 9h6M9 12h3.5"/>`),
  sample: icon(svg`<path d="M12 4v3M12 17v3M4 12h3M17 12h3"/><path d="m12 8.5 1.1 2.4 2.4 1.1-2.4 1.1-1.1 2.4-1.1-2.4L8.5 12l2.4-1.1z"/>`),
  feedback: icon(svg`<path d="M7 11v9H4v-9zM7 11l4-7c1.4 0 2.2 1 2 2.4L12.5 10H18c1.3 0 2.2 1.2 1.9 2.4l-1.5 6A2 2 0 0 1 16.5 20H7"/>`),
  train: icon(svg`<path d="M4 19V5M4 19h16"/><path d="m7.5 15 3.5-4 3 2.5L19 7"/>`),
  export: icon(svg`<path d="M12 15V4M8 8l4-4 4 4"/><path d="M5 13v6h14v-6"/>`),
};

export const checkIcon = icon(svg`<path d="m5 12.5 4.5 4.5L19 7.5"/>`);
export const closeIcon = icon(svg`<path d="M6 6l12 12M18 6 6 18"/>`);
export const plusIcon = icon(svg`<path d="M12 5v14M5 12h14"/>`);
export const folderIcon = icon(svg`<path d="M3.5 6.5h6l2 2.5h9v9.5h-17z"/>`);
export const linkIcon = icon(
  svg`<path d="M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1"/><path d="M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1"/>`,
);
export const chipIcon = icon(
  svg`<rect x="7" y="7" width="10" height="10" rx="1.5"/><path d="M10 3.5V7M14 3.5V7M10 17v3.5M14 17v3.5M3.5 10H7M3.5 14H7M17 10h3.5M17 14h3.5"/>`,
);
export const sunIcon = icon(
  svg`<circle cx="12" cy="12" r="3.75"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"/>`,
);
export const moonIcon = icon(svg`<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"/>`);
export const autoIcon = icon(
  svg`<circle cx="12" cy="12" r="8"/><path d="M12 4v16"/><path d="M12 7.5a4.5 4.5 0 0 1 0 9z" fill="currentColor" stroke="none"/>`,
);
export const arrowIcon = icon(svg`<path d="M5 12h14M13 6l6 6-6 6"/>`);
export const trashIcon = icon(svg`<path d="M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 11v5M13.5 11v5"/>`);
export const uploadIcon = icon(svg`<path d="M12 16V5M7.5 9.5 12 5l4.5 4.5M5 19h14"/>`);
export const downloadIcon = icon(svg`<path d="M12 5v11M7.5 11.5 12 16l4.5-4.5M5 20h14"/>`);
export const stackIcon = icon(svg`<path d="m12 4 8 4-8 4-8-4z"/><path d="m4 12 8 4 8-4M4 16l8 4 8-4"/>`);

/** The mark: a rudder with its trim tab turned. */
export const mark = html`<svg class="mark" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">
  <rect width="32" height="32" rx="8" fill="var(--_accent)" />
  <path d="M9 7h9c2 0 3 1.2 3 3v14.5c-5.5 0-12-4.5-12-12z" fill="var(--_accent-text)" />
  <path d="m22.6 17.4 3 6.1-3 1z" fill="var(--_accent-text)" opacity="0.75" />
</svg>`;
