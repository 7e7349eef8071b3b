/** The page of the training views' tests: shows one element with recorded data, chosen by `globalThis.show`. */
import { css, html, render, type TemplateResult } from "lit";
import { pageTokens } from "../../src/feedback/theme";
import type { StudioRun } from "../../studio/store";
import "../../studio/training/run-charts";
import "../../studio/training/run-progress";
import recorded from "./recorded-runs.json";

const runs = recorded.runs as unknown as readonly StudioRun[];
const run = (name: string, change: Partial<StudioRun> = {}) => ({ ...(runs.find((own) => own.name === name) as StudioRun), ...change });
const events: { readonly type: string; readonly detail: unknown }[] = [];

const exhibits: Readonly<Record<string, () => TemplateResult>> = {
  grpo: () => {
    const live = run("GRPO 1", { status: "running" });
    const history = live.history.slice(0, 42);
    return html`<studio-run-progress
        .run=${{ ...live, history, elapsedMs: 33_600, checkpoint: { step: 40, place: { storage: "x" } } }}
      ></studio-run-progress>
      <studio-run-charts .history=${history}></studio-run-charts>`;
  },
  dpo: () => html`<studio-run-progress .run=${run("DPO 1")}></studio-run-progress><studio-run-charts .history=${run("DPO 1").history}></studio-run-charts>`,
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
  show: (name: string) => render((exhibits[name] as () => TemplateResult)(), main),
});
