/** Step 4: a person's feedback of every kind, who else gave some and how far they agree, and rules and judges that give it instead. */
import { css, html, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { choose } from "lit/directives/choose.js";
import type { FeedbackKind } from "../../src/feedback/headless";
import "../../src/feedback/elements/feedback";
import { viewIcons } from "../icons";
import { newQuestions } from "../questions";
import { counted } from "../steps";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import "../parts/feedback-summary";
import "../parts/judge-panel";

const KINDS: readonly { readonly kind: FeedbackKind; readonly title: string; readonly noun: string }[] = [
  { kind: "pair", title: "Compare", noun: "pair" },
  { kind: "ranking", title: "Rank", noun: "ranking" },
  { kind: "thumbs", title: "Thumbs", noun: "completion" },
  { kind: "stars", title: "Stars", noun: "completion" },
  { kind: "correction", title: "Correct", noun: "completion" },
  { kind: "demonstration", title: "Write", noun: "prompt" },
];

@customElement("studio-feedback-view")
export class FeedbackView extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      .kinds {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(6rem, 1fr));
        gap: var(--_space-2);
      }
      .kinds button {
        flex-direction: column;
        gap: 0;
        padding: var(--_space-2);
        line-height: 1.35;
      }
      .kinds .small {
        font-weight: 400;
      }
      .who {
        display: flex;
        align-items: center;
        gap: var(--_space-2);
      }
      .who input {
        width: 9rem;
      }
    `,
  ];

  @state() private kind: FeedbackKind = "pair";
  @state() private asksStrength = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#askFirst(this.kind);
  }

  protected override render() {
    const { session } = this.state;
    return html`
      <h1>Say what you prefer</h1>
      <p class="lead">Every answer becomes a row of a dataset. Choose how you like to judge; the keys work wherever you are on this page.</p>
      <div class="stack">
        ${session.prompts.length === 0 || session.completions.length === 0 ? this.#missing() : ""}
        ${session.prompts.length === 0 ? "" : this.#ask()}
        <studio-judge-panel .studio=${this.studio} .kind=${this.kind}></studio-judge-panel>
        <studio-feedback-summary .studio=${this.studio}></studio-feedback-summary>
      </div>
    `;
  }

  #missing() {
    const view = this.state.session.prompts.length === 0 ? "prompts" : "sample";
    return html`<div class="empty">
      ${viewIcons[view]}
      <h2>${view === "prompts" ? "Prompts come first" : "Nothing to judge yet"}</h2>
      <p>
        ${
          view === "prompts"
            ? "Feedback is about what the model makes of a prompt."
            : "Sample some completions, or choose Write and show the model yourself how it is done."
        }
      </p>
      <button class="primary" @click=${() => this.studio.go(view)}>${view === "prompts" ? "To the prompts" : "Sample completions"}</button>
    </div>`;
  }

  #ask(): TemplateResult {
    const { session } = this.state;
    const asked = this.studio.feedback(this.kind);
    const more = newQuestions(this.kind, session, asked);
    const noun = KINDS.find(({ kind }) => kind === this.kind)?.noun ?? "";
    return html`
      <div class="kinds" role="group" aria-label="Kind of feedback">
        ${KINDS.map(({ kind, title }) => {
          const { answered, skipped, total } = this.studio.feedback(kind).as(session.rater).progress;
          return html`<button aria-pressed=${kind === this.kind} @click=${() => this.#choose(kind)}>
            ${title}${total === 0 ? "" : html`<span class="small numbers">${answered + skipped} of ${total}</span>`}
          </button>`;
        })}
      </div>
      <section class="panel" aria-label="Your feedback">
        <div class="panel-head">
          <div class="who">
            <label for="rater" class="small muted">You are</label>
            <input id="rater" .value=${session.rater} maxlength="40" autocomplete="off" list="raters" @change=${this.#rename} />
            <datalist id="raters">${asked.raters.map((name) => html`<option value=${name}></option>`)}</datalist>
          </div>
          ${
            this.kind === "pair"
              ? html`<label class="row small"
                  ><input
                    type="checkbox"
                    .checked=${this.asksStrength}
                    @change=${(event: Event) => {
                      this.asksStrength = (event.target as HTMLInputElement).checked;
                    }}
                  />
                  Ask how much better</label
                >`
              : ""
          }
          ${
            more.length > 0 && asked.items.length > 0
              ? html`<button @click=${() => asked.add(...more)}>Ask about ${counted(more.length, `more ${noun}`)}</button>`
              : ""
          }
        </div>
        <trimtab-feedback .session=${asked} rater=${session.rater} shortcuts="page" ?strength=${this.asksStrength}>
          <div slot="empty">${choose(this.kind, [["demonstration", () => html`Add prompts first.`]], () => html`Sample completions first.`)}</div>
        </trimtab-feedback>
      </section>
    `;
  }

  #choose(kind: FeedbackKind): void {
    this.kind = kind;
    this.#askFirst(kind);
  }

  /** The first questions of a kind are asked without being asked for. */
  #askFirst(kind: FeedbackKind): void {
    const asked = this.studio.feedback(kind);
    if (asked.items.length === 0) asked.add(...newQuestions(kind, this.state.session, asked));
  }

  #rename(event: Event): void {
    const rater = (event.target as HTMLInputElement).value.trim();
    if (rater) this.studio.change(() => ({ rater }));
  }
}
