/** Lets a rule, a reward model of the session or an endpoint answer the questions of a kind in a person's place. */
import { endpointPairwiseJudge, endpointRatingJudge, ratingJudge } from "@trimtab/core";
import { css, html } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { type AskJudgeOptions, askJudge, type FeedbackJudge, type FeedbackKind } from "../../src/feedback/headless";
import { RULES, type RuleName, ruleJudge } from "../rules";
import { counted } from "../steps";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";

const ENDPOINT = "endpoint";

@customElement("studio-judge-panel")
export class JudgePanel extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      form {
        display: grid;
        gap: var(--_space-4);
        margin-top: var(--_space-4);
      }
      .fields {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr));
        gap: var(--_space-4);
      }
    `,
  ];

  @property() kind: FeedbackKind = "pair";
  /** A rule's name, "endpoint", or a reward model's id. */
  @state() private judge = "length";
  @state() private words = 12;
  @state() private list = "peace, freedom, hope, together, strong, good, great, better";
  @state() private baseUrl = "http://localhost:11434/v1";
  @state() private model = "";
  @state() private isAsking = false;

  protected override render() {
    if (this.kind === "correction" || this.kind === "demonstration") return "";
    const { models } = this.state.session;
    const total = this.studio.feedback(this.kind).items.length;
    if (total === 0) return "";
    return html`<details class="panel">
      <summary>Or let a rule or a judge answer</summary>
      <form @submit=${this.#ask}>
        <div class="fields">
          <div class="field">
            <label for="judge">Who judges</label>
            <select
              id="judge"
              @change=${(event: Event) => {
                this.judge = (event.target as HTMLSelectElement).value;
              }}
            >
              <optgroup label="Rules">
                ${Object.entries(RULES).map(([name, title]) => html`<option value=${name} ?selected=${name === this.judge}>${title}</option>`)}
              </optgroup>
              <optgroup label="Models">
                ${models
                  .filter(({ kind }) => kind === "score")
                  .map(({ id, name }) => html`<option value=${id} ?selected=${id === this.judge}>${name}</option>`)}
                <option value=${ENDPOINT} ?selected=${this.judge === ENDPOINT}>A model at an endpoint</option>
              </optgroup>
            </select>
          </div>
          ${this.#settings()}
        </div>
        <div class="row spread">
          <p class="muted small">It is a rater of its own: your answers stay yours, and you see how far you agree.</p>
          <button type="submit" ?disabled=${this.isAsking}>${this.isAsking ? "Judging…" : "Let it judge"}</button>
        </div>
      </form>
    </details>`;
  }

  #settings() {
    if (this.judge === "words") {
      return this.#text("list", "Welcome words", this.list);
    }
    if (this.judge === "length") {
      return html`<div class="field">
        <label for="words">Best number of words</label>
        <input
          id="words"
          type="number"
          min="1"
          max="500"
          required
          .value=${String(this.words)}
          @change=${(event: Event) => {
            this.words = Math.max(1, (event.target as HTMLInputElement).valueAsNumber || 1);
          }}
        />
      </div>`;
    }
    if (this.judge !== ENDPOINT) return "";
    return html`${this.#text("baseUrl", "Address, up to its version", this.baseUrl)} ${this.#text("model", "Model", this.model)}
      <div class="field">
        <label for="key">API key, if it needs one</label>
        <input id="key" name="key" type="password" autocomplete="off" aria-describedby="key-hint" />
        <span class="hint" id="key-hint">Used for this and never kept. Prompts and completions are sent to that address.</span>
      </div>`;
  }

  #text(name: "list" | "baseUrl" | "model", label: string, value: string) {
    return html`<div class="field">
      <label for=${name}>${label}</label>
      <input
        id=${name}
        required
        autocomplete="off"
        spellcheck="false"
        .value=${value}
        @change=${(event: Event) => {
          this[name] = (event.target as HTMLInputElement).value;
        }}
      />
    </div>`;
  }

  async #ask(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const key = String(new FormData(event.target as HTMLFormElement).get("key") ?? "");
    this.isAsking = true;
    try {
      const { judge, options } = await this.#chosen(key);
      const answered = await askJudge(this.studio.feedback(this.kind), judge, options);
      this.studio.notify("done", `${judge.name}: ${counted(answered, "answer")}.`);
    } catch (error) {
      this.studio.notify("error", (error as Error).message);
    } finally {
      this.isAsking = false;
    }
  }

  async #chosen(apiKey: string): Promise<{ readonly judge: FeedbackJudge; readonly options?: AskJudgeOptions }> {
    if (Object.hasOwn(RULES, this.judge)) {
      return { judge: ruleJudge({ rule: this.judge as RuleName, words: this.words, list: this.list }), options: { scale: [0, 1] } };
    }
    if (this.judge === ENDPOINT) {
      const endpoint = { baseUrl: this.baseUrl, model: this.model, name: this.model, ...(apiKey ? { apiKey } : {}) };
      if (this.kind === "pair") return { judge: endpointPairwiseJudge(endpoint) };
      return { judge: endpointRatingJudge(endpoint), options: { scale: [1, 10] } };
    }
    const handle = await this.studio.openModel(this.judge);
    const name = this.state.session.models.find(({ id }) => id === this.judge)?.name ?? "reward model";
    if (this.kind !== "thumbs" && this.kind !== "stars") return { judge: ratingJudge(name, (items) => handle.score(items)) };
    // a reward has no scale of its own: 0 is neither liked nor disliked, as in Bradley-Terry's model
    const probability = (reward: number) => 1 / (1 + Math.exp(-reward));
    return { judge: ratingJudge(name, async (items) => (await handle.score(items)).map(probability)), options: { scale: [0, 1] } };
  }
}
