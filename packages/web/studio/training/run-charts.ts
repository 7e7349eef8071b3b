/** `<studio-run-charts>`: the curves of one run, the telling ones first; smoothed or raw, drawn or as tables. */
import { type Chart, metricCharts } from "@trimtab/core";
import { css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import type { RunStep } from "../store";
import { FramedElement } from "./animation-frame";
import { SECONDARY } from "./secondary-charts";
import "./chart";
import "./switch";

@customElement("studio-run-charts")
export class StudioRunCharts extends FramedElement {
  static override styles = [
    elementTokens,
    controls,
    css`
      .bar {
        display: flex;
        flex-wrap: wrap;
        justify-content: flex-end;
        gap: var(--_space-2) var(--_space-5);
        margin-bottom: var(--_space-3);
      }
      .grid {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
        gap: var(--_space-4);
      }
      details {
        margin-top: var(--_space-4);
      }
      summary {
        width: fit-content;
        margin-bottom: var(--_space-3);
        padding: var(--_space-1) 0;
        border-radius: var(--_radius-small);
        color: var(--_text-muted);
        font-weight: 550;
        cursor: pointer;
      }
    `,
  ];

  @property({ attribute: false }) history: readonly RunStep[] = [];

  @state() private smooth = true;
  @state() private tabular = false;
  @state() private isOpen = false;

  override render() {
    const charts = metricCharts(this.history.map(({ step, metrics }) => ({ ...metrics, step })));
    const first = charts.filter(({ title }) => !SECONDARY.has(title));
    const rest = charts.filter(({ title }) => SECONDARY.has(title));
    return html`<div class="bar">
        <studio-switch .checked=${this.smooth} @change=${() => (this.smooth = !this.smooth)}>Smooth the curves</studio-switch>
        <studio-switch .checked=${this.tabular} @change=${() => (this.tabular = !this.tabular)}>Show numbers</studio-switch>
      </div>
      <div class="grid">${first.map((chart) => this.#chart(chart))}</div>
      ${
        rest.length === 0
          ? nothing
          : html`<details ?open=${this.isOpen} @toggle=${(event: Event) => (this.isOpen = (event.target as HTMLDetailsElement).open)}>
              <summary>${rest.length} more ${rest.length === 1 ? "curve" : "curves"}</summary>
              <div class="grid">${this.isOpen ? rest.map((chart) => this.#chart(chart)) : nothing}</div>
            </details>`
      }`;
  }

  #chart(chart: Chart) {
    return html`<studio-chart .chart=${chart} .smooth=${this.smooth} .tabular=${this.tabular}></studio-chart>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-run-charts": StudioRunCharts;
  }
}
