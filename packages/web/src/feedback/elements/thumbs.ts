/** `<trimtab-thumbs>`: whether a completion is liked. */
import { css, html, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { thumbDownIcon, thumbUpIcon } from "./icons";
import { ItemElement } from "./item-element";
import { renderTurns } from "./turns";

/** Answers with ThumbsAnswer. Keys: 1 is liked, 2 is not. */
@customElement("trimtab-thumbs")
export class TrimtabThumbs extends ItemElement {
  static override styles = [
    ItemElement.styles,
    css`
      .thumbs {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: var(--_space-4);
      }
      .thumbs button {
        min-height: 3.5rem;
      }
    `,
  ];

  protected readonly question = "Is this a good answer?";

  protected renderAsked(): TemplateResult {
    const [shown] = this.shown;
    return html`
      <section class="card" aria-label="Answer">${renderTurns(shown?.content ?? "")}</section>
      <div class="thumbs">
        <button aria-keyshortcuts="1" @click=${() => this.#say(true)}>${thumbUpIcon} Good <kbd aria-hidden="true">1</kbd></button>
        <button aria-keyshortcuts="2" @click=${() => this.#say(false)}>${thumbDownIcon} Bad <kbd aria-hidden="true">2</kbd></button>
      </div>
    `;
  }

  override press(key: string): boolean {
    if (key !== "1" && key !== "2") return false;
    this.#say(key === "1");
    return true;
  }

  #say(liked: boolean): void {
    this.give({ kind: "thumbs", liked });
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "trimtab-thumbs": TrimtabThumbs;
  }
}
