/** `<studio-token-text>`: a completion token by token, shaded by a measure; the values of each under the pointer or the arrow keys. */
import type { EngineToken } from "@trimtab/core";
import { css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import { QueuedElement } from "./animation-frame";
import { shadeColours } from "./palette";
import { describeToken, type Measure, measured, shadeClass, shadeOf } from "./token-measures";

@customElement("studio-token-text")
export class StudioTokenText extends QueuedElement {
  static override styles = [
    elementTokens,
    controls,
    shadeColours,
    css`
      :host {
        position: relative;
      }
      [role="listbox"] {
        border-radius: var(--_radius-small);
        line-height: 1.85;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      [role="option"] {
        padding: 0.14em 0;
        border-radius: 0.2rem;
        box-decoration-break: clone;
        -webkit-box-decoration-break: clone;
      }
      [role="option"][aria-selected="true"] {
        outline: 2px solid var(--_text);
        outline-offset: 0;
      }
      .tip {
        position: absolute;
        z-index: 2;
        display: grid;
        grid-template-columns: auto auto;
        gap: 0 var(--_space-3);
        width: max-content;
        max-width: min(17rem, 100%);
        padding: var(--_space-2) var(--_space-3);
        border: 1px solid var(--_border);
        border-radius: var(--_radius-small);
        background: var(--_surface);
        box-shadow: var(--_shadow);
        font-size: var(--_size-small);
        line-height: 1.5;
        pointer-events: none;
      }
      .tip code {
        grid-column: 1 / -1;
        font-family: var(--_font-mono);
        overflow-wrap: anywhere;
      }
      .tip span {
        color: var(--_text-muted);
      }
      .tip b {
        text-align: end;
        font-weight: 600;
        font-variant-numeric: tabular-nums;
      }
    `,
  ];

  @property({ attribute: false }) tokens: readonly EngineToken[] = [];
  @property() measure: Measure = "none";
  /** The value with the strongest shade. */
  @property({ type: Number }) scale = 1;
  /** What the text is, for a screen reader. */
  @property() label = "Tokens";

  /** The token that the pointer or the keys are at. */
  @state() private at: number | undefined;
  @query(".tip") private readonly tip!: HTMLElement | null;

  override render() {
    return html`<div
        role="listbox"
        tabindex="0"
        aria-orientation="horizontal"
        aria-label=${this.label}
        aria-activedescendant=${this.at === undefined ? nothing : `token-${this.at}`}
        @keydown=${this.#onKey}
        @focus=${() => (this.at ??= 0)}
        @blur=${() => (this.at = undefined)}
        @pointerleave=${() => (this.at = undefined)}
      >${this.tokens.map((token, i) => this.#token(token, i))}</div>
      ${this.at === undefined ? nothing : this.#tip(this.tokens[this.at])}`;
  }

  #token(token: EngineToken, i: number) {
    const { measure } = this;
    const value = measure === "none" ? undefined : measured(token, measure);
    const shade = value === undefined || measure === "none" ? "" : shadeClass(shadeOf(value, measure, this.scale), measure);
    const words = describeToken(token).map(([name, said]) => `${name} ${said}`);
    return html`<span
      id="token-${i}"
      role="option"
      class=${shade || nothing}
      aria-selected=${this.at === i}
      aria-label=${`${visible(token.text)}: ${words.join(", ")}`}
      @pointerenter=${() => (this.at = i)}
      @pointerdown=${() => (this.at = i)}
      >${shown(token)}</span
    >`;
  }

  #tip(token: EngineToken | undefined) {
    if (!token) return nothing;
    return html`<div class="tip" aria-hidden="true">
      <code>${visible(token.text)}</code>${describeToken(token).map(([name, value]) => html`<span>${name}</span><b>${value}</b>`)}
    </div>`;
  }

  /** Under its token, within the text's width; positions are set through CSSOM, which a strict policy allows. */
  override updated(): void {
    const { tip } = this;
    const token = this.at === undefined ? null : this.renderRoot.querySelector(`#token-${this.at}`);
    if (!tip || !token) return;
    const own = this.getBoundingClientRect();
    const rects = token.getClientRects();
    const rect = rects[rects.length - 1] ?? token.getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(rect.left - own.left, own.width - tip.offsetWidth))}px`;
    tip.style.top = `${rect.bottom - own.top + 6}px`;
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.tokens.length - 1;
    const at = this.at ?? 0;
    if (event.key === "Escape") {
      this.at = undefined;
      return;
    }
    const next = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.at = Math.max(0, Math.min(last, next));
  }
}

/** Line ends keep breaking the line, and can be pointed at. A special token is no text: a mark stands for it, and its name where it is described. */
function shown({ text, isSpecial }: EngineToken): string {
  return isSpecial ? "⊣" : text.replaceAll("\n", "↵\n");
}

/** White space made visible. */
function visible(text: string): string {
  if (text === "") return "part of a character";
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "·");
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-token-text": StudioTokenText;
  }
}
