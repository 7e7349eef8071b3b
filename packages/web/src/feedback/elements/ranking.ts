/** `<trimtab-ranking>`: several completions put in order by dragging, by buttons or by keys; ties allowed. */
import { css, html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import Sortable from "sortablejs";
import { downIcon, gripIcon, upIcon } from "./icons";
import { ItemElement, type ShownCompletion } from "./item-element";
import { drop, move, orderOf, type RankingOrder, ranksOf, toggleTie } from "./ranking-order";
import { renderTurns } from "./turns";

/** Answers with RankingAnswer. Keys on a completion's handle: arrows move it, = ties it with the one above or unties; Enter elsewhere answers. */
@customElement("trimtab-ranking")
export class TrimtabRanking extends ItemElement {
  static override styles = [
    ItemElement.styles,
    css`
      ol {
        display: grid;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        position: relative;
        display: grid;
        grid-template-columns: auto 1fr auto;
        gap: var(--_space-3);
        align-items: start;
        padding: var(--_space-3);
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      li + li {
        margin-top: var(--_space-5);
      }
      li.tied {
        margin-top: 0;
        border-top-style: dashed;
        border-start-start-radius: 0;
        border-start-end-radius: 0;
      }
      li:has(+ li.tied) {
        border-bottom: 0;
        border-end-start-radius: 0;
        border-end-end-radius: 0;
      }
      li:has(:focus-visible) {
        border-color: var(--_accent);
      }
      .place {
        display: grid;
        place-items: center;
        width: 2.25rem;
        height: 2.25rem;
        border-radius: 50%;
        background: var(--_accent-soft);
        color: var(--_accent);
        font-weight: 650;
        font-variant-numeric: tabular-nums;
      }
      .content {
        min-width: 0;
        padding-block: 0.3rem;
      }
      .moves {
        display: flex;
        gap: var(--_space-1);
      }
      .moves button {
        min-width: 2.25rem;
        min-height: 2.25rem;
        padding: 0;
      }
      .grip {
        cursor: grab;
        touch-action: none;
      }
      .join {
        position: absolute;
        inset: calc(var(--_space-5) / -2 - 1px) auto auto 50%;
        translate: -50% -50%;
        min-height: 1.5rem;
        padding: 0 var(--_space-3);
        border-color: transparent;
        border-radius: 1rem;
        background: transparent;
        color: var(--_text-muted);
        font-size: var(--_size-small);
        line-height: 1.4;
      }
      .join:hover {
        border-color: var(--_accent);
        background: var(--_surface);
      }
      li.tied .join {
        top: 0;
        background: var(--_accent-soft);
        border-color: var(--_accent);
        color: var(--_accent);
      }
      .waiting {
        opacity: 0.35;
      }
      .dragged {
        opacity: 1 !important;
        border-color: var(--_accent);
        border-radius: var(--_radius);
        box-shadow: var(--_shadow);
      }
      .dragged .join,
      .waiting .join {
        visibility: hidden;
      }
      @container (max-width: 30rem) {
        li {
          grid-template-columns: auto 1fr;
        }
        .content {
          grid-row: 2;
          grid-column: 1 / -1;
          padding: 0 var(--_space-1) var(--_space-1);
        }
        .moves {
          justify-self: end;
        }
        .moves button {
          min-width: 2.75rem;
        }
      }
    `,
  ];

  @state() private groups: RankingOrder = [];
  @state() private said = "";

  @query("ol") private list!: HTMLElement;

  #sortable: Sortable | undefined;
  /** What is drawn after the dragged row, to put the row back where Lit left it. */
  #next: ChildNode | null = null;
  /** Whose handle gets the focus back once it has been moved. */
  #focused: number | undefined;

  protected readonly question = "Put the answers in order, the best first.";

  protected override begin(): void {
    const shown = this.shown.map(({ index }) => index);
    this.groups = this.draft?.kind === "ranking" ? orderOf(this.draft.ranks, shown) : shown.map((index) => [index]);
    this.said = "";
  }

  protected renderAsked(): TemplateResult {
    const shown = new Map(this.shown.map((completion) => [completion.index, completion]));
    const ranks = ranksOf(this.groups);
    const rows = this.groups.flatMap((group) =>
      group.map((index, place) => ({ ...(shown.get(index) as ShownCompletion), isTied: place > 0 })),
    );
    return html`
      <ol>${repeat(
        rows,
        ({ index }) => index,
        ({ index, letter, content, isTied }, place) => this.#row({ index, letter, content }, ranks[index] as number, place, isTied),
      )}</ol>
      <div class="actions">
        <button class="primary" aria-keyshortcuts="Enter" @click=${this.#save}>Save ranking <kbd aria-hidden="true">↵</kbd></button>
        <p class="hint keys">On a handle: <kbd>↑</kbd><kbd>↓</kbd> move, <kbd>=</kbd> tie with the one above</p>
      </div>
      <p class="hidden-visually" role="status">${this.said}</p>
    `;
  }

  #row({ index, letter, content }: ShownCompletion, rank: number, place: number, isTied: boolean): TemplateResult {
    const count = this.completions.length;
    const name = `answer ${letter}`;
    const keys = "ArrowUp ArrowDown =";
    return html`
      <li class=${isTied ? "tied" : ""} data-index=${index} aria-label="Answer ${letter}, rank ${rank}" @keydown=${this.#rowKeys}>
        ${
          place === 0
            ? nothing
            : html`<button class="join" tabindex="-1" aria-pressed=${isTied} @click=${() => this.#tie(index)}>
                <span aria-hidden="true">${isTied ? "= tied" : "= tie"}</span><span class="hidden-visually">Tie ${name} with the one above</span>
              </button>`
        }
        <span class="place" aria-hidden="true">${rank}</span>
        <div class="content">${renderTurns(content)}</div>
        <span class="moves">
          <button class="quiet" tabindex="-1" aria-label="Move ${name} up" ?disabled=${place === 0} @click=${() => this.#move(index, -1)}>${upIcon}</button>
          <button class="quiet" tabindex="-1" aria-label="Move ${name} down" ?disabled=${place === count - 1} @click=${() => this.#move(index, 1)}>${downIcon}</button>
          <button class="quiet grip" aria-label="Handle of ${name}, rank ${rank} of ${count}" aria-keyshortcuts=${keys}>${gripIcon}</button>
        </span>
      </li>
    `;
  }

  override press(key: string): boolean {
    if (key === "Enter") this.#save();
    else if (key === "ArrowDown" || key === "ArrowUp") return this.#focusHandle();
    return key === "Enter";
  }

  /** From the item as a whole to the first handle, or the last. */
  #focusHandle(): boolean {
    if (this.shadowRoot?.activeElement?.classList.contains("item") !== true) return false;
    this.renderRoot.querySelector<HTMLElement>(".grip")?.focus();
    return true;
  }

  readonly #rowKeys = (event: KeyboardEvent) => {
    if (this.shortcuts === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = Number((event.currentTarget as HTMLElement).dataset.index);
    if (event.key === "ArrowUp") this.#move(index, -1);
    else if (event.key === "ArrowDown") this.#move(index, 1);
    else if (event.key === "=") this.#tie(index);
    else return;
    event.preventDefault();
  };

  #move(index: number, by: -1 | 1): void {
    this.#change(move(this.groups, index, by), index);
  }

  #tie(index: number): void {
    this.#change(toggleTie(this.groups, index), index);
  }

  #change(groups: RankingOrder, index: number): void {
    this.groups = groups;
    const letter = this.shown.find((shown) => shown.index === index)?.letter;
    const tied = (groups.find((group) => group.includes(index))?.length ?? 1) > 1;
    this.said = `Answer ${letter}: rank ${ranksOf(groups)[index]} of ${this.completions.length}${tied ? ", tied" : ""}.`;
    const hasFocus = this.#handle(index)?.matches(":focus");
    this.#focused = hasFocus ? index : undefined;
  }

  #handle(index: number): HTMLElement | null {
    return this.renderRoot.querySelector<HTMLElement>(`li[data-index="${index}"] .grip`);
  }

  readonly #save = () => this.give({ kind: "ranking", ranks: ranksOf(this.groups) });

  override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    // A row that is moved in the document loses the focus.
    if (this.#focused !== undefined) this.#handle(this.#focused)?.focus();
    this.#focused = undefined;
    this.#sortable ??= Sortable.create(this.list, {
      handle: ".grip",
      draggable: "li",
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 160,
      forceFallback: true,
      fallbackTolerance: 3,
      ghostClass: "waiting",
      fallbackClass: "dragged",
      onStart: ({ item }) => {
        this.#next = item.nextSibling;
      },
      onEnd: ({ item, newDraggableIndex }) => {
        this.list.insertBefore(item, this.#next);
        const index = Number(item.dataset.index);
        if (newDraggableIndex !== undefined) this.#change(drop(this.groups, index, newDraggableIndex), index);
      },
    });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sortable?.destroy();
    this.#sortable = undefined;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "trimtab-ranking": TrimtabRanking;
  }
}
