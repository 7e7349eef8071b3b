/** `<studio-run-comparison>`: the session's runs in a table; those that are ticked overlaid in charts, with the options in which they differ. */
import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import type { StudioModel, StudioRun } from "../store";
import { optionDifferences, overlaidCharts } from "./compared-runs";
import { formatDuration, formatShare, formatValue } from "./numbers";
import { SERIES_COUNT, seriesColours } from "./palette";
import "./chart";
import "./frontier";
import "./switch";

/** Renaming, as `run-rename` says it. */
export interface RunRename {
  readonly id: string;
  readonly name: string;
}

@customElement("studio-run-comparison")
export class StudioRunComparison extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    seriesColours,
    css`
      :host {
        min-width: 0;
      }
      .scroll {
        /* holds what is hidden visually, which would widen the page */
        position: relative;
        overflow-x: auto;
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      table {
        width: 100%;
        border-collapse: collapse;
        font-size: 0.9375rem;
      }
      th,
      td {
        padding: var(--_space-2) var(--_space-4);
        text-align: start;
        vertical-align: middle;
        border-bottom: 1px solid var(--_border);
      }
      tr:last-child > * {
        border-bottom: 0;
      }
      thead th {
        background: var(--_sunken);
        color: var(--_text-muted);
        font-size: var(--_size-small);
        font-weight: 600;
        white-space: nowrap;
      }
      td.number {
        text-align: end;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      th.number {
        text-align: end;
      }
      .run {
        display: flex;
        align-items: center;
        gap: var(--_space-2);
        font-weight: 600;
        white-space: nowrap;
      }
      .run input[type="checkbox"] {
        flex: none;
        width: 1.25rem;
        height: 1.25rem;
        accent-color: var(--_accent);
      }
      .swatch {
        flex: none;
        width: 0.75rem;
        height: 0.75rem;
        border-radius: 50%;
        background: currentcolor;
      }
      .run input:not([type="checkbox"]) {
        min-width: 9rem;
        padding: var(--_space-1) var(--_space-2);
      }
      .actions {
        white-space: nowrap;
        text-align: end;
      }
      .actions button {
        min-height: 2.25rem;
        padding: 0 var(--_space-2);
        font-size: var(--_size-small);
      }
      .actions .sure {
        border-color: transparent;
        background: var(--_danger-soft);
        color: var(--_danger);
      }
      h2 {
        margin: var(--_space-5) 0 var(--_space-3);
        font-size: var(--_size-title);
      }
      .bar {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: var(--_space-2) var(--_space-4);
        margin: var(--_space-5) 0 var(--_space-3);
      }
      .bar h2 {
        margin: 0;
      }
      .grid {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
        gap: var(--_space-4);
      }
      studio-frontier {
        margin-bottom: var(--_space-4);
      }
      .empty {
        color: var(--_text-muted);
      }
    `,
  ];

  @property({ attribute: false }) runs: readonly StudioRun[] = [];
  @property({ attribute: false }) models: readonly StudioModel[] = [];

  /** Runs that are left out of the charts. */
  @state() private leftOut: ReadonlySet<string> = new Set();
  @state() private renaming = "";
  @state() private removing = "";
  @state() private smooth = true;

  override render() {
    if (this.runs.length === 0) return html`<p class="empty">No runs yet.</p>`;
    const shown = this.runs.filter(({ id }) => !this.leftOut.has(id));
    const differences = optionDifferences(shown, (id) => this.models.find((model) => model.id === id)?.name ?? "a model that is gone");
    const places = shown.map((run) => this.runs.indexOf(run));
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Runs">
        <table>
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">State</th>
              <th scope="col" class="number">Steps</th>
              <th scope="col" class="number">Time</th>
              <th scope="col" class="number">Reward</th>
              <th scope="col" class="number">In order</th>
              <th scope="col" class="number">Loss</th>
              <th scope="col" class="number">KL per token</th>
              <th scope="col"><span class="hidden-visually">Actions</span></th>
            </tr>
          </thead>
          <tbody>
            ${this.runs.map((run, place) => this.#row(run, place))}
          </tbody>
        </table>
      </div>
      ${
        shown.length === 0
          ? nothing
          : html`<div class="bar">
                <h2>Curves</h2>
                <studio-switch .checked=${this.smooth} @change=${() => (this.smooth = !this.smooth)}>Smooth the curves</studio-switch>
              </div>
              ${shown.some(({ history }) => history.some(({ metrics }) => metrics.kl !== undefined && metrics.reward !== undefined)) ? html`<studio-frontier .runs=${shown} .colours=${places}></studio-frontier>` : nothing}
              <div class="grid">
                ${overlaidCharts(shown).map(
                  ({ chart, places: lines }) =>
                    html`<studio-chart .chart=${chart} .colours=${lines.map((line) => places[line] as number)} .smooth=${this.smooth}></studio-chart>`,
                )}
              </div>`
      }
      ${shown.length > 1 ? this.#differences(shown, differences) : nothing}`;
  }

  #row(run: StudioRun, place: number) {
    const { id, name, status, history, elapsedMs } = run;
    const metrics = history.at(-1)?.metrics ?? {};
    const number = (value: number | undefined, format = formatValue) =>
      html`<td class="number">${value === undefined ? "" : format(value)}</td>`;
    const toggle = () => {
      const leftOut = new Set(this.leftOut);
      if (!leftOut.delete(id)) leftOut.add(id);
      this.leftOut = leftOut;
    };
    return html`<tr>
      <td>
        <div class="run">
          <input type="checkbox" aria-label=${`Show ${name} in the charts`} .checked=${!this.leftOut.has(id)} @change=${toggle} />
          <span class="swatch series-${place % SERIES_COUNT}"></span>
          ${
            this.renaming === id
              ? html`<input
                  aria-label=${`New name of ${name}`}
                  .value=${name}
                  @keydown=${(event: KeyboardEvent) => this.#onRenameKey(event, id)}
                  @blur=${(event: FocusEvent) => this.#rename(id, (event.target as HTMLInputElement).value)}
                />`
              : html`<span>${name}</span>`
          }
        </div>
      </td>
      <td>${status}</td>
      ${number(history.at(-1)?.step)} ${number(elapsedMs, formatDuration)} ${number(metrics.reward)}
      ${number(metrics.accuracy ?? metrics["rewards/accuracies"], formatShare)} ${number(metrics.loss)} ${number(metrics.kl)}
      <td class="actions">
        <button type="button" class="quiet" aria-label=${`Rename ${name}`} @click=${() => this.#startRenaming(id)}>Rename</button>
        ${
          this.removing === id
            ? html`<button type="button" class="sure" @click=${() => this.#remove(id)} @blur=${() => (this.removing = "")}>Delete for good</button>`
            : html`<button
                type="button"
                class="quiet"
                aria-label=${`Delete ${name}`}
                ?disabled=${status === "running" || status === "starting"}
                @click=${() => this.#askToRemove(id)}
              >
                Delete
              </button>`
        }
      </td>
    </tr>`;
  }

  #differences(shown: readonly StudioRun[], differences: ReturnType<typeof optionDifferences>) {
    return html`<h2>Options that differ</h2>
      ${
        differences.length === 0
          ? html`<p class="empty">None: the same options on the same rows.</p>`
          : html`<div class="scroll" tabindex="0" role="region" aria-label="Options that differ">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Option</th>
                    ${shown.map(({ name }) => html`<th scope="col">${name}</th>`)}
                  </tr>
                </thead>
                <tbody>
                  ${differences.map(
                    ({ name, values }) =>
                      html`<tr>
                        <th scope="row">${name}</th>
                        ${values.map((value) => html`<td>${value ?? "–"}</td>`)}
                      </tr>`,
                  )}
                </tbody>
              </table>
            </div>`
      }`;
  }

  #startRenaming(id: string): void {
    this.renaming = id;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLInputElement>(".run input:not([type=checkbox])")?.select());
  }

  #onRenameKey(event: KeyboardEvent, id: string): void {
    if (event.key === "Enter") this.#rename(id, (event.target as HTMLInputElement).value);
    if (event.key === "Escape") this.renaming = "";
  }

  #rename(id: string, typed: string): void {
    if (this.renaming !== id) return;
    this.renaming = "";
    const name = typed.trim();
    if (name) this.dispatchEvent(new CustomEvent<RunRename>("run-rename", { detail: { id, name }, bubbles: true, composed: true }));
  }

  #askToRemove(id: string): void {
    this.removing = id;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLButtonElement>(".sure")?.focus());
  }

  #remove(id: string): void {
    this.removing = "";
    this.dispatchEvent(new CustomEvent<string>("run-remove", { detail: id, bubbles: true, composed: true }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-run-comparison": StudioRunComparison;
  }
}
