/** The views by name, each loaded when it is first shown, or when the page has nothing else to do: what is not seen yet holds up nothing. */
import { html, type TemplateResult } from "lit";
import type { ViewName } from "./store";
import type { Studio } from "./studio";

interface View {
  load(): Promise<unknown>;
  show(studio: Studio): TemplateResult;
}

export const VIEWS: Readonly<Record<ViewName, View>> = {
  model: {
    load: () => import("./views/model-view"),
    show: (studio) => html`<studio-model-view .studio=${studio}></studio-model-view>`,
  },
  prompts: {
    load: () => import("./views/prompts-view"),
    show: (studio) => html`<studio-prompts-view .studio=${studio}></studio-prompts-view>`,
  },
  sample: {
    load: () => import("./views/sample-view"),
    show: (studio) => html`<studio-sample-view .studio=${studio}></studio-sample-view>`,
  },
  feedback: {
    load: () => import("./views/feedback-view"),
    show: (studio) => html`<studio-feedback-view .studio=${studio}></studio-feedback-view>`,
  },
  train: {
    load: () => import("./views/train-view"),
    show: (studio) => html`<studio-train-view .studio=${studio}></studio-train-view>`,
  },
  export: {
    load: () => import("./views/export-view"),
    show: (studio) => html`<studio-export-view .studio=${studio}></studio-export-view>`,
  },
};
