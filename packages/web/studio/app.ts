/** `<trimtab-studio>`: the frame round the views: brand and session, the way through the steps, the device, and what there is to say. */
import { html, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { controls } from "../src/feedback/controls";
import { elementTokens } from "../src/feedback/theme";
import { appStyles } from "./app-styles";
import { autoIcon, checkIcon, closeIcon, mark, moonIcon, sunIcon, viewIcons } from "./icons";
import { nextStep, type Step, stepsOf } from "./steps";
import type { Theme, ViewName } from "./store";
import { StudioElement } from "./studio-element";
import { VIEWS } from "./views";
import "./parts/device-card";
import "./parts/elsewhere";
import "./parts/session-menu";

const THEMES: readonly { readonly theme: Theme; readonly label: string; readonly icon: TemplateResult }[] = [
  { theme: "auto", label: "Theme: as the system", icon: autoIcon },
  { theme: "light", label: "Theme: light", icon: sunIcon },
  { theme: "dark", label: "Theme: dark", icon: moonIcon },
];

@customElement("trimtab-studio")
export class TrimtabStudio extends StudioElement {
  static override styles = [elementTokens, controls, appStyles];

  #shown: ViewName | undefined;
  /** Asked for once: where that fails, the page must be loaded again. */
  readonly #asked = new Set<ViewName>();
  readonly #loaded = new Set<ViewName>();

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#loadViews();
  }

  protected override render() {
    const { session, notices, isElsewhere } = this.state;
    const steps = stepsOf(this.state);
    return html`
      <header>
        <button class="skip" @click=${this.#toMain}>Skip to the content</button>
        <span class="brand">${mark}<span>Trimtab <b>Studio</b></span></span>
        <studio-session-menu .studio=${this.studio}></studio-session-menu>
        ${this.#theme()}
      </header>
      <nav aria-label="Steps">
        <ol>
          ${steps.map((step, i) => this.#step(step, i))}
        </ol>
        <studio-device-card .studio=${this.studio}></studio-device-card>
      </nav>
      <main id="main" tabindex="-1" aria-label=${steps.find(({ view }) => view === session.view)?.title ?? ""}>
        ${isElsewhere ? html`<studio-elsewhere .studio=${this.studio}></studio-elsewhere>` : html`${this.#view(session.view)} ${this.#onward(steps)}`}
      </main>
      <div class="notices" role="log" aria-label="Messages">
        ${notices.map(
          ({ id, kind, text }) => html`<div class="notice ${kind}">
            <p>${text}</p>
            <button class="quiet icon-only" aria-label="Dismiss" @click=${() => this.studio.dismiss(id)}>${closeIcon}</button>
          </div>`,
        )}
      </div>
    `;
  }

  #step({ view, title, status, isDone }: Step, index: number) {
    const isCurrent = view === this.state.session.view;
    return html`<li>
      <button
        class="step ${isDone ? "done" : ""}"
        aria-current=${isCurrent ? "step" : "false"}
        data-view=${view}
        ?disabled=${this.state.isElsewhere}
        @click=${() => this.studio.go(view)}
      >
        <span class="badge">${viewIcons[view]}${isDone ? html`<span class="tick">${checkIcon}</span>` : ""}</span>
        <span class="words"
          ><span class="title"
            ><span class="hidden-visually">Step ${index + 1}: </span>${title}${isDone ? html`<span class="hidden-visually">, done</span>` : ""}</span
          ><span class="status">${status}</span></span
        >
      </button>
    </li>`;
  }

  #theme() {
    const index = THEMES.findIndex(({ theme }) => theme === this.state.theme);
    const { label, icon } = THEMES[index] as (typeof THEMES)[number];
    const next = THEMES[(index + 1) % THEMES.length] as (typeof THEMES)[number];
    return html`<button class="quiet icon-only theme" aria-label=${label} title=${label} @click=${() => this.studio.setTheme(next.theme)}>
      ${icon}
    </button>`;
  }

  #view(view: ViewName) {
    if (this.#loaded.has(view)) return VIEWS[view].show(this.studio);
    if (!this.#asked.has(view)) void this.#load(view);
    return "";
  }

  async #load(view: ViewName): Promise<void> {
    this.#asked.add(view);
    try {
      await VIEWS[view].load();
      this.#loaded.add(view);
      this.requestUpdate();
    } catch (error) {
      this.studio.notify("error", `This part of the studio could not be loaded; reload the page. ${(error as Error).message}`);
    }
  }

  /** Loads the views that are not shown yet, one after the other, so that they are there when they are wanted. */
  async #loadViews(): Promise<void> {
    for (const view of Object.values(VIEWS)) {
      await new Promise<void>((resolve) =>
        "requestIdleCallback" in globalThis ? requestIdleCallback(() => resolve()) : setTimeout(resolve, 100),
      );
      // one that fails is told of when it is wanted
      await view.load().catch(() => {});
    }
  }

  /** The way on, where this step is done. */
  #onward(steps: readonly Step[]) {
    const index = steps.findIndex(({ view }) => view === this.state.session.view);
    const [here, after] = [steps[index] as Step, steps[index + 1]];
    if (!here.isDone || !after) return "";
    const isNext = nextStep(this.state).view === after.view;
    return html`<p class="onward">
      <button class=${isNext ? "primary" : ""} @click=${() => this.studio.go(after.view)}>
        Next: ${after.title.toLowerCase()} <span aria-hidden="true">→</span>
      </button>
    </p>`;
  }

  #toMain(): void {
    this.renderRoot.querySelector<HTMLElement>("main")?.focus();
  }

  protected override updated(): void {
    const { view } = this.state.session;
    if (this.#shown !== undefined && this.#shown !== view) {
      scrollTo(0, 0);
      this.renderRoot.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
    }
    this.#shown = view;
    document.documentElement.dataset.theme = this.state.theme;
  }
}
