/** `<studio-training>`: the whole of training in the studio: start a run, watch it, look at what came of it, compare it with others. */
import { css, html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { download, fileName } from "../export/save";
import type { StudioRun } from "../store";
import type { Studio } from "../studio";
import { StudioElement } from "../studio-element";
import { viewStyles } from "../view-styles";
import { capital } from "../wording";
import { rewardText, trainedText } from "./compared-runs";
import { RunController } from "./run-controller";
import type { RunAction } from "./run-progress";
import { runReport } from "./run-report";
import type { SampleGroup } from "./sample-group";
import type { Segment, StudioSegments } from "./segments";
import { trainerOf } from "./trainers";
import "./frontier";
import "./reward-model";
import "./run-charts";
import "./run-comparison";
import "./run-progress";
import "./samples";
import "./segments";
import "./trainer-form";
import type { RunRename } from "./run-comparison";
import type { RunStart } from "./trainer-form";

type Page = "new" | "run" | "compare";
type Part = "curves" | "samples" | "side" | "frontier" | "quality" | "setup";

/** One for the page: a run goes on while other views are shown. */
const controllers = new WeakMap<object, RunController>();

@customElement("studio-training")
export class StudioTraining extends StudioElement {
  static override styles = [
    ...viewStyles,
    css`
      :host {
        min-width: 0;
      }
      .bar {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: var(--_space-3);
        margin-bottom: var(--_space-5);
      }
      .bar select {
        width: auto;
        max-width: 100%;
        min-height: 2.75rem;
        padding: var(--_space-2) var(--_space-3);
      }
      .run {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: var(--_space-4);
      }
      dl.setup {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
        gap: var(--_space-3) var(--_space-5);
        margin: 0;
      }
      .setup dt {
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
      .setup dd {
        margin: 0;
        overflow-wrap: anywhere;
        font-weight: 550;
      }
      .note {
        margin: 0;
        color: var(--_text-muted);
      }
    `,
  ];

  @state() private page: Page | undefined;
  @state() private shown: Part = "curves";
  @state() private runId = "";
  @state() private error = "";
  @state() private isComparing = false;

  #controller!: RunController;
  readonly #changed = () => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    this.#controller = controllers.get(this.studio) ?? controllerOf(this.studio);
    this.#controller.addEventListener("change", this.#changed);
  }

  override disconnectedCallback(): void {
    this.#controller.removeEventListener("change", this.#changed);
    super.disconnectedCallback();
  }

  protected override render() {
    const { runs } = this.state.session;
    const run = this.#run();
    const page: Page = this.page === "compare" && runs.length > 0 ? "compare" : run && this.page !== "new" ? "run" : "new";
    const pages: readonly Segment[] = [
      ["new", "New run"],
      ...(run
        ? ([
            ["run", "Run"],
            ["compare", "Compare"],
          ] as const)
        : []),
    ];
    return html`<div class="bar">
        ${
          run
            ? html`<studio-segments
                label="Training"
                .choices=${pages}
                .value=${page}
                @change=${(event: Event) => (this.page = (event.target as StudioSegments).value as Page)}
              ></studio-segments>`
            : nothing
        }
        ${
          page === "run" && runs.length > 1
            ? html`<select aria-label="Which run" @change=${(event: Event) => (this.runId = (event.target as HTMLSelectElement).value)}>
                ${runs.toReversed().map(({ id, name, status }) => html`<option value=${id} ?selected=${id === run?.id}>${name} (${status})</option>`)}
              </select>`
            : nothing
        }
      </div>
      ${page === "new" ? this.#form() : page === "compare" ? this.#comparison() : run ? this.#details(run) : nothing}`;
  }

  /** The one that was chosen, else the one that goes, else the newest. */
  #run(): StudioRun | undefined {
    const { runs } = this.state.session;
    return runs.find(({ id }) => id === this.runId) ?? runs.find(({ id }) => id === this.#controller.liveId) ?? runs.at(-1);
  }

  #form() {
    const { session, datasets } = this.state;
    return html`<studio-trainer-form
      .datasets=${datasets}
      .prompts=${session.prompts.map(({ prompt, columns }) => ({ ...columns, prompt }))}
      .models=${session.models}
      .modelId=${session.modelId}
      .error=${this.error}
      ?busy=${this.#controller.isBusy}
      @run-start=${(event: CustomEvent<RunStart>) => this.#start(event.detail)}
    ></studio-trainer-form>`;
  }

  #comparison() {
    const { runs, models } = this.state.session;
    return html`<studio-run-comparison
      .runs=${runs}
      .models=${models}
      @run-rename=${({ detail }: CustomEvent<RunRename>) => this.#controller.rename(detail.id, detail.name)}
      @run-remove=${({ detail }: CustomEvent<string>) => void this.#controller.remove(detail)}
    ></studio-run-comparison>`;
  }

  #details(run: StudioRun) {
    const parts = this.#partsOf(run);
    const canGoOn = run.checkpoint !== undefined && (run.status === "paused" || run.status === "failed");
    const part = parts.some(([id]) => id === this.shown) ? this.shown : "curves";
    return html`<div class="run">
      <studio-run-progress
        .run=${run}
        ?waiting=${this.#controller.isWaiting(run.id)}
        @run-action=${({ detail }: CustomEvent<RunAction>) => void this.#act(run, detail)}
      ></studio-run-progress>
      ${canGoOn && this.#controller.needsKey(run) ? this.#keyForm(run) : nothing}
      <studio-segments
        label="What to see of the run"
        .choices=${parts}
        .value=${part}
        @change=${(event: Event) => (this.shown = (event.target as StudioSegments).value as Part)}
      ></studio-segments>
      ${this.#panel(run, part)}
    </div>`;
  }

  #keyForm(run: StudioRun) {
    const goOn = (event: SubmitEvent) => {
      event.preventDefault();
      void this.#resume(run, String(new FormData(event.target as HTMLFormElement).get("key") ?? ""));
    };
    return html`<form class="card row" @submit=${goOn}>
      <label for="key">API key of the endpoint that rewards it, which was kept nowhere</label>
      <input id="key" name="key" type="password" autocomplete="off" required />
      <button>Go on with it</button>
    </form>`;
  }

  #resume(run: StudioRun, apiKey?: string): Promise<void> {
    return this.#controller
      .resume(run.id, apiKey)
      .catch((error: Error) => this.studio.notify("error", `${run.name} cannot go on: ${error.message}`));
  }

  #partsOf({ samples, history, setup }: StudioRun): readonly Segment[] {
    const isReward = setup.algorithm === "reward";
    const hasFrontier = history.some(({ metrics }) => metrics.kl !== undefined && metrics.reward !== undefined);
    return [
      ["curves", "Curves"],
      ...(isReward ? ([["quality", "How good it is"]] as const) : ([["side", "Before and after"]] as const)),
      ...(samples.length > 0 ? ([["samples", "What it learned from"]] as const) : []),
      ...(hasFrontier ? ([["frontier", "Reward and KL"]] as const) : []),
      ["setup", "Setup"],
    ];
  }

  #panel(run: StudioRun, part: Part): TemplateResult {
    switch (part) {
      case "curves":
        return run.history.length === 0
          ? html`<p class="note">The first step is on its way.</p>`
          : html`<studio-run-charts .history=${run.history}></studio-run-charts>`;
      case "samples":
        return html`<studio-samples .groups=${learnedFrom(run)}></studio-samples>`;
      case "side":
        return this.#sides(run);
      case "frontier":
        return html`<studio-frontier .runs=${this.state.session.runs.filter(({ setup }) => setup.algorithm === run.setup.algorithm)}></studio-frontier>`;
      case "quality":
        return run.margins
          ? html`<studio-reward-model .margins=${run.margins}></studio-reward-model>`
          : html`<p class="note">When it is done it is judged by the comparisons that were kept back.</p>`;
      case "setup":
        return this.#setup(run);
    }
  }

  #sides(run: StudioRun) {
    const isThere = run.resultId !== undefined || this.#controller.liveId === run.id;
    const canCompare = isThere && run.history.length > 0 && !this.isComparing;
    return html`<div class="row">
        <button type="button" ?disabled=${!canCompare} @click=${() => this.#compare(run.id)}>
          ${this.isComparing ? "Comparing…" : run.comparison ? "Compare again" : "Compare now"}
        </button>
        <p class="note">
          ${run.comparison ? `After step ${run.comparison.step}: the likeliest completion of each prompt, by the trained model and by the one it started from.` : "Completes the same prompts with the trained model and with the one it started from."}
        </p>
      </div>
      ${run.comparison ? html`<studio-samples .groups=${run.comparison.groups}></studio-samples>` : nothing}`;
  }

  #setup({ setup }: StudioRun) {
    const model = this.state.session.models.find(({ id }) => id === setup.modelId);
    const item = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
    return html`<dl class="setup card">
      ${item("Trainer", trainerOf(setup.algorithm)?.title ?? setup.algorithm)} ${item("Starts from", model?.name ?? "a model that is gone")}
      ${item("Trains", capital(trainedText(setup)))}
      ${item("Rows", `${setup.rows.length}${setup.heldOut?.length ? `, and ${setup.heldOut.length} kept back` : ""}`)}
      ${setup.rewards.length > 0 ? item("Rewards", setup.rewards.map(rewardText).join(", ")) : nothing}
      ${Object.entries(setup.options).map(([name, value]) => item(name, String(value)))}
    </dl>`;
  }

  async #start({ setup, apiKey }: RunStart): Promise<void> {
    this.error = "";
    try {
      this.runId = await this.#controller.start(setup, apiKey);
      this.page = "run";
      this.shown = "curves";
    } catch (error) {
      this.error = (error as Error).message;
    }
  }

  async #act(run: StudioRun, action: RunAction): Promise<void> {
    switch (action) {
      case "pause":
        return this.#controller.pause();
      case "checkpoint":
        return this.#controller.save();
      case "stop":
        return this.#controller
          .stop(run.id)
          .catch((error: Error) => this.studio.notify("error", `${run.name} cannot be stopped: ${error.message}`));
      case "resume":
        return this.#resume(run);
      case "report":
        return this.#report(run);
    }
  }

  async #compare(id: string): Promise<void> {
    this.isComparing = true;
    await this.#controller.compare(id);
    this.isComparing = false;
  }

  #report(run: StudioRun): void {
    const { session, engine } = this.state;
    const page = runReport({
      run,
      models: session.models,
      engine: engine.state === "ready" ? engine.info : undefined,
      environment: [
        ["Browser", navigator.userAgent],
        ["Processor", `${navigator.hardwareConcurrency} cores`],
      ],
    });
    download(page, `${fileName(run.name)}.html`, "text/html");
  }
}

/** The studio's controller, from its first view on: a run ends before its session is left. */
function controllerOf(studio: Studio): RunController {
  const controller = new RunController(studio);
  controllers.set(studio, controller);
  studio.beforeLeaving(() => controller.leave());
  return controller;
}

/** Samples of the newest step, by prompt. */
function learnedFrom({ samples }: StudioRun): readonly SampleGroup[] {
  const groups = new Map<string, SampleGroup["samples"][number][]>();
  for (const { prompt, ...sample } of samples.at(-1)?.samples ?? []) groups.set(prompt, [...(groups.get(prompt) ?? []), sample]);
  return [...groups].map(([prompt, own]) => ({ prompt, samples: own.slice(0, 4) }));
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-training": StudioTraining;
  }
}
