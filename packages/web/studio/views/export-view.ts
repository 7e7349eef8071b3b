/** Step 6: what was made here, to take along: models, data, reports, the session. */
import type { DatasetRow } from "@trimtab/core";
import { css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { FEEDBACK_FORMATS, type FeedbackFormat } from "../../src/feedback/headless";
import { canSaveToDirectory, download, fileName, saveToDirectory } from "../export/save";
import { sessionJson } from "../export/session-file";
import { zipFiles } from "../export/zip";
import { downloadIcon, folderIcon, viewIcons } from "../icons";
import type { ChosenFiles } from "../parts/file-drop";
import { promptRow } from "../prompts";
import { counted } from "../steps";
import type { StudioModel, StudioRun } from "../store";
import { StudioElement } from "../studio-element";
import { trainedText } from "../training/compared-runs";
import { runReport } from "../training/run-report";
import { viewStyles } from "../view-styles";
import { capital, quantity } from "../wording";
import "../parts/file-drop";

const FORMATS: Readonly<Record<FeedbackFormat, string>> = {
  preference: "Preferences",
  unpaired: "Liked or not",
  ranked: "Ranked lists",
  rated: "Ratings",
  correction: "Corrections",
  sft: "Demonstrations",
};

/** A directory's files by name, read when they are wanted. */
type Files = () => Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>>;

@customElement("studio-export-view")
export class ExportView extends StudioElement {
  static override styles = [
    viewStyles,
    css`
      li {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: var(--_space-2) var(--_space-4);
        padding: var(--_space-3) 0;
        border-bottom: 1px solid var(--_border);
      }
      li:last-child {
        border-bottom: 0;
      }
      li > div:first-child {
        flex: 1 1 9rem;
        min-width: 0;
        overflow-wrap: anywhere;
      }
      .list {
        gap: 0;
      }
    `,
  ];

  @state() private packing: string | undefined;

  protected override render() {
    return html`
      <h1>Take it along</h1>
      <p class="lead">Standard files throughout: what Trimtab writes, transformers, TRL and vLLM read.</p>
      <div class="stack">${this.#models()} ${this.#adapters()} ${this.#data()} ${this.#runs()} ${this.#session()}</div>
    `;
  }

  #models() {
    const { models } = this.state.session;
    return html`<section class="panel" aria-labelledby="models">
      <h2 id="models">Models</h2>
      ${
        models.length === 0
          ? html`<p class="muted">None yet.</p>`
          : html`<p class="muted">Hugging Face directories: config, safetensors, tokenizer.</p>
              <ul class="list">
                ${models.map((model) => this.#model(model))}
              </ul>`
      }
      <p class="small muted" role="status">${this.packing === undefined ? "" : `Packing ${this.packing}…`}</p>
    </section>`;
  }

  #model({ id, name, kind, parameterCount, origin }: StudioModel) {
    return html`<li>
      <div>
        <h3>${name}</h3>
        <p class="small muted">${kind === "score" ? "reward model" : "language model"} · ${quantity(parameterCount)} parameters · ${origin}</p>
      </div>
      ${this.#directory(name, async () => (await this.studio.openModel(id)).files())}
    </li>`;
  }

  /** What runs made beside whole models; nothing where none did. */
  #adapters() {
    const adapted = this.state.session.runs.filter(({ adapter }) => adapter !== undefined);
    if (adapted.length === 0) return "";
    return html`<section class="panel" aria-labelledby="adapters">
      <h2 id="adapters">Adapters (PEFT)</h2>
      <p class="muted">What a run changed and nothing else: to be loaded on the model that it was trained on.</p>
      <ul class="list">
        ${adapted.map((run) => this.#adapter(run))}
      </ul>
    </section>`;
  }

  #adapter({ id, name, setup }: StudioRun) {
    const base = this.state.session.models.find((model) => model.id === setup.modelId)?.name ?? "a model that is gone";
    const title = `adapter of ${name}`;
    return html`<li>
      <div>
        <h3>${name}</h3>
        <p class="small muted">${trainedText(setup)} · for ${base}</p>
      </div>
      ${this.#directory(title, () => this.studio.adapterFiles(id))}
    </li>`;
  }

  /** Both ways to take a directory along. */
  #directory(name: string, files: Files) {
    const isBusy = this.packing !== undefined;
    return html`<div class="row">
      ${
        canSaveToDirectory
          ? html`<button class="quiet" ?disabled=${isBusy} aria-label="Save in a directory: ${name}" @click=${() => this.#save(name, files)}>
              ${folderIcon} Save in a directory
            </button>`
          : ""
      }
      <button ?disabled=${isBusy} aria-label="Download ${name} as a zip file" @click=${() => this.#zip(name, files)}>
        ${downloadIcon} Zip
      </button>
    </div>`;
  }

  #data() {
    const { session, datasets } = this.state;
    const formats = FEEDBACK_FORMATS.filter((format) => datasets[format].length > 0);
    return html`<section class="panel" aria-labelledby="data">
      <h2 id="data">Data</h2>
      ${
        formats.length === 0 && session.prompts.length === 0
          ? html`<p class="muted">Prompts and feedback appear here as JSON Lines in TRL's formats.</p>`
          : html`<ul class="list">
              ${formats.map((format) => this.#rows(FORMATS[format], `${format}.jsonl`, datasets[format]))}
              ${session.prompts.length > 0 ? this.#rows("Prompts", "prompts.jsonl", session.prompts.map(promptRow)) : ""}
            </ul>`
      }
    </section>`;
  }

  #rows(title: string, name: string, rows: readonly DatasetRow[]) {
    return html`<li>
      <div>
        <h3>${title}</h3>
        <p class="small muted">${name}, ${counted(rows.length, "row")}</p>
      </div>
      <button
        aria-label="Download ${name}"
        @click=${() => download(rows.map((row) => `${JSON.stringify(row)}\n`).join(""), name, "application/jsonl")}
      >
        ${downloadIcon} JSONL
      </button>
    </li>`;
  }

  #runs() {
    const { runs } = this.state.session;
    const told = runs.filter(({ history }) => history.length > 0);
    return html`<section class="panel" aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      ${
        told.length === 0
          ? html`<div class="empty">
              ${viewIcons.train}
              <p>A run leaves a report: curves, samples and settings on one page that opens anywhere.</p>
              <button @click=${() => this.studio.go("train")}>Train something</button>
            </div>`
          : html`<ul class="list">
              ${told.map((run) => this.#run(run))}
            </ul>`
      }
    </section>`;
  }

  #run(run: StudioRun) {
    return html`<li>
      <div>
        <h3>${run.name}</h3>
        <p class="small muted">${counted(run.history.length, "step")} of ${run.maxSteps}, ${run.status}</p>
      </div>
      <button aria-label="Report on ${run.name}" @click=${() => this.#report(run)}>${downloadIcon} Report</button>
    </li>`;
  }

  #report(run: StudioRun): void {
    const { session, engine } = this.state;
    const environment = [
      ["Browser", navigator.userAgent],
      ["Processor", `${navigator.hardwareConcurrency} cores`],
    ] as const;
    const page = runReport({ run, models: session.models, engine: engine.state === "ready" ? engine.info : undefined, environment });
    download(page, `${fileName(run.name)}.html`, "text/html");
  }

  #session() {
    const { session } = this.state;
    return html`<section class="panel" aria-labelledby="session">
      <h2 id="session">This session</h2>
      <div class="two">
        <div class="field">
          <p class="muted">Prompts, completions, feedback and runs as one file: to continue elsewhere, or for another rater. Models are not in it.</p>
          <div>
            <button @click=${() => download(sessionJson(session), `${fileName(session.name)}.json`, "application/json")}>
              ${downloadIcon} Export the session
            </button>
          </div>
        </div>
        <studio-file-drop label="Import a session" accept=".json" @files=${this.#import}>
          <p class="muted">Drop a session's file here to open it beside this one.</p>
        </studio-file-drop>
      </div>
    </section>`;
  }

  /** Runs `task` while the buttons rest, and says what goes wrong. */
  async #pack(name: string, task: () => Promise<void>): Promise<void> {
    this.packing = name;
    try {
      await task();
    } catch (error) {
      this.studio.notify("error", `${capital(name)} could not be exported: ${(error as Error).message}`);
    } finally {
      this.packing = undefined;
    }
  }

  #zip(name: string, files: Files): Promise<void> {
    return this.#pack(name, async () => download(await zipFiles(await files(), fileName(name)), `${fileName(name)}.zip`));
  }

  #save(name: string, files: Files): Promise<void> {
    return this.#pack(name, async () => {
      if (await saveToDirectory(files)) this.studio.notify("done", `${capital(name)} is saved.`);
    });
  }

  async #import({ detail }: CustomEvent<ChosenFiles>): Promise<void> {
    const [file] = detail.files;
    try {
      if (file) await this.studio.importSession(await file.text());
    } catch (error) {
      this.studio.notify("error", (error as Error).message);
    }
  }
}
