/**
 * The look that the elements and the studio share, as CSS custom properties, one table for both.
 *
 * Every colour has a light and a dark value and follows the `color-scheme` of where it is used. A page changes a token by setting it on
 * any ancestor: `:root { --trimtab-accent: rebeccapurple }`. Text on its ground keeps 4.5:1, edges of controls and focus rings 3:1 (WCAG 2.2 AA).
 */
import { type CSSResult, unsafeCSS } from "lit";

/** Name without `--trimtab-`, and the default. */
export const tokens = {
  /** Behind everything; cards are `surface`, and what stands apart from either is `sunken`. */
  canvas: "light-dark(#f5f7f8, #0e1418)",
  surface: "light-dark(#ffffff, #161f25)",
  sunken: "light-dark(#eff3f4, #1d2930)",
  text: "light-dark(#15212b, #e8eef1)",
  "text-muted": "light-dark(#536270, #a1b1bb)",
  /** Of cards and rules: decoration. */
  border: "light-dark(#dde4e8, #2a3840)",
  /** Of what can be operated. */
  "border-control": "light-dark(#82909b, #6d808c)",
  /** The one accent: what is chosen, what comes next, where the focus is. */
  accent: "light-dark(#0b6a75, #63c7d0)",
  "accent-hover": "light-dark(#085661, #86d8df)",
  "accent-text": "light-dark(#ffffff, #06262a)",
  "accent-soft": "light-dark(#e2f1f3, #16363c)",
  danger: "light-dark(#ac2a22, #ff9a90)",
  "danger-soft": "light-dark(#fcebe9, #3c1d1b)",
  shadow: "0 1px 2px light-dark(#15212b14, #00000066), 0 6px 24px -8px light-dark(#15212b1f, #00000080)",

  font: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  "font-mono": 'ui-monospace, "SF Mono", "Cascadia Code", Consolas, "DejaVu Sans Mono", monospace',
  /** Labels and hints; running text; headings of a card; of a page. */
  "size-small": "0.8125rem",
  "size-body": "1rem",
  "size-title": "1.1875rem",
  "size-display": "1.625rem",

  "space-1": "0.25rem",
  "space-2": "0.5rem",
  "space-3": "0.75rem",
  "space-4": "1rem",
  "space-5": "1.5rem",
  "space-6": "2.25rem",
  /** Of cards, of controls. */
  radius: "0.875rem",
  "radius-small": "0.5rem",
  /** Of transitions; none happen where less motion is preferred. */
  duration: "140ms",
} as const;

export type TokenName = keyof typeof tokens;

const declare = (line: (name: string, value: string) => string): string =>
  Object.entries(tokens)
    .map(([name, value]) => line(name, value))
    .join("");

/**
 * Inside an element: `--_accent` and so on, each what the page says or else the default. Private names, so that an element within an
 * element does not put the defaults back.
 */
export const elementTokens: CSSResult = unsafeCSS(
  `:host{${declare((name, value) => `--_${name}:var(--trimtab-${name},${value});`)}}@media (prefers-reduced-motion:reduce){:host{--_duration:0ms}}`,
);

/** For a page that is wholly ours: every token by its public name, in light and dark after the reader's system. */
export const pageTokens: CSSResult = unsafeCSS(
  `:root{color-scheme:light dark;${declare((name, value) => `--trimtab-${name}:${value};`)}}@media (prefers-reduced-motion:reduce){:root{--trimtab-duration:0ms}}`,
);
