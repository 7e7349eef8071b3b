/** `<studio-trainer-form>`: which trainer, on what, with which options; fires `run-start` and shows what was refused. */
import type { DatasetRow, EngineAlgorithm } from "@trimtab/core";
import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import type { AdapterSetup, Datasets, RunSetup, StudioModel } from "../store";
import { optionErrors } from "./option-errors";
import { missingReward, NO_REWARD, rewardFields, rewardsOf } from "./reward-fields";
import { trainerFormStyles } from "./trainer-form-styles";
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

@customElement("studio-trainer-form")
export class StudioTrainerForm extends LitElement {
  static override styles = [elementTokens, controls, trainerFormStyles];

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
  @state() private rewards = NO_REWARD;

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
      ${trainer.learnsFrom === "prompts" ? rewardFields(this.rewards, this, (chosen) => (this.rewards = chosen)) : nothing}
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
    return missingReward(this.rewards);
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
      rewards: trainer.learnsFrom === "prompts" ? rewardsOf(this.rewards, this.models, apiKey !== "") : [],
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
