/** `<studio-trainer-form>`: which trainer, on what, with which options; fires `run-start` and shows what was refused. */
import type { DatasetRow, EngineAlgorithm } from "@trimtab/core";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import type { AdapterSetup, Datasets, RunReward, RunSetup, StudioModel } from "../store";
import { optionErrors } from "./option-errors";
import { RULES } from "./reward-choices";
import {
  ADAPTER_FIELDS,
  learningRateFor,
  type OptionField,
  type OptionValue,
  standingOptions,
  TRAINERS,
  type Trainer,
  takesAdapter,
  trainerOf,
} from "./trainers";
import { type DataChoice, dataChoices, splitHeldOut, wantedData } from "./training-data";

/** What `run-start` asks for. */
export interface RunStart {
  readonly setup: RunSetup;
  /** Of the endpoint that rewards, else empty. It is in no session. */
  readonly apiKey: string;
}

const ENDPOINT = "endpoint";

@customElement("studio-trainer-form")
export class StudioTrainerForm extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    css`
      form {
        display: grid;
        gap: var(--_space-5);
      }
      fieldset {
        min-width: 0;
        margin: 0;
        padding: 0;
        border: 0;
      }
      legend,
      h2 {
        margin: 0 0 var(--_space-3);
        padding: 0;
        font-size: var(--_size-title);
        font-weight: 650;
      }
      .trainers {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
        gap: var(--_space-3);
      }
      .trainers label {
        position: relative;
        display: grid;
        align-content: start;
        gap: var(--_space-1);
        padding: var(--_space-3) var(--_space-4);
        border: 1px solid var(--_border-control);
        border-radius: var(--_radius);
        background: var(--_surface);
        cursor: pointer;
        transition: border-color var(--_duration), background-color var(--_duration);
      }
      .trainers label:hover {
        border-color: var(--_accent);
      }
      .trainers label:has(:checked) {
        border-color: var(--_accent);
        background: var(--_accent-soft);
        box-shadow: inset 0 0 0 1px var(--_accent);
      }
      .trainers label:has(:focus-visible) {
        outline: 3px solid var(--_accent);
        outline-offset: 2px;
      }
      .trainers input {
        position: absolute;
        inset: 0;
        opacity: 0;
        cursor: pointer;
      }
      .trainers strong {
        font-weight: 650;
      }
      .trainers small,
      .help,
      .count {
        color: var(--_text-muted);
        font-size: var(--_size-small);
        line-height: 1.45;
      }
      .count {
        font-weight: 600;
      }
      .count.ready {
        color: var(--_accent);
      }
      .fields {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
        gap: var(--_space-4) var(--_space-5);
      }
      .field {
        display: grid;
        align-content: start;
        gap: var(--_space-1);
      }
      .field > label,
      .field > .name {
        font-weight: 600;
      }
      .field input:not([type="checkbox"]),
      select {
        min-height: 2.75rem;
        padding: var(--_space-2) var(--_space-3);
        font-variant-numeric: tabular-nums;
      }
      .field [aria-invalid="true"] {
        border-color: var(--_danger);
        box-shadow: inset 0 0 0 1px var(--_danger);
      }
      .field .wrong {
        margin: 0;
        color: var(--_danger);
        font-size: var(--_size-small);
        font-weight: 550;
      }
      .check {
        display: flex;
        align-items: center;
        gap: var(--_space-2);
        font-weight: 600;
      }
      input[type="checkbox"] {
        width: 1.25rem;
        height: 1.25rem;
        flex: none;
        accent-color: var(--_accent);
      }
      .help {
        margin: 0;
      }
      summary {
        width: fit-content;
        padding: var(--_space-1) 0;
        border-radius: var(--_radius-small);
        color: var(--_text-muted);
        font-weight: 550;
        cursor: pointer;
      }
      details .fields,
      .fields.adapter {
        padding-top: var(--_space-3);
      }
      .rewards {
        display: grid;
        gap: var(--_space-2);
        margin: 0 0 var(--_space-3);
        padding: 0;
        list-style: none;
      }
      .rewards .pattern {
        display: grid;
        gap: var(--_space-1);
        max-width: 28rem;
        margin: var(--_space-1) 0 var(--_space-2) calc(1.25rem + var(--_space-2));
        font-size: var(--_size-small);
      }
      .rewards .help {
        margin-inline-start: calc(1.25rem + var(--_space-2));
      }
      .end {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: var(--_space-3) var(--_space-4);
      }
      .missing,
      .error {
        margin: 0;
        padding: var(--_space-3) var(--_space-4);
        border-radius: var(--_radius-small);
        background: var(--_sunken);
      }
      .error {
        background: var(--_danger-soft);
        color: var(--_danger);
        overflow-wrap: anywhere;
      }
    `,
  ];

  @property({ attribute: false }) datasets!: Datasets;
  /** Rows with a `prompt` and whatever other columns. */
  @property({ attribute: false }) prompts: readonly DatasetRow[] = [];
  /** All models: language models to start from, reward models to be rewarded by. */
  @property({ attribute: false }) models: readonly StudioModel[] = [];
  /** The model that is chosen in the studio; it can be changed here. */
  @property() modelId: string | undefined;
  /** What the engine refused, as its error says it. */
  @property() error = "";
  /** While another run goes. */
  @property({ type: Boolean }) busy = false;

  @state() private algorithm: EngineAlgorithm = "reward";
  @state() private values: Readonly<Record<string, OptionValue>> = {};
  @state() private dataId = "";
  @state() private startId = "";
  @state() private wantsAdapter = false;
  @state() private chosenRewards: ReadonlySet<string> = new Set();
  @state() private baseUrl = "http://localhost:11434/v1";
  @state() private endpointModel = "";
  @state() private texts: Readonly<Record<string, string>> = {};

  /** Rows are converted once, not for every key that is pressed. */
  #choices: ReadonlyMap<EngineAlgorithm, readonly DataChoice[]> = new Map();

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("datasets"))
      this.#choices = new Map(TRAINERS.map(({ algorithm }) => [algorithm, dataChoices(algorithm, this.datasets)]));
    // until somebody chooses: what there is data for
    if (!this.hasUpdated && changed.has("datasets")) {
      const first = TRAINERS.find(({ learnsFrom, algorithm }) => learnsFrom === "feedback" && this.#dataFor(algorithm).length > 0);
      this.algorithm = first?.algorithm ?? (this.prompts.length > 0 ? "grpo" : "reward");
    }
  }

  override render() {
    const trainer = trainerOf(this.algorithm) as Trainer;
    const model = this.#model();
    const errors = optionErrors(
      this.error,
      [...trainer.fields, ...ADAPTER_FIELDS].map(({ name }) => name),
    );
    const missing = this.#missing(trainer);
    const field = (option: OptionField) => this.#field(option, errors.fields.get(option.name), model?.parameterCount);
    return html`<form novalidate @submit=${this.#onSubmit}>
      <fieldset>
        <legend>How to learn</legend>
        <div class="trainers">${TRAINERS.map((own) => this.#trainer(own))}</div>
      </fieldset>
      <section aria-labelledby="what">
        <h2 id="what">What from</h2>
        <div class="fields">${this.#start()}${trainer.learnsFrom === "feedback" ? this.#data() : this.#promptCount()}</div>
      </section>
      ${trainer.learnsFrom === "prompts" ? this.#rewards() : nothing}
      ${takesAdapter(trainer.algorithm) ? this.#trained(ADAPTER_FIELDS.map(field)) : nothing}
      <section aria-labelledby="options">
        <h2 id="options">Options</h2>
        <div class="fields">${trainer.fields.filter(({ advanced }) => !advanced).map(field)}</div>
        <details>
          <summary>Advanced</summary>
          <div class="fields">${trainer.fields.filter(({ advanced }) => advanced).map(field)}</div>
        </details>
      </section>
      ${errors.rest ? html`<p class="error" role="alert">${errors.rest}</p>` : nothing}
      ${missing ? html`<p class="missing">${missing}</p>` : nothing}
      <div class="end">
        <button class="primary" ?disabled=${missing !== undefined || this.busy}>Start training</button>
        ${this.busy ? html`<span class="help">Another run is going: pause or stop it first.</span>` : nothing}
      </div>
    </form>`;
  }

  #trainer({ algorithm, title, summary, learnsFrom }: Trainer) {
    const count = learnsFrom === "prompts" ? this.prompts.length : Math.max(0, ...this.#dataFor(algorithm).map(({ rows }) => rows.length));
    const noun = learnsFrom === "prompts" ? "prompt" : "row";
    return html`<label>
      <input
        type="radio"
        name="algorithm"
        .value=${algorithm}
        .checked=${algorithm === this.algorithm}
        @change=${() => {
          this.algorithm = algorithm;
          this.values = {};
          this.dataId = "";
          this.error = "";
        }}
      />
      <strong>${title}</strong>
      <small>${summary}</small>
      <span class=${count > 0 ? "count ready" : "count"}>${count === 0 ? `No ${noun}s yet` : `${count} ${noun}${count === 1 ? "" : "s"}`}</span>
    </label>`;
  }

  #start() {
    const languageModels = this.models.filter(({ kind }) => kind === "lm");
    return html`<div class="field">
      <label for="start">Starts from</label>
      <select id="start" @change=${(event: Event) => (this.startId = (event.target as HTMLSelectElement).value)}>
        ${languageModels.length === 0 ? html`<option value="">No model yet</option>` : nothing}
        ${languageModels.map(({ id, name }) => html`<option value=${id} ?selected=${id === this.#model()?.id}>${name}</option>`)}
      </select>
      <p class="help">${this.#hasAdapter ? "It stays as it is; the adapter learns." : "A copy is trained; the model itself stays as it is."}</p>
    </div>`;
  }

  #data() {
    const choices = this.#dataFor(this.algorithm);
    const chosen = this.#chosenData(choices);
    const held = this.algorithm === "reward" && chosen ? splitHeldOut(chosen.rows).heldOut.length : 0;
    return html`<div class="field">
      <label for="data">Learns from</label>
      <select id="data" @change=${(event: Event) => (this.dataId = (event.target as HTMLSelectElement).value)}>
        ${choices.length === 0 ? html`<option value="">No feedback of its kind yet</option>` : nothing}
        ${choices.map(({ id, label, rows }) => html`<option value=${id} ?selected=${id === chosen?.id}>${rows.length} ${label}</option>`)}
      </select>
      <p class="help">${held > 0 ? `${held} of them ${held === 1 ? "is" : "are"} kept back, to judge it by.` : "What you said on the feedback page."}</p>
    </div>`;
  }

  #promptCount() {
    const count = this.prompts.length;
    return html`<div class="field">
      <span class="name">Prompts</span>
      <p class="help">${count === 0 ? "None yet." : `${count} ${count === 1 ? "prompt" : "prompts"}, in random order.`}</p>
    </div>`;
  }

  #rewards() {
    const rewardModels = this.models.filter(({ kind }) => kind === "score");
    const toggle = (id: string) => () => {
      const chosen = new Set(this.chosenRewards);
      if (!chosen.delete(id)) chosen.add(id);
      this.chosenRewards = chosen;
    };
    const box = (id: string, label: string, help: string) =>
      html`<label class="check"><input type="checkbox" .checked=${this.chosenRewards.has(id)} @change=${toggle(id)} />${label}</label>
        <p class="help">${help}</p>`;
    const has = (column: string) => this.prompts.some((row) => row[column] !== undefined);
    return html`<fieldset>
      <legend>What earns reward</legend>
      <ul class="rewards">
        ${rewardModels.map(({ id, name, origin }) => html`<li>${box(`model:${id}`, name, `Reward model, ${origin}: its score.`)}</li>`)}
        ${RULES.filter(({ column }) => column === undefined || has(column)).map(
          ({ rule, label, help, text }) => html`<li>
            ${box(`rule:${rule}`, label, help)}
            ${
              text && this.chosenRewards.has(`rule:${rule}`)
                ? html`<label class="pattern"
                    >${text.label}<input
                      .value=${this.texts[rule] ?? ""}
                      placeholder=${text.placeholder}
                      @input=${(event: Event) => {
                        this.texts = { ...this.texts, [rule]: (event.target as HTMLInputElement).value };
                      }}
                  /></label>`
                : nothing
            }
          </li>`,
        )}
        <li>
          ${box(ENDPOINT, "A model at an endpoint", "Rates each completion from 1 to 10. Prompts and completions are sent there.")}
          ${this.chosenRewards.has(ENDPOINT) ? this.#endpoint() : nothing}
        </li>
      </ul>
      <p class="help">${
        rewardModels.length === 0
          ? "Train a reward model first to be rewarded by your own feedback. Several rewards are added up."
          : "Several are added up."
      }</p>
    </fieldset>`;
  }

  #endpoint() {
    return html`<label class="pattern"
        >Address, up to its version<input
          .value=${this.baseUrl}
          spellcheck="false"
          @input=${(event: Event) => {
            this.baseUrl = (event.target as HTMLInputElement).value;
          }}
      /></label>
      <label class="pattern"
        >Model at the endpoint<input
          .value=${this.endpointModel}
          autocomplete="off"
          @input=${(event: Event) => {
            this.endpointModel = (event.target as HTMLInputElement).value;
          }}
      /></label>
      <label class="pattern">API key, if it needs one; it is kept nowhere<input name="key" type="password" autocomplete="off" /></label>`;
  }

  /** All weights, or an adapter with its options. */
  #trained(fields: readonly TemplateResult[]) {
    const choice = (wantsAdapter: boolean, title: string, summary: string) =>
      html`<label>
        <input
          type="radio"
          name="trained"
          .checked=${wantsAdapter === this.wantsAdapter}
          @change=${() => {
            this.wantsAdapter = wantsAdapter;
          }}
        />
        <strong>${title}</strong>
        <small>${summary}</small>
      </label>`;
    return html`<fieldset>
      <legend>What changes</legend>
      <div class="trainers">
        ${choice(false, "All weights", "Learns the most. Needs room for a second model and its optimiser.")}
        ${choice(true, "An adapter (LoRA)", "Small matrices beside weights that stay: far less memory, and a file of its own to take along.")}
      </div>
      ${this.wantsAdapter ? html`<div class="fields adapter">${fields}</div>` : nothing}
    </fieldset>`;
  }

  get #hasAdapter(): boolean {
    return this.wantsAdapter && takesAdapter(this.algorithm);
  }

  #field(option: OptionField, wrong: string | undefined, parameterCount = 0) {
    const { name, label, help, choices, optional } = option;
    const value = this.#valueOf(option, parameterCount);
    const described = wrong ? `${name}-help ${name}-wrong` : `${name}-help`;
    const set = (next: OptionValue) => (this.values = { ...this.values, [name]: next });
    const below = html`<p class="help" id="${name}-help">${help}</p>
      ${wrong ? html`<p class="wrong" id="${name}-wrong">${wrong}</p>` : nothing}`;
    if (typeof option.value === "boolean") {
      return html`<div class="field">
        <label class="check"
          ><input
            type="checkbox"
            name=${name}
            aria-describedby=${described}
            .checked=${value === true}
            @change=${(event: Event) => set((event.target as HTMLInputElement).checked)}
          />${label}</label
        >${below}
      </div>`;
    }
    if (choices) {
      return html`<div class="field">
        <label for=${name}>${label}</label>
        <select id=${name} aria-describedby=${described} @change=${(event: Event) => set((event.target as HTMLSelectElement).value)}>
          ${choices.map(([id, words]) => html`<option value=${id} ?selected=${id === value}>${words}</option>`)}</select
        >${below}
      </div>`;
    }
    return html`<div class="field">
      <label for=${name}>${label}</label>
      <input
        id=${name}
        inputmode="decimal"
        autocomplete="off"
        aria-describedby=${described}
        aria-invalid=${wrong ? "true" : "false"}
        ?required=${!optional}
        .value=${String(value)}
        @input=${(event: Event) => set((event.target as HTMLInputElement).value)}
      />${below}
    </div>`;
  }

  #valueOf({ name, value }: OptionField, parameterCount: number): OptionValue {
    return this.values[name] ?? (name === "learningRate" ? learningRateFor(this.algorithm, parameterCount, this.#hasAdapter) : value);
  }

  #model(): StudioModel | undefined {
    const wanted = this.startId || this.modelId;
    const languageModels = this.models.filter(({ kind }) => kind === "lm");
    return languageModels.find(({ id }) => id === wanted) ?? languageModels[0];
  }

  #dataFor(algorithm: EngineAlgorithm): readonly DataChoice[] {
    return this.#choices.get(algorithm) ?? [];
  }

  #chosenData(choices: readonly DataChoice[]): DataChoice | undefined {
    return choices.find(({ id }) => id === this.dataId) ?? choices[0];
  }

  /** What keeps it from starting, and what to do. */
  #missing({ learnsFrom }: Trainer): string | undefined {
    if (!this.#model()) return "There is no model to start from. Choose one on the model page.";
    if (learnsFrom === "feedback") {
      if (this.#dataFor(this.algorithm).length === 0) return `It learns from ${wantedData(this.algorithm)}. Give some feedback first.`;
      return undefined;
    }
    if (this.prompts.length === 0) return "It needs prompts. Write or import some first.";
    if (this.chosenRewards.size === 0) return "Choose what earns reward.";
    if (this.chosenRewards.has(ENDPOINT) && !(this.baseUrl.trim() && this.endpointModel.trim()))
      return "Say which model, at which address, rates the completions.";
    const empty = RULES.find(({ rule, text }) => text && this.chosenRewards.has(`rule:${rule}`) && !this.texts[rule]);
    return empty ? `Fill in the ${empty.text?.label.toLowerCase().replace(/ \(.*/, "")} of “${empty.label}”.` : undefined;
  }

  #onSubmit(event: SubmitEvent): void {
    event.preventDefault();
    const trainer = trainerOf(this.algorithm) as Trainer;
    const model = this.#model();
    if (!model || this.busy || this.#missing(trainer)) return;
    const apiKey = String(new FormData(event.target as HTMLFormElement).get("key") ?? "");
    const options = { ...standingOptions(this.algorithm), ...this.#optionsOf(trainer.fields, model) };
    const chosen = this.#chosenData(this.#dataFor(this.algorithm));
    const { rows, heldOut } =
      trainer.learnsFrom === "prompts"
        ? { rows: this.prompts, heldOut: [] }
        : this.algorithm === "reward"
          ? splitHeldOut(chosen?.rows ?? [])
          : { rows: chosen?.rows ?? [], heldOut: [] };
    const setup: RunSetup = {
      algorithm: this.algorithm,
      modelId: model.id,
      ...(this.#hasAdapter ? { adapter: this.#adapter(model) } : {}),
      rewards: trainer.learnsFrom === "prompts" ? [...this.chosenRewards].map((id) => this.#reward(id, apiKey !== "")) : [],
      options,
      rows,
      ...(heldOut.length > 0 ? { heldOut } : {}),
    };
    this.dispatchEvent(new CustomEvent<RunStart>("run-start", { detail: { setup, apiKey }, bubbles: true, composed: true }));
  }

  /** What the fields say, by option. */
  #optionsOf(fields: readonly OptionField[], { parameterCount }: StudioModel): Readonly<Record<string, OptionValue>> {
    const options: Record<string, OptionValue> = {};
    for (const field of fields) {
      const value = this.#valueOf(field, parameterCount);
      const isNumber = typeof field.value === "number" || field.optional;
      // words in a number's field become NaN, which the engine refuses with its own message
      if (value !== "" || !field.optional) options[field.name] = isNumber ? numberOf(String(value)) : value;
    }
    return options;
  }

  #adapter(model: StudioModel): AdapterSetup {
    const { r, loraAlpha, targetModules } = this.#optionsOf(ADAPTER_FIELDS, model);
    return { r: Number(r), loraAlpha: Number(loraAlpha), ...(targetModules === "all-linear" ? { targetModules } : {}) };
  }

  #reward(chosen: string, hasKey: boolean): RunReward {
    if (chosen === ENDPOINT) return { endpoint: { baseUrl: this.baseUrl.trim(), model: this.endpointModel.trim(), hasKey } };
    const [kind, id = ""] = chosen.split(/:(.*)/s);
    if (kind === "model") return { modelId: id, name: this.models.find((model) => model.id === id)?.name };
    const text = RULES.find(({ rule }) => rule === id)?.text;
    return text ? { rule: id, options: { [text.option]: this.texts[id] } } : { rule: id };
  }
}

/** Takes a comma for a point; nothing is not 0. */
function numberOf(text: string): number {
  const trimmed = text.trim().replace(",", ".");
  return trimmed === "" ? Number.NaN : Number(trimmed);
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-trainer-form": StudioTrainerForm;
  }
}
