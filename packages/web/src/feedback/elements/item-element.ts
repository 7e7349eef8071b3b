/** What the elements of all kinds have in common: they show a prompt and completions, and send an `answer` event. */
import type { Turns } from "@trimtab/core";
import { type CSSResultGroup, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { FeedbackAnswer } from "../answers";
import { controls } from "../controls";
import type { FeedbackCompletion } from "../items";
import { elementTokens } from "../theme";
import { itemStyles } from "./item-styles";
import { type ShortcutHost, type ShortcutScope, Shortcuts } from "./shortcuts";
import { renderTurns } from "./turns";

/** Fired by the element of a kind when its question has been answered; bubbles within its tree. */
export type AnswerEvent<Answer extends FeedbackAnswer = FeedbackAnswer> = CustomEvent<Answer>;

/** A completion at its place on the screen. */
export interface ShownCompletion {
  /** In `completions`. */
  readonly index: number;
  /** A, B, C, ... by place. */
  readonly letter: string;
  readonly content: Turns;
}

export abstract class ItemElement extends LitElement implements ShortcutHost {
  static override styles: CSSResultGroup = [elementTokens, controls, itemStyles];

  @property() prompt: Turns = "";
  /** Texts or completions; answers speak of them by index. */
  @property({ attribute: false }) completions: readonly (string | FeedbackCompletion)[] = [];
  /** The index of the completion at each place. Default: as they come. (K) */
  @property({ attribute: false, hasChanged: (value, old) => String(value) !== String(old) }) order: readonly number[] | undefined;
  /** An answer to begin with, e.g. one that was taken back. */
  @property({ attribute: false }) draft: FeedbackAnswer | undefined;
  @property({ reflect: true }) shortcuts: ShortcutScope = "focus";

  constructor() {
    super();
    new Shortcuts(this);
  }

  /** What is asked. */
  protected abstract readonly question: string;
  protected abstract renderAsked(): TemplateResult;
  /** Sets what the person has entered so far to the draft or to nothing. */
  protected begin(): void {}

  press(_key: string): boolean {
    return false;
  }

  /** Puts the focus on the item as a whole, so that its keys work and it is read out. */
  override focus(options?: FocusOptions): void {
    this.renderRoot.querySelector<HTMLElement>(".item")?.focus(options);
  }

  protected get shown(): readonly ShownCompletion[] {
    const order = this.order ?? this.completions.map((_, i) => i);
    return order.map((index, place) => {
      const completion = this.completions[index] as string | FeedbackCompletion;
      const content = typeof completion === "string" ? completion : completion.content;
      return { index, letter: String.fromCharCode("A".charCodeAt(0) + place), content };
    });
  }

  protected give(answer: FeedbackAnswer): void {
    this.dispatchEvent(new CustomEvent("answer", { detail: answer, bubbles: true }));
  }

  protected override willUpdate(changed: PropertyValues<ItemElement>): void {
    if ((["prompt", "completions", "order", "draft"] as const).some((name) => changed.has(name))) this.begin();
  }

  protected override render(): TemplateResult {
    return html`
      <div class="item" role="group" aria-labelledby="question" tabindex="-1">
        <div class="prompt">
          <p class="label" id="prompt-label">Prompt</p>
          <div>${renderTurns(this.prompt)}</div>
        </div>
        <div class="ask">
          <p class="question" id="question">${this.question}</p>
          ${this.renderAsked()}
        </div>
      </div>
    `;
  }
}
