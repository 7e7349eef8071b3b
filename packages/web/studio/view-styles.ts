/** What the views share: headings, panels, fields, lists and empty states, on the tokens and controls of the feedback elements. */
import { css } from "lit";
import { controls } from "../src/feedback/controls";
import { elementTokens } from "../src/feedback/theme";

export const viewStyles = [
  elementTokens,
  controls,
  css`
    h1,
    h2,
    h3,
    p {
      margin: 0;
    }
    h1 {
      font-size: clamp(1.5rem, 1.2rem + 1.4vw, 2rem);
      font-weight: 650;
      line-height: 1.2;
      letter-spacing: -0.025em;
      text-wrap: balance;
    }
    h2 {
      font-size: var(--_size-title);
      font-weight: 650;
      line-height: 1.3;
      letter-spacing: -0.012em;
    }
    h3 {
      font-size: 1rem;
      font-weight: 600;
    }
    .lead {
      max-width: 46rem;
      margin-top: var(--_space-2);
      color: var(--_text-muted);
      font-size: 1.0625rem;
      text-wrap: pretty;
    }
    .stack {
      display: grid;
      gap: var(--_space-5);
      margin-top: var(--_space-5);
    }
    .panel {
      display: grid;
      gap: var(--_space-4);
      align-content: start;
      padding: var(--_space-5);
      border: 1px solid var(--_border);
      border-radius: var(--_radius);
      background: var(--_surface);
      box-shadow: var(--_shadow);
    }
    .panel-head {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      justify-content: space-between;
      gap: var(--_space-2) var(--_space-4);
    }
    .two {
      display: grid;
      grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
      gap: var(--_space-5);
    }
    .row {
      display: flex;
      flex-wrap: wrap;
      align-items: center;
      gap: var(--_space-3);
    }
    .spread {
      justify-content: space-between;
    }
    .muted {
      color: var(--_text-muted);
    }
    .small {
      font-size: var(--_size-small);
    }
    .numbers {
      font-variant-numeric: tabular-nums;
    }
    .break {
      overflow-wrap: anywhere;
    }

    .icon {
      flex: none;
      width: 1.25rem;
      height: 1.25rem;
    }
    .icon-only {
      min-width: 2.75rem;
      padding: 0;
    }
    button.danger:hover:enabled {
      border-color: var(--_danger);
      background: var(--_danger-soft);
      color: var(--_danger);
    }

    .field {
      display: grid;
      gap: var(--_space-1);
      align-content: start;
    }
    .field > label,
    .field > .name,
    legend {
      padding: 0;
      font-size: var(--_size-small);
      font-weight: 600;
      color: var(--_text-muted);
    }
    .field > .hint {
      font-size: var(--_size-small);
      color: var(--_text-muted);
    }
    fieldset {
      min-width: 0;
      margin: 0;
      padding: 0;
      border: 0;
    }
    input,
    select {
      min-height: 2.75rem;
      padding: var(--_space-2) var(--_space-3);
    }
    input[type="checkbox"],
    input[type="radio"] {
      width: 1.15rem;
      min-height: 1.15rem;
      margin: 0;
      accent-color: var(--_accent);
    }
    input[type="file"] {
      display: none;
    }

    .chips {
      display: flex;
      flex-wrap: wrap;
      gap: var(--_space-2);
    }
    .chip {
      min-height: 2.5rem;
      padding: var(--_space-1) var(--_space-4);
      border-radius: 2rem;
      font-variant-numeric: tabular-nums;
    }
    .tag {
      display: inline-block;
      padding: 0.1rem 0.5rem;
      border-radius: 1rem;
      background: var(--_sunken);
      color: var(--_text-muted);
      font-size: var(--_size-small);
      font-weight: 550;
      font-variant-numeric: tabular-nums;
      white-space: nowrap;
    }
    .tag.strong {
      background: var(--_accent-soft);
      color: var(--_accent);
    }

    .list {
      display: grid;
      gap: var(--_space-2);
      margin: 0;
      padding: 0;
      list-style: none;
    }

    progress {
      appearance: none;
      width: 100%;
      height: 0.5rem;
      border: 0;
      border-radius: 1rem;
      background: var(--_sunken);
      overflow: hidden;
    }
    progress::-webkit-progress-bar {
      background: var(--_sunken);
    }
    progress::-webkit-progress-value {
      border-radius: 1rem;
      background: var(--_accent);
      transition: inline-size var(--_duration);
    }
    progress::-moz-progress-bar {
      border-radius: 1rem;
      background: var(--_accent);
    }

    .empty {
      display: grid;
      justify-items: center;
      gap: var(--_space-3);
      padding: var(--_space-6) var(--_space-5);
      border: 1.5px dashed var(--_border-control);
      border-radius: var(--_radius);
      text-align: center;
      text-wrap: balance;
    }
    .empty .icon {
      width: 2.25rem;
      height: 2.25rem;
      color: var(--_accent);
    }
    .empty p {
      max-width: 32rem;
      color: var(--_text-muted);
    }

    details.panel {
      display: block;
    }
    summary {
      cursor: pointer;
      font-weight: 600;
    }

    @media (max-width: 30rem) {
      .panel {
        padding: var(--_space-4);
      }
    }
  `,
];
