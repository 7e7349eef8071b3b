/** `<trimtab-stars>`: how good a completion is, from one to five stars. */
import { css, html, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { starIcon } from "./icons";
import { ItemElement } from "./item-element";
import { renderTurns } from "./turns";

const WORDS = ["Poor", "Weak", "Fair", "Good", "Excellent"] as const;

/** Answers with StarsAnswer. Keys: 1 to 5. */
@customElement("trimtab-stars")
export class TrimtabStars extends ItemElement {
  static override styles = [
    ItemElement.styles,
    css`
      .stars {
        display: grid;
        grid-template-columns: repeat(5, minmax(0, 1fr));
        gap: var(--_space-2);
        max-width: 34rem;
      }
      .stars button {
        flex-direction: column;
        gap: var(--_space-1);
        padding: var(--_space-3) 0;
        border-color: transparent;
        background: transparent;
        font-size: var(--_size-small);
        font-weight: 500;
        color: var(--_text-muted);
      }
      .stars button:hover {
        border-color: transparent;
        background: var(--_accent-soft);
      }
      .icon.star {
        width: 2.25rem;
        height: 2.25rem;
        stroke-width: 1.1;
        transition: fill var(--_duration);
      }
      /* A star and all before it. */
      .stars button:hover .star,
      .stars button:has(~ button:hover) .star,
      .stars:not(:hover) button:focus-visible .star,
      .stars:not(:hover) button:has(~ button:focus-visible) .star {
        color: var(--_accent);
        fill: currentcolor;
      }
    `,
  ];

  protected readonly question = "How good is this answer?";

  protected renderAsked(): TemplateResult {
    const [shown] = this.shown;
    return html`
      <section class="card" aria-label="Answer">${renderTurns(shown?.content ?? "")}</section>
      <div class="stars">
        ${WORDS.map(
          (word, i) => html`
            <button aria-keyshortcuts=${i + 1} @click=${() => this.#rate(i + 1)}>
              ${starIcon}<span>${word}<span class="hidden-visually">, ${i + 1} of 5</span></span><kbd aria-hidden="true">${i + 1}</kbd>
            </button>
          `,
        )}
      </div>
    `;
  }

  override press(key: string): boolean {
    if (!/^[1-5]$/.test(key)) return false;
    this.#rate(Number(key));
    return true;
  }

  #rate(rating: number): void {
    this.give({ kind: "stars", rating });
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "trimtab-stars": TrimtabStars;
  }
}
