/** Step 3: completions of the prompts at several temperatures, streamed as they are decoded. */
import { css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { trashIcon, viewIcons } from "../icons";
import { byPrompt, promptText } from "../prompts";
import { counted } from "../steps";
import type { StudioCompletion, StudioPrompt } from "../store";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";

const TEMPERATURES = [0.3, 0.5, 0.7, 1, 1.3] as const;

/** Prompts with completions that are drawn at once. */
const PAGE = 24;

@customElement("studio-sample-view")
export class SampleView extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      .numbers-row {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr));
        gap: var(--_space-4);
      }
      .prompt {
        display: grid;
        gap: var(--_space-3);
        /* lays out what is in sight */
        content-visibility: auto;
        contain-intrinsic-size: auto 12rem;
      }
      .prompt h3 {
        overflow-wrap: anywhere;
      }
      .completions {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
        gap: var(--_space-3);
      }
      .completion {
        display: grid;
        grid-template-rows: 1fr auto;
        gap: var(--_space-3);
        padding: var(--_space-3) var(--_space-4);
        border-radius: var(--_radius-small);
        background: var(--_sunken);
      }
      .caret::after {
        content: "";
        display: inline-block;
        width: 0.5ch;
        height: 1em;
        margin-inline-start: 0.1ch;
        vertical-align: -0.12em;
        background: var(--_accent);
        animation: blink 1s steps(2, jump-none) infinite;
      }
      @keyframes blink {
        to {
          opacity: 0;
        }
      }
      @media (prefers-reduced-motion: reduce) {
        .caret::after {
          animation: none;
        }
      }
    `,
  ];

  @state() private temperatures: readonly number[] = [0.7, 1];
  @state() private n = 2;
  @state() private maxNewTokens = 40;
  @state() private seed = 1;
  @state() private count = 12;
  @state() private shown = PAGE;

  protected override render() {
    const { session, sampling } = this.state;
    return html`
      <h1>Let it speak</h1>
      <p class="lead">
        Completions for you to compare. A low temperature is careful and alike, a high one is varied and wild; two of them side by side show
        what to prefer.
      </p>
      <div class="stack">
        ${session.modelId === undefined || session.prompts.length === 0 ? this.#missing() : this.#settings()}
        ${sampling ? this.#streaming() : this.#completions()}
      </div>
    `;
  }

  #missing() {
    const view = this.state.session.modelId === undefined ? "model" : "prompts";
    return html`<div class="empty">
      ${viewIcons[view]}
      <h2>${view === "model" ? "A model comes first" : "Prompts come first"}</h2>
      <p>${view === "model" ? "Choose one; the small bundled one is there at once." : "Write a few, or take those that are bundled."}</p>
      <button class="primary" @click=${() => this.studio.go(view)}>${view === "model" ? "Choose a model" : "To the prompts"}</button>
    </div>`;
  }

  #settings() {
    const { session, sampling, engine } = this.state;
    const models = session.models.filter(({ kind }) => kind === "lm");
    const count = Math.min(this.count, session.prompts.length);
    const total = count * this.temperatures.length * this.n;
    const isReady = engine.state === "ready" && this.temperatures.length > 0;
    return html`<form class="panel" @submit=${this.#sample}>
      <fieldset class="field">
        <legend>Temperatures</legend>
        <div class="chips">
          ${TEMPERATURES.map(
            (temperature) => html`<button
              type="button"
              class="chip"
              aria-pressed=${this.temperatures.includes(temperature)}
              @click=${() => this.#toggle(temperature)}
            >
              ${temperature}
            </button>`,
          )}
        </div>
      </fieldset>
      <div class="numbers-row">
        ${
          models.length > 1
            ? html`<div class="field">
                <label for="model">Model</label>
                <select
                  id="model"
                  .value=${session.modelId ?? ""}
                  @change=${(event: Event) => this.studio.change(() => ({ modelId: (event.target as HTMLSelectElement).value }))}
                >
                  ${models.map(({ id, name }) => html`<option value=${id} ?selected=${id === session.modelId}>${name}</option>`)}
                </select>
              </div>`
            : ""
        }
        ${this.#number("count", "Prompts", count, 1, session.prompts.length)} ${this.#number("n", "Of each, per temperature", this.n, 1, 16)}
        ${this.#number("maxNewTokens", "Longest, in tokens", this.maxNewTokens, 1, 1024)} ${this.#number("seed", "Seed", this.seed, 0, 4294967295)}
      </div>
      <div class="row spread">
        <p class="muted numbers">${counted(total, "completion")}</p>
        ${
          sampling
            ? html`<button type="button" @click=${() => this.studio.stopSampling()}>Stop</button>`
            : html`<button type="submit" class="primary" ?disabled=${!isReady}>Sample</button>`
        }
      </div>
    </form>`;
  }

  #number(name: "count" | "n" | "maxNewTokens" | "seed", label: string, value: number, min: number, max: number) {
    return html`<div class="field">
      <label for=${name}>${label}</label>
      <input
        id=${name}
        type="number"
        min=${min}
        max=${max}
        step="1"
        required
        .value=${String(value)}
        @change=${(event: Event) => {
          const number = (event.target as HTMLInputElement).valueAsNumber;
          if (Number.isInteger(number)) this[name] = Math.min(max, Math.max(min, number));
        }}
      />
    </div>`;
  }

  #streaming() {
    const { sampling, session } = this.state;
    if (!sampling) return "";
    const begun = sampling.drafts.filter(({ text }) => text !== "");
    const grouped = byPrompt(begun);
    return html`
      <div class="field">
        <progress aria-label="Completions begun" max=${sampling.total} .value=${sampling.finished}></progress>
        <span class="small muted numbers" role="status">${sampling.finished} of ${sampling.total} begun</span>
      </div>
      ${session.prompts
        .filter(({ id }) => grouped.has(id))
        .map(
          (prompt) => html`<section class="panel prompt">
            <h3>${promptText(prompt)}</h3>
            <div class="completions">
              ${grouped.get(prompt.id)?.map(
                ({ text, temperature }) => html`<div class="completion">
                  <p class="text caret">${text.trimStart()}</p>
                  <div class="row"><span class="tag">${temperature}</span></div>
                </div>`,
              )}
            </div>
          </section>`,
        )}
    `;
  }

  #completions() {
    const { completions, prompts } = this.state.session;
    if (completions.length === 0) return "";
    const grouped = byPrompt(completions);
    const answered = prompts.filter(({ id }) => grouped.has(id));
    const isOne = completions.every(({ modelId }) => modelId === completions[0]?.modelId);
    return html`
      <div class="panel-head">
        <h2>${counted(completions.length, "completion")}</h2>
        <button class="quiet danger" @click=${() => this.studio.change(() => ({ completions: [] }))}>${trashIcon} Clear</button>
      </div>
      ${repeat(
        answered.slice(0, this.shown),
        ({ id }) => id,
        (prompt) => this.#answered(prompt, grouped.get(prompt.id) ?? [], isOne),
      )}
      ${
        answered.length > this.shown
          ? html`<button
              @click=${() => {
                this.shown += PAGE;
              }}
            >
              Show more
            </button>`
          : ""
      }
    `;
  }

  /** `isOne`: one model wrote all completions, and need not be named. */
  #answered(prompt: StudioPrompt, completions: readonly StudioCompletion[], isOne: boolean) {
    const { models } = this.state.session;
    return html`<section class="panel prompt">
      <h3>${promptText(prompt)}</h3>
      <div class="completions">
        ${completions.map(
          ({ text, temperature, finishReason, modelId }) => html`<div class="completion">
            <p class="text">${text.trimStart() || html`<span class="muted">(nothing)</span>`}</p>
            <div class="row">
              <span class="tag" title="Temperature">${temperature}</span>
              ${finishReason === "length" ? html`<span class="tag" title="It reached the longest length">cut off</span>` : ""}
              ${isOne ? "" : html`<span class="tag strong">${models.find(({ id }) => id === modelId)?.name ?? "a removed model"}</span>`}
            </div>
          </div>`,
        )}
      </div>
    </section>`;
  }

  #toggle(temperature: number): void {
    const chosen = this.temperatures.includes(temperature)
      ? this.temperatures.filter((other) => other !== temperature)
      : [...this.temperatures, temperature];
    this.temperatures = chosen.sort((a, b) => a - b);
  }

  async #sample(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const { prompts } = this.state.session;
    await this.studio.sample({
      prompts: prompts.slice(0, this.count).map(({ id }) => id),
      temperatures: this.temperatures,
      n: this.n,
      maxNewTokens: this.maxNewTokens,
      seed: this.seed,
    });
  }
}
