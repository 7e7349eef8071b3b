/** `<trimtab-feedback>`: takes a person through a session, item by item, with progress, skip, undo and redo. */
import { LLAMA2_STRENGTHS, type Turns } from "@trimtab/core";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { keyed } from "lit/directives/keyed.js";
import { literal, html as staticHtml } from "lit/static-html.js";
import type { Feedback } from "../answers";
import { controls } from "../controls";
import { type FeedbackCompletion, type FeedbackItem, type FeedbackKind, feedbackItems } from "../items";
import type { FeedbackProgress, FeedbackRater } from "../rater";
import { FeedbackSession } from "../session";
import { elementTokens } from "../theme";
import { doneIcon, redoIcon, skipIcon, undoIcon } from "./icons";
import type { AnswerEvent, ItemElement } from "./item-element";
import { itemStyles } from "./item-styles";
import { type ShortcutHost, type ShortcutScope, Shortcuts } from "./shortcuts";
import "./pair";
import "./ranking";
import "./stars";
import "./thumbs";
import "./written";

/** Fired on every answer, with the item and the answer. */
export type FeedbackEvent = CustomEvent<Feedback>;

const tags = {
  ranking: literal`trimtab-ranking`,
  thumbs: literal`trimtab-thumbs`,
  stars: literal`trimtab-stars`,
  correction: literal`trimtab-correction`,
  demonstration: literal`trimtab-demonstration`,
};

/**
 * Give it a `session`, or `kind`, `prompt` and `completions`: each new `completions` adds items to a session of its own. Events: `feedback`
 * on every answer. Slots: `empty` before there is any item, `done` when all have been seen. Keys, besides those of the item: s skips, z takes
 * back, Z (or y) puts back.
 */
@customElement("trimtab-feedback")
export class TrimtabFeedback extends LitElement implements ShortcutHost {
  static override styles = [
    elementTokens,
    controls,
    itemStyles,
    css`
      .frame {
        display: grid;
        gap: var(--_space-5);
        outline: none;
      }
      .bar {
        display: grid;
        grid-template-columns: auto minmax(0, 10rem) 1fr;
        gap: var(--_space-2) var(--_space-4);
        align-items: center;
      }
      .count {
        font-size: var(--_size-small);
        color: var(--_text-muted);
        font-variant-numeric: tabular-nums;
      }
      progress {
        appearance: none;
        width: 100%;
        height: 0.375rem;
        border: 0;
        border-radius: 1rem;
        overflow: hidden;
        background: var(--_border);
      }
      progress::-webkit-progress-bar {
        background: var(--_border);
      }
      progress::-webkit-progress-value {
        border-radius: 1rem;
        background: var(--_accent);
        transition: inline-size var(--_duration);
      }
      progress::-moz-progress-bar {
        border-radius: 1rem;
        background: var(--_accent);
      }
      .steps {
        display: flex;
        justify-content: end;
        gap: var(--_space-1);
        margin-inline-end: calc(-1 * var(--_space-3));
      }
      .steps button {
        padding-inline: var(--_space-3);
        font-size: var(--_size-small);
      }
      @container (max-width: 36rem) {
        .frame {
          gap: var(--_space-4);
        }
        .bar {
          grid-template-columns: auto 1fr;
        }
        progress {
          grid-row: 2;
          grid-column: 1 / -1;
        }
      }
      .end {
        display: grid;
        justify-items: center;
        gap: var(--_space-3);
        padding: var(--_space-6) var(--_space-5);
        border-radius: var(--_radius);
        background: var(--_sunken);
        text-align: center;
      }
      .end p {
        margin: 0;
      }
      .end .question + p {
        color: var(--_text-muted);
      }
      .end .icon {
        width: 3rem;
        height: 3rem;
        padding: 0.75rem;
        border-radius: 50%;
        background: var(--_accent-soft);
        color: var(--_accent);
      }
      @media (prefers-reduced-motion: no-preference) {
        .current {
          animation: appear calc(2 * var(--_duration)) ease-out;
        }
      }
      @keyframes appear {
        from {
          opacity: 0;
          translate: 0 0.375rem;
        }
      }
    `,
  ];

  /** What is asked and answered. Default: an empty session with a random seed. */
  @property({ attribute: false }) session = new FeedbackSession({ seed: crypto.getRandomValues(new Uint32Array(1))[0] });
  /** Who answers. */
  @property() rater = "person";
  /** What is asked of `completions`. */
  @property() kind: FeedbackKind = "pair";
  @property() prompt: Turns = "";
  @property({ attribute: false }) completions: readonly (string | FeedbackCompletion)[] | undefined;
  /** Asks of pairs how much better the better one is, in Llama 2's four words. */
  @property({ type: Boolean }) strength = false;
  @property({ reflect: true }) shortcuts: ShortcutScope = "focus";

  @state() private said = "";

  @query(".current") private current!: ItemElement | null;
  @query(".frame") private frame!: HTMLElement;

  #unsubscribe = () => {};

  constructor() {
    super();
    new Shortcuts(this);
  }

  /** Puts the focus on the current item, so that its keys work. */
  override focus(options?: FocusOptions): void {
    (this.current ?? this.frame).focus(options);
  }

  press(key: string): boolean {
    if (key === "s") this.#skip();
    else if (key === "z") this.#undo();
    else if (key === "Z" || key === "y") this.#redo();
    else return this.shortcuts === "page" && (this.current?.press(key) ?? false);
    return true;
  }

  get #rater(): FeedbackRater {
    return this.session.as(this.rater);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#watch();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unsubscribe();
  }

  #watch(): void {
    this.#unsubscribe();
    this.#unsubscribe = this.session.subscribe(() => this.requestUpdate());
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("session")) this.#watch();
    if (changed.has("completions") && this.completions) this.session.add(...feedbackItems(this.kind, this.prompt, this.completions));
  }

  protected override render(): TemplateResult {
    const rater = this.#rater;
    const { current, progress } = rater;
    const seen = progress.answered + progress.skipped;
    return html`
      <div class="frame" tabindex="-1">
        ${progress.total === 0 ? nothing : this.#bar(rater, seen, progress.total)}
        ${current ? keyed(`${this.rater} ${current.id}`, this.#item(rater, current)) : this.#end(progress)}
        <p class="hidden-visually" role="status">${this.said}</p>
      </div>
    `;
  }

  #bar({ canUndo, canRedo, current }: FeedbackRater, seen: number, total: number): TemplateResult {
    return html`
      <div class="bar">
        <span class="count">${Math.min(seen + 1, total)} of ${total}</span>
        <progress aria-label="Items seen" value=${seen} max=${total}></progress>
        <div class="steps">
          <button class="quiet" ?disabled=${!canUndo} aria-keyshortcuts="z" @click=${this.#undo}>${undoIcon} Undo <kbd aria-hidden="true">z</kbd></button>
          ${canRedo ? html`<button class="quiet" aria-keyshortcuts="y" @click=${this.#redo}>${redoIcon} Redo <kbd aria-hidden="true">y</kbd></button>` : nothing}
          <button class="quiet" ?disabled=${!current} aria-keyshortcuts="s" @click=${this.#skip}>${skipIcon} Skip <kbd aria-hidden="true">s</kbd></button>
        </div>
      </div>
    `;
  }

  #item(rater: FeedbackRater, item: FeedbackItem): unknown {
    const { kind, prompt, completions } = item;
    const [order, draft] = [rater.order(item), rater.takenBack(item)];
    const answer = (event: AnswerEvent) => this.#answer(item, event);
    if (kind === "pair") {
      return html`<trimtab-pair
        class="current" .prompt=${prompt} .completions=${completions} .order=${order} .shortcuts=${this.shortcuts} @answer=${answer}
        .strengths=${this.strength ? LLAMA2_STRENGTHS : undefined}
      ></trimtab-pair>`;
    }
    return staticHtml`<${tags[kind]}
      class="current" .prompt=${prompt} .completions=${completions} .order=${order} .draft=${draft} .shortcuts=${this.shortcuts} @answer=${answer}
    ></${tags[kind]}>`;
  }

  #end({ answered, skipped, total }: FeedbackProgress): TemplateResult {
    if (total === 0) {
      return html`<slot name="empty"><div class="end">
        <p class="question">Nothing to judge yet</p><p>Answers appear here as they come.</p>
      </div></slot>`;
    }
    return html`<slot name="done"><div class="end">
      ${doneIcon}<p class="question">All done</p><p>${answered} answered${skipped > 0 ? `, ${skipped} skipped` : ""}. Thank you.</p>
    </div></slot>`;
  }

  #answer(item: FeedbackItem, event: AnswerEvent): void {
    event.stopPropagation();
    this.#step("Saved.", () => {
      const { rater, order } = this.#rater.answer(event.detail, item);
      const detail: Feedback = { item, answer: event.detail, rater, order };
      this.dispatchEvent(new CustomEvent("feedback", { detail, bubbles: true, composed: true }));
    });
  }

  readonly #skip = () => {
    if (this.#rater.current) this.#step("Skipped.", () => this.#rater.skip());
  };

  readonly #undo = () => {
    if (this.#rater.canUndo) this.#step("Taken back.", () => this.#rater.undo());
  };

  readonly #redo = () => {
    if (this.#rater.canRedo) this.#step("Put back.", () => this.#rater.redo());
  };

  /** Goes on to another item: says so, and keeps the focus where the keys work. */
  #step(said: string, act: () => void): void {
    const hasFocus = this.matches(":focus-within");
    act();
    const { current, progress } = this.#rater;
    const place = current ? `${progress.answered + progress.skipped + 1} of ${progress.total}.` : "All done.";
    this.said = `${said} ${place}`;
    if (hasFocus) void this.updateComplete.then(() => this.focus());
  }

  protected override async getUpdateComplete(): Promise<boolean> {
    const isSettled = await super.getUpdateComplete();
    await this.current?.updateComplete;
    return isSettled;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "trimtab-feedback": TrimtabFeedback;
  }
  interface HTMLElementEventMap {
    feedback: FeedbackEvent;
  }
}
