/** `<studio-run-progress>`: where a run is, how fast it goes, and the buttons that steer it. */
import { css, html, LitElement, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import type { RunStatus, StudioRun } from "../store";
import { formatDuration, formatValue } from "./numbers";
import { paceOf } from "./run-pace";

/** What a person asks of a run; `<studio-run-progress>` fires `run-action` with it. */
export type RunAction = "pause" | "resume" | "stop" | "checkpoint" | "report";

const WORDS: Readonly<Record<RunStatus, string>> = {
  starting: "Getting ready",
  running: "Training",
  paused: "Paused",
  stopped: "Stopped",
  finished: "Finished",
  failed: "Failed",
};

@customElement("studio-run-progress")
export class StudioRunProgress extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    css`
      .card {
        display: grid;
        gap: var(--_space-3);
      }
      header,
      .buttons,
      dl {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: var(--_space-2) var(--_space-3);
      }
      h2 {
        margin: 0;
        font-size: var(--_size-title);
        overflow-wrap: anywhere;
      }
      .status {
        display: inline-flex;
        align-items: center;
        gap: 0.4rem;
        padding: 0.125rem 0.625rem;
        border-radius: 1rem;
        background: var(--_sunken);
        color: var(--_text-muted);
        font-size: var(--_size-small);
        font-weight: 600;
      }
      .status::before {
        content: "";
        width: 0.5rem;
        height: 0.5rem;
        border-radius: 50%;
        background: currentcolor;
      }
      .status.running {
        background: var(--_accent-soft);
        color: var(--_accent);
      }
      .status.failed {
        background: var(--_danger-soft);
        color: var(--_danger);
      }
      @media (prefers-reduced-motion: no-preference) {
        .status.running::before {
          animation: breathe 1.6s ease-in-out infinite;
        }
      }
      @keyframes breathe {
        50% {
          opacity: 0.3;
        }
      }
      .buttons {
        margin-inline-start: auto;
      }
      .buttons button {
        min-height: 2.5rem;
      }
      progress {
        appearance: none;
        width: 100%;
        height: 0.5rem;
        border: 0;
        border-radius: 1rem;
        overflow: hidden;
        background: var(--_sunken);
      }
      progress::-webkit-progress-bar {
        background: var(--_sunken);
      }
      progress::-webkit-progress-value {
        border-radius: 1rem;
        background: var(--_accent);
      }
      progress::-moz-progress-bar {
        background: var(--_accent);
      }
      dl {
        gap: var(--_space-2) var(--_space-5);
        margin: 0;
      }
      dl div {
        display: flex;
        align-items: baseline;
        gap: 0.4rem;
      }
      dt {
        order: 1;
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
      dd {
        margin: 0;
        font-weight: 650;
        font-variant-numeric: tabular-nums;
      }
      .error {
        margin: 0;
        padding: var(--_space-3) var(--_space-4);
        border-radius: var(--_radius-small);
        background: var(--_danger-soft);
        color: var(--_danger);
        overflow-wrap: anywhere;
      }
    `,
  ];

  @property({ attribute: false }) run!: StudioRun;
  /** Whether the step that is being taken must end before the last request is met. */
  @property({ type: Boolean }) waiting = false;

  override render() {
    const { run } = this;
    const { step, tokensPerSecond, msLeft } = paceOf(run);
    const isActive = run.status === "running" || run.status === "starting";
    const figure = (value: string | undefined, label: string) =>
      value === undefined ? nothing : html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
    return html`<section class="card" aria-label=${`Run ${run.name}`}>
      <header>
        <h2>${run.name}</h2>
        <span class="status ${run.status}" role="status">${this.waiting ? "Finishing the step" : WORDS[run.status]}</span>
        <div class="buttons">${this.#buttons()}</div>
      </header>
      <progress max=${run.maxSteps} .value=${step} aria-label="Steps taken">${step}</progress>
      <dl>
        ${figure(`${step.toLocaleString("en")} of ${run.maxSteps.toLocaleString("en")}`, "steps")}
        ${figure(formatDuration(run.elapsedMs), "so far")}
        ${figure(isActive && msLeft !== undefined ? formatDuration(msLeft) : undefined, "left")}
        ${figure(tokensPerSecond === undefined ? undefined : formatValue(Number(tokensPerSecond.toPrecision(3))), "tokens/s")}
        ${figure(run.checkpoint ? `step ${run.checkpoint.step}` : undefined, "last saved")}
      </dl>
      ${run.error ? html`<p class="error" role="alert">${run.error}</p>` : nothing}
    </section>`;
  }

  #buttons() {
    const { status, history, checkpoint } = this.run;
    const button = (action: RunAction, label: string, kind = "") =>
      html`<button type="button" class=${kind} ?disabled=${this.waiting} @click=${() => this.#ask(action)}>${label}</button>`;
    const report = history.length > 0 ? button("report", "Report", "quiet") : nothing;
    switch (status) {
      case "starting":
        return button("stop", "Stop");
      case "running":
        return html`${report}${button("checkpoint", "Save now", "quiet")}${button("stop", "Stop")}${button("pause", "Pause", "primary")}`;
      case "paused":
        return html`${report}${button("stop", "Stop")}${button("resume", "Go on", "primary")}`;
      case "failed":
        return html`${report}${checkpoint ? button("resume", `Go on from step ${checkpoint.step}`, "primary") : nothing}`;
      default:
        return report;
    }
  }

  #ask(action: RunAction): void {
    this.dispatchEvent(new CustomEvent<RunAction>("run-action", { detail: action, bubbles: true, composed: true }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-run-progress": StudioRunProgress;
  }
}
