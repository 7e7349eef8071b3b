/** Buttons, keys, text fields and cards as every element draws them, on the tokens of theme.ts. */
import { css } from "lit";

export const controls = css`
  :host {
    display: block;
    box-sizing: border-box;
    font: 400 var(--_size-body) / 1.55 var(--_font);
    color: var(--_text);
    -webkit-text-size-adjust: 100%;
  }
  :host([hidden]) {
    display: none;
  }
  *,
  ::before,
  ::after {
    box-sizing: border-box;
  }

  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: var(--_space-2);
    min-height: 2.75rem;
    padding: var(--_space-2) var(--_space-4);
    border: 1px solid var(--_border-control);
    border-radius: var(--_radius-small);
    background: var(--_surface);
    color: var(--_text);
    font: inherit;
    font-weight: 550;
    cursor: pointer;
    transition:
      background-color var(--_duration),
      border-color var(--_duration),
      color var(--_duration);
  }
  button:hover:enabled {
    border-color: var(--_accent);
    color: var(--_accent);
  }
  button:disabled {
    border-color: var(--_border);
    color: var(--_text-muted);
    cursor: not-allowed;
    opacity: 0.55;
  }
  button.primary {
    border-color: transparent;
    background: var(--_accent);
    color: var(--_accent-text);
  }
  button.primary:hover:enabled {
    border-color: transparent;
    color: var(--_accent-text);
    background: var(--_accent-hover);
  }
  button.primary:disabled {
    background: var(--_border);
    color: var(--_text);
  }
  button.quiet {
    border-color: transparent;
    background: transparent;
    color: var(--_text-muted);
  }
  button.quiet:hover:enabled {
    border-color: transparent;
    background: var(--_sunken);
    color: var(--_text);
  }
  button[aria-pressed="true"],
  button[aria-checked="true"] {
    border-color: var(--_accent);
    background: var(--_accent-soft);
    color: var(--_accent);
  }

  :focus-visible {
    outline: 3px solid var(--_accent);
    outline-offset: 2px;
  }

  kbd {
    display: inline-grid;
    place-items: center;
    min-width: 1.5em;
    height: 1.5em;
    padding: 0 0.35em;
    border: 1px solid color-mix(in srgb, currentcolor 40%, transparent);
    border-radius: 0.3rem;
    font: 500 0.75rem / 1 var(--_font-mono);
  }
  /* Keys are of no use where there is nothing to press them on. */
  @media (hover: none) and (pointer: coarse) {
    kbd,
    .keys {
      display: none;
    }
  }

  textarea,
  input,
  select {
    width: 100%;
    padding: var(--_space-3) var(--_space-4);
    border: 1px solid var(--_border-control);
    border-radius: var(--_radius-small);
    background: var(--_surface);
    color: inherit;
    font: inherit;
  }
  textarea {
    resize: vertical;
  }
  ::placeholder {
    color: var(--_text-muted);
    opacity: 1;
  }

  .text {
    margin: 0;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
    tab-size: 4;
  }
  .label {
    margin: 0;
    font-size: var(--_size-small);
    font-weight: 600;
    letter-spacing: 0.01em;
    color: var(--_text-muted);
  }
  .card {
    padding: var(--_space-4) var(--_space-5);
    border: 1px solid var(--_border);
    border-radius: var(--_radius);
    background: var(--_surface);
  }
  .hidden-visually {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;
