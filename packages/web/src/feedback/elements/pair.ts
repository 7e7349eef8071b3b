/** `<trimtab-pair>`: which of two completions is better, or neither; and by how much, where that is asked. */

import type { Turns } from "@trimtab/core";
import { css, html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { differences, type Parts } from "./differences";
import { ItemElement, type ShownCompletion } from "./item-element";
import { renderTurns } from "./turns";

/** Answers with PairAnswer. Keys: 1 and 2 choose, = is a tie; then, with `strengths`, a digit says by how much and Escape goes back. */
@customElement("trimtab-pair")
export class TrimtabPair extends ItemElement {
  static override styles = [
    ItemElement.styles,
    css`
      .pair {
        display: grid;
        gap: var(--_space-4);
      }
      @container (min-width: 40rem) {
        .pair {
          grid-template-columns: 1fr 1fr;
        }
      }
      .card {
        display: flex;
        flex-direction: column;
        gap: var(--_space-3);
        transition: border-color var(--_duration), box-shadow var(--_duration);
      }
      .card:has(button:hover),
      .card.chosen {
        border-color: var(--_accent);
        box-shadow: 0 0 0 1px var(--_accent);
      }
      .card button {
        width: 100%;
        margin-top: auto;
      }
      .content {
        padding-bottom: var(--_space-2);
      }
      .tie {
        justify-self: center;
        min-width: min(100%, 16rem);
      }
      .strengths {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
        gap: var(--_space-3);
      }
      .back {
        justify-self: start;
      }
    `,
  ];

  /** Words and what they are worth as margins, weakest first; asked after the choice. Default: not asked. */
  @property({ attribute: false }) strengths: Readonly<Record<string, number>> | undefined;

  @state() private chosen: ShownCompletion | undefined;

  protected override begin(): void {
    this.chosen = undefined;
  }

  protected get question(): string {
    return this.chosen ? `How much better is ${this.chosen.letter}?` : "Which answer is better?";
  }

  protected renderAsked(): TemplateResult {
    const [first, second] = this.shown;
    if (!first || !second) return html`${nothing}`;
    const different = differences(asText(first.content), asText(second.content));
    return html`
      <div class="pair">${this.#card(first, different?.[0], 1)}${this.#card(second, different?.[1], 2)}</div>
      ${this.chosen ? this.#strengths() : this.#tie()}
    `;
  }

  #card(shown: ShownCompletion, parts: Parts | undefined, key: number): TemplateResult {
    const { letter, content } = shown;
    const isChosen = this.chosen?.index === shown.index;
    return html`
      <section class="card ${isChosen ? "chosen" : ""}" aria-label="Answer ${letter}">
        <p class="label" aria-hidden="true">Answer ${letter}</p>
        <div class="content">${renderTurns(content, parts)}</div>
        <button aria-pressed=${isChosen} aria-keyshortcuts=${this.chosen ? nothing : key} @click=${() => this.#choose(shown)}>
          ${letter} is better ${this.chosen ? nothing : html`<kbd aria-hidden="true">${key}</kbd>`}
        </button>
      </section>
    `;
  }

  #tie(): TemplateResult {
    return html`<button class="tie" aria-keyshortcuts="=" @click=${this.#chooseTie}>About the same <kbd aria-hidden="true">=</kbd></button>`;
  }

  #strengths(): TemplateResult {
    return html`
      <div class="strengths" role="group" aria-labelledby="question">
        ${this.#words.map(
          ([word, margin], i) => html`<button aria-keyshortcuts=${i + 1} @click=${() => this.#grade(margin)}>
            ${gradeLabel(word)} <kbd aria-hidden="true">${i + 1}</kbd>
          </button>`,
        )}
      </div>
      <button class="quiet back" aria-keyshortcuts="Escape" @click=${this.#back}>Choose again <kbd aria-hidden="true">Esc</kbd></button>
    `;
  }

  get #words(): [word: string, margin: number][] {
    return Object.entries(this.strengths ?? {}).sort(([, a], [, b]) => a - b);
  }

  override press(key: string): boolean {
    if (this.chosen) {
      const strength = this.#words[Number(key) - 1];
      if (strength) this.#grade(strength[1]);
      else if (key === "Escape") this.#back();
      return strength !== undefined || key === "Escape";
    }
    const shown = key === "1" || key === "2" ? this.shown[Number(key) - 1] : undefined;
    if (shown) this.#choose(shown);
    else if (key === "=") this.#chooseTie();
    return shown !== undefined || key === "=";
  }

  #choose(shown: ShownCompletion): void {
    if (this.strengths) this.chosen = shown;
    else this.give({ kind: "pair", choice: shown.index as 0 | 1 });
  }

  readonly #chooseTie = () => this.give({ kind: "pair", choice: "tie" });

  #grade(margin: number): void {
    this.give({ kind: "pair", choice: this.chosen?.index as 0 | 1, margin });
  }

  readonly #back = () => {
    this.chosen = undefined;
    this.focus();
  };
}

/** The question says "better" already. */
const gradeLabel = (word: string): string => {
  const short = word.replace(/ better$/, "");
  return short.charAt(0).toUpperCase() + short.slice(1);
};

/** What is compared; conversations are shown without their differences. */
const asText = (content: Turns): string => (typeof content === "string" ? content : "");

declare global {
  interface HTMLElementTagNameMap {
    "trimtab-pair": TrimtabPair;
  }
}
