/** `<studio-reward-model>`: how far a reward model can be trusted: accuracy, calibration, and how its margins are spread. */
import type { Chart } from "@trimtab/core";
import { css, html, LitElement, svg } from "lit";
import { customElement, property } from "lit/decorators.js";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import { figureCard } from "./figure-card";
import { formatShare, formatSigned, formatValue } from "./numbers";
import { rewardQuality } from "./reward-quality";
import "./chart";

const WIDTH = 420;
const HEIGHT = 190;
const BOTTOM = 24;

@customElement("studio-reward-model")
export class StudioRewardModel extends LitElement {
  static override styles = [
    elementTokens,
    controls,
    figureCard,
    css`
      :host {
        --_wrong: light-dark(#c9661d, #e08a45);
        --_right: light-dark(#2f6fb5, #77b2f2);
      }
      .figures {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr));
        gap: var(--_space-3);
        margin: 0 0 var(--_space-4);
      }
      .figures div {
        padding: var(--_space-3) var(--_space-4);
        border: 1px solid var(--_border);
        border-radius: var(--_radius);
        background: var(--_surface);
      }
      dt,
      .note {
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
      dd {
        margin: 0;
        font-size: 1.5rem;
        font-weight: 650;
        line-height: 1.3;
        font-variant-numeric: tabular-nums;
      }
      dd.note {
        font-size: var(--_size-small);
        font-weight: 400;
      }
      .charts {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
        gap: var(--_space-4);
      }
      figure {
        display: flex;
        flex-direction: column;
      }
      figcaption p {
        margin-bottom: var(--_space-3);
      }
      svg {
        width: 100%;
        height: auto;
        margin-top: auto;
        overflow: visible;
      }
      .right {
        fill: var(--_right);
      }
      .wrong {
        fill: var(--_wrong);
      }
      line {
        stroke: var(--_border-control);
      }
      text {
        fill: var(--_text-muted);
        font-size: 12px;
        font-variant-numeric: tabular-nums;
      }
    `,
  ];

  /** Score of the better minus that of the worse completion, of comparisons it was not trained on. */
  @property({ attribute: false }) margins: readonly number[] = [];

  override render() {
    if (this.margins.length === 0) return html`<p class="note">No comparisons were kept back to judge it by.</p>`;
    const { accuracy, meanMargin, calibration, histogram } = rewardQuality(this.margins);
    const { expectedCalibrationError, brierScore, bins } = calibration;
    const figure = (label: string, value: string, note: string) =>
      html`<div><dt>${label}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>`;
    return html`<dl class="figures">
        ${figure("Pairs in order", formatShare(accuracy), `of ${this.margins.length} held out; half by chance`)}
        ${figure("Mean margin", formatSigned(meanMargin), "better less worse")}
        ${figure("Calibration error", formatShare(expectedCalibrationError), "how far confidence is off, on average")}
        ${figure("Brier score", formatValue(brierScore), "0 is perfect, 0.25 a coin")}
      </dl>
      <div class="charts">
        <studio-chart .chart=${reliability(bins)} .colours=${[0, 7]}></studio-chart>
        ${this.#histogram(histogram)}
      </div>`;
  }

  #histogram(bins: ReturnType<typeof rewardQuality>["histogram"]) {
    const most = Math.max(...bins.map(({ count }) => count));
    const width = WIDTH / bins.length;
    const top = (count: number) => 16 + (HEIGHT - BOTTOM - 16) * (1 - count / most);
    const zero = bins.findIndex(({ low }) => low === 0);
    const wrong = bins.reduce((sum, { high, count }) => sum + (high <= 0 ? count : 0), 0);
    return html`<figure>
      <figcaption>
        <h3>Margins</h3>
        <p>How far apart it puts the two of a comparison. Left of zero it has them the wrong way round.</p>
      </figcaption>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${`Margins of ${this.margins.length} comparisons: ${wrong} in the wrong order, ${this.margins.length - wrong} in the right one.`}>
        ${bins.map(({ low, high, count }, i) =>
          count === 0
            ? svg``
            : svg`<g><title>${`${formatValue(low)} to ${formatValue(high)}: ${count}`}</title>
                <rect class=${high <= 0 ? "wrong" : "right"} x=${i * width + 1} width=${Math.max(1, width - 2)} y=${top(count)} height=${HEIGHT - BOTTOM - top(count)} rx="3"></rect>
                <text x=${(i + 0.5) * width} y=${top(count) - 5} text-anchor="middle">${count}</text></g>`,
        )}
        <line x1="0" x2=${WIDTH} y1=${HEIGHT - BOTTOM} y2=${HEIGHT - BOTTOM}></line>
        <line x1=${zero * width} x2=${zero * width} y1="0" y2=${HEIGHT - BOTTOM + 5} stroke-dasharray="3 3"></line>
        ${bins.map(({ low }, i) => ((i - zero) % Math.ceil(bins.length / 8) === 0 ? svg`<text x=${i * width} y=${HEIGHT - 6} text-anchor="middle">${formatValue(low)}</text>` : svg``))}
      </svg>
    </figure>`;
  }
}

/** Confidence of each bin against how often it was right, beside the line of perfect calibration. */
function reliability(bins: ReturnType<typeof rewardQuality>["calibration"]["bins"]): Chart {
  return {
    title: "Calibration",
    description: "How often it was right, by how sure it was. On the line its confidence can be taken at its word; below it is too sure.",
    xLabel: "confidence",
    yLabel: "share right",
    smooth: false,
    series: [
      { name: "this model", points: bins.filter(({ count }) => count > 0).map(({ confidence, frequency }) => [confidence, frequency]) },
      {
        name: "perfect",
        points: [
          [0.5, 0.5],
          [1, 1],
        ],
      },
    ],
  };
}

declare global {
  interface HTMLElementTagNameMap {
    "studio-reward-model": StudioRewardModel;
  }
}
