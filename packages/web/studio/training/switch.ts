/** `<studio-switch>`: something that is on or off, with its label; fires `change` when it is asked to turn. */
import { css, html, LitElement } from "lit";
import { customElement, property } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";

@customElement("studio-switch")
export class StudioSwitch extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    css`
      :host {
        display: inline-block;
      }
      button {
        min-height: 2.25rem;
        padding: 0 var(--_space-1);
        border: 0;
        background: none;
        font-size: var(--_size-small);
      }
      button[aria-checked="true"] {
        background: none;
        color: var(--_text);
      }
      .track {
        position: relative;
        width: 2.125rem;
        height: 1.25rem;
        border: 1px solid var(--_border-control);
        border-radius: 1rem;
        background: var(--_sunken);
        transition: background-color var(--_duration);
      }
      .track::after {
        content: "";
        position: absolute;
        inset: 0.1875rem auto auto 0.1875rem;
        width: 0.75rem;
        height: 0.75rem;
        border-radius: 50%;
        background: var(--_border-control);
        transition: translate var(--_duration);
      }
      [aria-checked="true"] .track {
        border-color: var(--_accent);
        background: var(--_accent);
      }
      [aria-checked="true"] .track::after {
        background: var(--_accent-text);
        translate: 0.875rem 0;
      }
    `,
  ];

  @property({ type: Boolean }) checked = false;

  override render() {
    return html`<button type="button" role="switch" aria-checked=${this.checked} @click=${() => this.dispatchEvent(new Event("change"))}>
      <span class="track"></span><slot></slot>
    </button>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-switch": StudioSwitch;
  }
}
