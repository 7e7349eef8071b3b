/** What the feedback amounts to: rows by format, who gave it, and how far they agree. */
import { css, html } from "lit";
import { customElement } from "lit/decorators.js";
import { FEEDBACK_FORMATS, FEEDBACK_KINDS, type FeedbackFormat } from "../../src/feedback/headless";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";

const FORMATS: Readonly<Record<FeedbackFormat, string>> = {
  preference: "preferences: reward model, DPO",
  unpaired: "liked or not: KTO",
  ranked: "ranked lists: reward model",
  rated: "ratings: reward model",
  correction: "corrections",
  sft: "demonstrations: SFT",
};

@customElement("studio-feedback-summary")
export class FeedbackSummary extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      table {
        width: 100%;
        border-collapse: collapse;
      }
      th,
      td {
        padding: var(--_space-2) var(--_space-2) var(--_space-2) 0;
        border-bottom: 1px solid var(--_border);
        font-weight: 400;
        text-align: start;
      }
      tr:last-child > * {
        border-bottom: 0;
      }
      td {
        width: 1%;
        text-align: end;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      thead th {
        font-size: var(--_size-small);
        font-weight: 600;
        color: var(--_text-muted);
      }
      thead th:not(:first-child) {
        text-align: end;
      }
    `,
  ];

  protected override render() {
    const { datasets } = this.state;
    const formats = FEEDBACK_FORMATS.filter((format) => datasets[format].length > 0);
    if (formats.length === 0) return "";
    return html`<div class="two">
      <section class="panel" aria-labelledby="rows">
        <h2 id="rows">What there is to learn from</h2>
        <table>
          <thead>
            <tr>
              <th scope="col">As</th>
              <th scope="col">Rows</th>
            </tr>
          </thead>
          <tbody>
            ${formats.map(
              (format) => html`<tr>
                <th scope="row">${FORMATS[format]}</th>
                <td>${datasets[format].length}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </section>
      ${this.#raters()}
    </div>`;
  }

  #raters() {
    const { feedback } = this.state.session;
    const counts = new Map<string, number>();
    for (const kind of FEEDBACK_KINDS) {
      for (const { name, done } of feedback[kind].raters) {
        const answered = done.filter(({ answer }) => answer !== null).length;
        if (answered > 0) counts.set(name, (counts.get(name) ?? 0) + answered);
      }
    }
    return html`<section class="panel" aria-labelledby="raters">
      <h2 id="raters">Who said so</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Rater</th>
            <th scope="col">Answers</th>
          </tr>
        </thead>
        <tbody>
          ${[...counts].map(
            ([name, count]) => html`<tr>
              <th scope="row" class="break">${name}</th>
              <td>${count}</td>
            </tr>`,
          )}
        </tbody>
      </table>
      ${this.#agreement()}
    </section>`;
  }

  #agreement() {
    const measured = (["pair", "ranking", "thumbs", "stars"] as const)
      .map((kind) => ({ kind, ...this.studio.feedback(kind).agreement(kind) }))
      .filter(({ units }) => units > 0);
    if (measured.length === 0) return html`<p class="small muted">Where two raters judge the same, it says here how far they agree.</p>`;
    return html`<table>
        <thead>
          <tr>
            <th scope="col">Agreement</th>
            <th scope="col">Both</th>
            <th scope="col">Equal</th>
            <th scope="col"><abbr title="Krippendorff's alpha: 1 is perfect, 0 is chance">α</abbr></th>
          </tr>
        </thead>
        <tbody>
          ${measured.map(
            ({ kind, units, percent, alpha }) => html`<tr>
              <th scope="row">${KIND_WORDS[kind]}</th>
              <td>${units}</td>
              <td>${(100 * percent).toFixed(0)} %</td>
              <td>${Number.isNaN(alpha) ? "–" : alpha.toFixed(2)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
      <p class="small muted">α is Krippendorff's: 1 is perfect, 0 is what chance would give.</p>`;
  }
}

const KIND_WORDS = { pair: "Comparing two", ranking: "Ranking", thumbs: "Thumbs", stars: "Stars" } as const;
