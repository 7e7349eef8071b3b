/** The page of the training views' tests: shows one element with recorded data, chosen by `globalThis.show`. */
import { css, html, nothing, render, type TemplateResult } from "lit";
import { pageTokens } from "../../src/feedback/theme";
import { type Datasets, type Session, Store, type StudioModel, type StudioRun, type StudioState } from "../../studio/store";
import type { Studio } from "../../studio/studio";
import { inFrame } from "../../studio/training/animation-frame";
import type { SampleGroup } from "../../studio/training/sample-group";
import "../../studio/training/frontier";
import "../../studio/training/reward-model";
import "../../studio/training/run-charts";
import "../../studio/training/run-comparison";
import "../../studio/training/run-progress";
import "../../studio/training/samples";
import "../../studio/training/trainer-form";
import "../../studio/training/training-view";
import recorded from "./recorded-runs.json";

const runs = recorded.runs as unknown as readonly StudioRun[];
const run = (name: string, change: Partial<StudioRun> = {}) => ({ ...(runs.find((own) => own.name === name) as StudioRun), ...change });
const events: { readonly type: string; readonly detail: unknown }[] = [];

const model = (id: string, kind: StudioModel["kind"], name: string): StudioModel => ({
  id,
  name,
  kind,
  origin: kind === "lm" ? "bundled" : "made by Reward model 1",
  parameterCount: 420_000,
  contextLength: 256,
  hasChatTemplate: false,
  place: undefined,
  createdAt: 0,
});
const models = [model("base", "lm", "Tiny storyteller"), model("judge", "score", "My taste")];
const prompts = ["Today I feel", "The weather is", "This soup is"].map((prompt) => ({ prompt }));
const datasets: Datasets = {
  preference:
    runs
      .find(({ name }) => name === "DPO 1")
      ?.setup.rows.concat(prompts.map(({ prompt }) => ({ prompt, chosen: " fine.", rejected: " bad." }))) ?? [],
  unpaired: [],
  ranked: [],
  rated: [],
  correction: [],
  sft: [],
};

/** Completions of the last recorded step beside those of the first, which were the reference's. */
function sideBySide(): SampleGroup[] {
  const [first, last] = run("GRPO 1").samples.map(({ samples }) => samples);
  return (last ?? []).slice(0, 3).map((trained) => {
    const reference = first?.find(({ prompt }) => prompt === trained.prompt);
    return {
      prompt: trained.prompt,
      samples: [{ title: "Trained, step 60", ...trained }, ...(reference ? [{ title: "Reference", ...reference }] : [])],
    };
  });
}

/** A studio that has runs and no engine. */
const session: Pick<Session, "models" | "prompts" | "runs" | "modelId"> = {
  models,
  modelId: "base",
  prompts: prompts.map(({ prompt }) => ({ id: prompt, prompt, columns: {} })),
  runs: [
    run("Reward model 1", { margins: recorded.margins }),
    run("GRPO 1", { comparison: { step: 60, groups: sideBySide() }, resultId: "base" }),
  ],
};
const store = new Store({ session, datasets, engine: { state: "starting" } } as unknown as StudioState);
const studio = { store, engine: new Promise(() => {}), beforeLeaving() {} } as unknown as Studio;

const exhibits: Readonly<Record<string, () => TemplateResult>> = {
  grpo: () => {
    const live = run("GRPO 1", { status: "running" });
    const history = live.history.slice(0, 42);
    return html`<studio-run-progress
        .run=${{ ...live, history, elapsedMs: 33_600, checkpoint: { step: 40, place: { storage: "x" } } }}
      ></studio-run-progress>
      <studio-run-charts .history=${history}></studio-run-charts>`;
  },
  dpo: () =>
    html`<studio-run-progress .run=${run("DPO 1")}></studio-run-progress><studio-run-charts .history=${run("DPO 1").history}></studio-run-charts>`,
  samples: () => html`<studio-samples .groups=${sideBySide()}></studio-samples>`,
  frontier: () => html`<studio-frontier .runs=${runs.slice(0, 2)}></studio-frontier>`,
  quality: () => html`<studio-reward-model .margins=${recorded.margins}></studio-reward-model>`,
  comparison: () => html`<studio-run-comparison .runs=${runs.slice(0, 3)} .models=${models}></studio-run-comparison>`,
  form: () => html`<studio-trainer-form .datasets=${datasets} .prompts=${prompts} .models=${models} modelId="base"></studio-trainer-form>`,
  "form-grpo": () =>
    html`<studio-trainer-form
      .datasets=${{ ...datasets, preference: [] }}
      .prompts=${prompts}
      .models=${models}
      .error=${"grpo: `learningRate` must be a number at least 0, got -1; `perDeviceTrainBatchSize × stepsPerGeneration` must be a multiple of numGenerations (8), so that groups are whole, got 30. Correct these options."}
    ></studio-trainer-form>`,
  training: () => html`<studio-training .studio=${studio}></studio-training>`,
  failed: () =>
    html`<studio-run-progress
      .run=${run("GRPO 2", { status: "failed", error: "grpo: `beta` must be a number at least 0, got -1. Correct these options." })}
    ></studio-run-progress>`,
};

const sheet = new CSSStyleSheet();
sheet.replaceSync(
  `${pageTokens.cssText}${
    css`
      body {
        margin: 0;
        background: var(--trimtab-canvas);
        color: var(--trimtab-text);
        font: 1rem/1.5 var(--trimtab-font);
      }
      main {
        display: grid;
        gap: 1.25rem;
        max-width: 72rem;
        margin: 0 auto;
        padding: 1.5rem;
      }
      @media (max-width: 40rem) {
        main {
          padding: 0.75rem;
        }
      }
    `.cssText
  }`,
);
document.adoptedStyleSheets = [sheet];
const main = document.querySelector("main") as HTMLElement;
for (const type of ["run-action", "run-start", "run-rename", "run-remove", "comparison-request", "quality-request"]) {
  main.addEventListener(type, (event) => events.push({ type, detail: (event as CustomEvent).detail }));
}
Object.assign(globalThis, {
  events,
  exhibits: Object.keys(exhibits),
  async show(name: string) {
    render(nothing, main);
    events.length = 0;
    render((exhibits[name] as () => TemplateResult)(), main);
    // what is seen draws in frames of its own: after the first it is known what that is
    for (let frame = 0; frame < 3; frame++) await inFrame(() => {});
  },
});
