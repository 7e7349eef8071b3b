/** `<studio-segments>`: one of a few choices in a row, as radio buttons with arrow keys; fires `change` and has the new `value` then. */
import { css, html, LitElement } from "lit";
import { customElement, property } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";

export type Segment = readonly [value: string, label: string];

@customElement("studio-segments")
export class StudioSegments extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    css`
      :host {
        width: fit-content;
        max-width: 100%;
      }
      div {
        display: flex;
        flex-wrap: wrap;
        gap: var(--_space-1);
        padding: 0.1875rem;
        border-radius: calc(var(--_radius-small) + 0.1875rem);
        background: light-dark(#e6ebee, #0b1115);
      }
      button {
        min-height: 2.25rem;
        padding: 0 var(--_space-3);
        border-color: transparent;
        background: none;
        font-size: var(--_size-small);
      }
      button[aria-checked="true"] {
        border-color: var(--_border-control);
        background: var(--_surface);
        color: var(--_text);
      }
    `,
  ];

  @property({ attribute: false }) choices: readonly Segment[] = [];
  @property() value = "";
  @property() label = "";

  override render() {
    return html`<div role="radiogroup" aria-label=${this.label} @keydown=${this.#onKey}>
      ${this.choices.map(
        ([value, label]) =>
          html`<button
            type="button"
            role="radio"
            aria-checked=${value === this.value}
            tabindex=${value === this.value ? 0 : -1}
            @click=${() => this.#choose(value)}
          >
            ${label}
          </button>`,
      )}
    </div>`;
  }

  #choose(value: string): void {
    if (value === this.value) return;
    this.value = value;
    this.dispatchEvent(new Event("change"));
  }

  #onKey(event: KeyboardEvent): void {
    const move = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const at = this.choices.findIndex(([value]) => value === this.value);
    const next = this.choices[(at + move + this.choices.length) % this.choices.length];
    if (next) this.#choose(next[0]);
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>('[aria-checked="true"]')?.focus());
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-segments": StudioSegments;
  }
}
