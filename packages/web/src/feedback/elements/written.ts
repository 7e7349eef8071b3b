/** `<trimtab-correction>` and `<trimtab-demonstration>`: a completion made better, or written from nothing. */
import { css, html, nothing, type TemplateResult } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { lastText } from "../items";
import { ItemElement } from "./item-element";
import { renderTurns } from "./turns";

/** A text field and a button; Control or Command with Enter answers, Escape leaves the field so that the other keys work. */
abstract class WrittenElement extends ItemElement {
  static override styles = [
    ItemElement.styles,
    css`
      textarea {
        display: block;
        min-height: 8rem;
        max-height: 70vh;
        border-radius: var(--_radius);
        padding: var(--_space-4) var(--_space-5);
        field-sizing: content;
        line-height: inherit;
        tab-size: 4;
      }
      textarea:focus-visible {
        outline-offset: -1px;
      }
      @container (max-width: 30rem) {
        textarea {
          padding: var(--_space-3) var(--_space-4);
        }
      }
    `,
  ];

  @state() protected text = "";

  @query("textarea") private field!: HTMLTextAreaElement;

  protected abstract readonly label: string;
  protected abstract readonly saveLabel: string;
  /** What the field begins with. */
  protected abstract readonly original: string;
  protected abstract readonly isReady: boolean;
  protected abstract save(): void;
  protected renderAbove(): TemplateResult | typeof nothing {
    return nothing;
  }

  protected override begin(): void {
    this.text = this.original;
  }

  protected renderAsked(): TemplateResult {
    return html`
      ${this.renderAbove()}
      <textarea aria-label=${this.label} aria-describedby="keys" dir="auto" .value=${this.text} @input=${this.#input} @keydown=${this.#keys}></textarea>
      <div class="actions">
        <button class="primary" ?disabled=${!this.isReady} aria-keyshortcuts="Control+Enter" @click=${this.#save}>${this.saveLabel}</button>
        ${this.text === this.original ? nothing : html`<button class="quiet" @click=${this.#reset}>Start over</button>`}
        <p class="hint keys" id="keys"><kbd>Ctrl</kbd> <kbd>↵</kbd> save, <kbd>Esc</kbd> leave the field</p>
      </div>
    `;
  }

  override press(key: string): boolean {
    if (key !== "Enter") return false;
    this.field.focus();
    return true;
  }

  readonly #save = () => {
    if (this.isReady) this.save();
  };

  readonly #reset = () => {
    this.text = this.original;
    this.field.focus();
  };

  readonly #input = () => {
    this.text = this.field.value;
  };

  readonly #keys = (event: KeyboardEvent) => {
    if (event.isComposing || this.shortcuts === "off") return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#save();
    else if (event.key === "Escape") this.focus();
    else return;
    event.preventDefault();
  };
}

/** Answers with CorrectionAnswer, once the text has been changed. */
@customElement("trimtab-correction")
export class TrimtabCorrection extends WrittenElement {
  protected readonly question = "Correct the answer.";
  protected readonly label = "The answer as it should be";
  protected readonly saveLabel = "Save correction";

  protected get original(): string {
    const [shown] = this.shown;
    return lastText(shown?.content ?? "");
  }

  protected get isReady(): boolean {
    return this.text !== this.original;
  }

  protected override begin(): void {
    this.text = this.draft?.kind === "correction" ? this.draft.edited : this.original;
  }

  /** The messages before the one that is edited. */
  protected override renderAbove(): TemplateResult | typeof nothing {
    const [shown] = this.shown;
    const earlier = Array.isArray(shown?.content) ? shown.content.slice(0, -1) : [];
    return earlier.length > 0 ? html`<section class="card" aria-label="Answer up to here">${renderTurns(earlier)}</section>` : nothing;
  }

  protected save(): void {
    this.give({ kind: "correction", edited: this.text });
  }
}

/** Answers with DemonstrationAnswer, once there is a text. */
@customElement("trimtab-demonstration")
export class TrimtabDemonstration extends WrittenElement {
  protected readonly question = "Write the best answer you can.";
  protected readonly label = "Your answer";
  protected readonly saveLabel = "Save answer";
  protected readonly original = "";

  protected get isReady(): boolean {
    return this.text.trim() !== "";
  }

  protected override begin(): void {
    this.text = this.draft?.kind === "demonstration" ? this.draft.text : "";
  }

  protected save(): void {
    this.give({ kind: "demonstration", text: this.text });
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "trimtab-correction": TrimtabCorrection;
    "trimtab-demonstration": TrimtabDemonstration;
  }
}
