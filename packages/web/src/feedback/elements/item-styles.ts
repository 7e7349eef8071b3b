/** What the elements of all kinds have in common: the prompt, the question, completions and icons. */
import { css } from "lit";

export const itemStyles = css`
  :host {
    container-type: inline-size;
  }
  .item {
    display: grid;
    gap: var(--_space-5);
    outline: none;
  }

  .prompt {
    display: grid;
    gap: var(--_space-2);
    padding: var(--_space-4) var(--_space-5);
    border-radius: var(--_radius);
    background: var(--_sunken);
  }
  .ask {
    display: grid;
    gap: var(--_space-4);
  }
  .question {
    margin: 0;
    font-size: var(--_size-title);
    font-weight: 650;
    line-height: 1.3;
    letter-spacing: -0.01em;
    text-wrap: balance;
  }
  .hint {
    margin: 0;
    font-size: var(--_size-small);
    color: var(--_text-muted);
  }
  .hint kbd {
    margin-inline: 0.1em;
  }

  .message + .message {
    margin-top: var(--_space-3);
  }
  .message .label {
    text-transform: capitalize;
  }
  mark {
    border-radius: 0.2em;
    background: var(--_accent-soft);
    color: inherit;
    text-decoration: underline 2px var(--_accent);
    text-underline-offset: 0.2em;
  }

  .icon {
    width: 1.25rem;
    height: 1.25rem;
    flex: none;
    fill: none;
    stroke: currentcolor;
    stroke-width: 1.75;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  .icon.turned {
    rotate: 180deg;
  }
  .icon.dots {
    stroke-width: 3;
  }

  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: var(--_space-3);
    align-items: center;
  }
  .actions .hint {
    margin-inline-start: auto;
  }

  @container (max-width: 30rem) {
    .prompt,
    .card {
      padding: var(--_space-3) var(--_space-4);
    }
    .item {
      gap: var(--_space-4);
    }
    .actions .primary {
      flex: 1 1 auto;
    }
  }
`;
