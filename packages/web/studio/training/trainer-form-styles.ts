/** How the trainer form is laid out: cards to choose from, and fields in columns. */
import { css } from "lit";

export const trainerFormStyles = css`
  form {
    display: grid;
    gap: var(--_space-5);
  }
  fieldset {
    min-width: 0;
    margin: 0;
    padding: 0;
    border: 0;
  }
  legend,
  h2 {
    margin: 0 0 var(--_space-3);
    padding: 0;
    font-size: var(--_size-title);
    font-weight: 650;
  }
  .trainers {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
    gap: var(--_space-3);
  }
  .trainers label {
    position: relative;
    display: grid;
    align-content: start;
    gap: var(--_space-1);
    padding: var(--_space-3) var(--_space-4);
    border: 1px solid var(--_border-control);
    border-radius: var(--_radius);
    background: var(--_surface);
    cursor: pointer;
    transition: border-color var(--_duration), background-color var(--_duration);
  }
  .trainers label:hover {
    border-color: var(--_accent);
  }
  .trainers label:has(:checked) {
    border-color: var(--_accent);
    background: var(--_accent-soft);
    box-shadow: inset 0 0 0 1px var(--_accent);
  }
  .trainers label:has(:focus-visible) {
    outline: 3px solid var(--_accent);
    outline-offset: 2px;
  }
  .trainers input {
    position: absolute;
    inset: 0;
    opacity: 0;
    cursor: pointer;
  }
  .trainers strong {
    font-weight: 650;
  }
  .trainers small,
  .help,
  .count {
    color: var(--_text-muted);
    font-size: var(--_size-small);
    line-height: 1.45;
  }
  .count {
    font-weight: 600;
  }
  .count.ready {
    color: var(--_accent);
  }
  .fields {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
    gap: var(--_space-4) var(--_space-5);
  }
  .field {
    display: grid;
    align-content: start;
    gap: var(--_space-1);
  }
  .field > label,
  .field > .name {
    font-weight: 600;
  }
  .field input:not([type="checkbox"]),
  select {
    min-height: 2.75rem;
    padding: var(--_space-2) var(--_space-3);
    font-variant-numeric: tabular-nums;
  }
  .field [aria-invalid="true"] {
    border-color: var(--_danger);
    box-shadow: inset 0 0 0 1px var(--_danger);
  }
  .field .wrong {
    margin: 0;
    color: var(--_danger);
    font-size: var(--_size-small);
    font-weight: 550;
  }
  .check {
    display: flex;
    align-items: center;
    gap: var(--_space-2);
    font-weight: 600;
  }
  input[type="checkbox"] {
    width: 1.25rem;
    height: 1.25rem;
    flex: none;
    accent-color: var(--_accent);
  }
  .help {
    margin: 0;
  }
  summary {
    width: fit-content;
    padding: var(--_space-1) 0;
    border-radius: var(--_radius-small);
    color: var(--_text-muted);
    font-weight: 550;
    cursor: pointer;
  }
  details .fields,
  .fields.adapter {
    padding-top: var(--_space-3);
  }
  .rewards {
    display: grid;
    gap: var(--_space-2);
    margin: 0 0 var(--_space-3);
    padding: 0;
    list-style: none;
  }
  .rewards .pattern {
    display: grid;
    gap: var(--_space-1);
    max-width: 28rem;
    margin: var(--_space-1) 0 var(--_space-2) calc(1.25rem + var(--_space-2));
    font-size: var(--_size-small);
  }
  .rewards .help {
    margin-inline-start: calc(1.25rem + var(--_space-2));
  }
  .end {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: var(--_space-3) var(--_space-4);
  }
  .missing,
  .error {
    margin: 0;
    padding: var(--_space-3) var(--_space-4);
    border-radius: var(--_radius-small);
    background: var(--_sunken);
  }
  .error {
    background: var(--_danger-soft);
    color: var(--_danger);
    overflow-wrap: anywhere;
  }
`;
