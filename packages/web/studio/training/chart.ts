/** `<studio-chart>`: one chart of a run, drawn by uPlot; read by pointer, by arrow keys, or as a table. */
import type { Chart } from "@trimtab/core";
import { css, html, nothing, type PropertyValues, svg, unsafeCSS } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import uPlot from "uplot";
import uPlotStyle from "uplot/dist/uPlot.min.css?inline";
import { controls } from "../../src/feedback/controls";
import { elementTokens } from "../../src/feedback/theme";
import { FramedElement, inFrame } from "./animation-frame";
import { figureCard } from "./figure-card";
import { formatValue } from "./numbers";
import { DASHES, SERIES_COUNT, seriesColours } from "./palette";
import { type PlotData, type PlotLine, plotData, valueAt } from "./plot-data";

/** Rows of the table beyond which only every second, third, ... step is shown. */
const MOST_ROWS = 200;

@customElement("studio-chart")
export class StudioChart extends FramedElement {
  static override styles = [
    elementTokens,
    controls,
    figureCard,
    seriesColours,
    unsafeCSS(uPlotStyle),
    css`
      figure {
        display: grid;
        grid-template-rows: auto auto 1fr;
        height: 100%;
      }
      .values {
        display: flex;
        flex-wrap: wrap;
        gap: 0 var(--_space-4);
        margin: var(--_space-2) 0 var(--_space-1);
        padding: 0;
        list-style: none;
        font-size: var(--_size-small);
      }
      .values li {
        display: inline-flex;
        align-items: center;
        gap: 0.4rem;
      }
      .values svg {
        flex: none;
        width: 1.5rem;
        height: 0.5rem;
      }
      .values .name {
        overflow-wrap: anywhere;
        color: var(--_text-muted);
      }
      .values b {
        font-weight: 650;
        font-variant-numeric: tabular-nums;
      }
      .values .at {
        margin-inline-start: auto;
        color: var(--_text-muted);
        font-variant-numeric: tabular-nums;
      }
      .plot {
        align-self: end;
        min-width: 0;
        min-height: 11.875rem;
        border-radius: var(--_radius-small);
        touch-action: pan-y;
      }
      .plot:focus-visible {
        outline-offset: 4px;
      }
      .plot .u-cursor-x {
        border-right-color: var(--_text-muted);
      }
      .empty {
        display: grid;
        place-items: center;
        margin: 0;
        min-height: 11.875rem;
        color: var(--_text-muted);
        font-size: var(--_size-small);
      }
      .scroll {
        overflow: auto;
        max-height: 14.375rem;
        border: 1px solid var(--_border);
        border-radius: var(--_radius-small);
      }
      table {
        width: 100%;
        border-collapse: collapse;
        font-size: var(--_size-small);
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 0.25rem 0.75rem;
        text-align: end;
        border-bottom: 1px solid var(--_border);
      }
      th {
        position: sticky;
        top: 0;
        background: var(--_sunken);
        font-weight: 600;
      }
    `,
  ];

  @property({ attribute: false }) chart!: Chart;
  /** Colour of each series; default: in order. */
  @property({ attribute: false }) colours: readonly number[] | undefined;
  @property({ type: Boolean }) smooth = false;
  /** Of the plot, in pixels. */
  @property({ type: Number }) height = 190;
  /** Shows the numbers instead of the curves. */
  @property({ type: Boolean }) tabular = false;

  /** Which x the pointer or the keys are at. */
  @state() private at: number | undefined;
  @query(".plot") private readonly place!: HTMLElement | null;

  #data: PlotData = { x: [], lines: [] };
  #plot: uPlot | undefined;
  #shape = "";
  /** What the plot shows. */
  #plotted: PlotData | undefined;
  #isPlotting = false;
  /** In sight, or nearly: what is not is plotted when it comes to be. */
  #isNear = false;
  readonly #resized = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry?.contentRect.width ?? 0);
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.height });
    else if (!this.#plot) void this.#replot();
  });
  readonly #seen = new IntersectionObserver(
    ([entry]) => {
      this.#isNear = entry?.isIntersecting ?? false;
      void this.#replot();
    },
    { rootMargin: "200px" },
  );
  /** On paper there is no scrolling: what was never in sight is plotted, too. */
  readonly #printing = () => {
    this.#isNear = true;
    this.#plotNow();
  };
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  readonly #themed = new MutationObserver(() => this.#recolour());
  readonly #recolour = () => {
    this.#shape = "";
    this.requestUpdate();
  };

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("beforeprint", this.#printing);
    this.#dark.addEventListener("change", this.#recolour);
    this.#themed.observe(document.documentElement, { attributes: true });
    this.#seen.observe(this);
  }

  override disconnectedCallback(): void {
    removeEventListener("beforeprint", this.#printing);
    this.#dark.removeEventListener("change", this.#recolour);
    this.#themed.disconnect();
    this.#resized.disconnect();
    this.#seen.disconnect();
    this.#isNear = false;
    this.#destroy();
    super.disconnectedCallback();
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("chart") || changed.has("smooth")) {
      this.#data = plotData(this.chart, this.smooth);
      if (this.at !== undefined && this.at >= this.#data.x.length) this.at = undefined;
    }
  }

  override render() {
    const { title, description } = this.chart;
    const isEmpty = this.#data.x.length === 0;
    return html`<figure>
      <figcaption>
        <h3>${title}</h3>
        ${description ? html`<p>${description}</p>` : nothing}
      </figcaption>
      ${isEmpty ? nothing : this.#values()}
      ${isEmpty ? html`<p class="empty">Nothing yet.</p>` : this.tabular ? this.#table() : this.#slider()}
    </figure>`;
  }

  override updated(): void {
    if (this.place) this.#resized.observe(this.place);
    else this.#destroy();
    if (this.#plot) this.#plotNow();
    else void this.#replot();
  }

  /** Plots in a frame of its own: a page of charts would keep a person waiting. */
  async #replot(): Promise<void> {
    if (this.#isPlotting || !this.#isNear) return;
    this.#isPlotting = true;
    await inFrame(() => {
      this.#isPlotting = false;
      this.#plotNow();
    });
  }

  #plotNow(): void {
    const { place } = this;
    if (!place || !this.#isNear) return;
    const shape = JSON.stringify([this.#data.lines.map(({ name, role, mark }) => [name, role, mark]), this.colours, this.chart.yLabel]);
    if (this.#plot && this.#shape === shape && this.#plot.root.parentElement === place) {
      if (this.#plotted !== this.#data) this.#plot.setData(this.#columns());
      this.#plotted = this.#data;
      return;
    }
    const width = Math.floor(place.clientWidth);
    if (width === 0) return;
    this.#destroy();
    this.#shape = shape;
    this.#plotted = this.#data;
    this.#plot = new uPlot(this.#options(width), this.#columns(), place);
  }

  #destroy(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  /** Legend and values in one: at the cursor, or the last ones. */
  #values() {
    const { x, lines } = this.#data;
    const shown = lines.filter(({ role }) => role !== "raw");
    return html`<ul class="values">
      ${shown.map((line) => {
        const value = valueAt(line.values, this.at);
        return html`<li>
          ${this.#swatch(line)}<span class="name">${line.name}</span>${value === undefined || line.mark === "dots" ? nothing : html`<b>${formatValue(value)}</b>`}
        </li>`;
      })}
      <li class="at">${this.at === undefined ? nothing : `${this.chart.xLabel} ${formatValue(x[this.at] as number)}`}</li>
    </ul>`;
  }

  #swatch({ series, mark }: PlotLine) {
    const colour = this.#colourOf(series);
    const shape =
      mark === "dots"
        ? svg`<circle cx="12" cy="4" r="3" fill="currentColor"></circle>`
        : svg`<line x1="0" x2="24" y1="4" y2="4" stroke="currentColor" stroke-width="2.5" stroke-dasharray=${this.#dashOf(series).join(" ") || "none"}></line>`;
    return html`<svg class="series-${colour}" data-series=${series} viewBox="0 0 24 8" aria-hidden="true">${shape}</svg>`;
  }

  /** The curves: a slider over x, so that a screen reader says the values at each step. */
  #slider() {
    const { x } = this.#data;
    const last = x.length - 1;
    const at = this.at ?? last;
    return html`<div
      class="plot"
      role="slider"
      tabindex="0"
      aria-label=${`${this.chart.title}: ${this.chart.yLabel} by ${this.chart.xLabel}`}
      aria-valuemin=${x[0] as number}
      aria-valuemax=${x[last] as number}
      aria-valuenow=${x[at] as number}
      aria-valuetext=${this.#spoken(at)}
      @keydown=${this.#onKey}
      @focus=${() => this.#moveTo(at)}
      @blur=${() => this.#plot?.setCursor({ left: -10, top: -10 })}
    ></div>`;
  }

  #spoken(at: number): string {
    const values = this.#data.lines.flatMap(({ name, role, values: own }) => {
      const value = own[at];
      return role === "raw" || typeof value !== "number" ? [] : [`${name} ${formatValue(value)}`];
    });
    return `${this.chart.xLabel} ${formatValue(this.#data.x[at] as number)}: ${values.join(", ")}`;
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.#data.x.length - 1;
    const at = this.at ?? last;
    const leap = Math.max(1, Math.round(last / 10));
    const next = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageDown: at - leap,
      PageUp: at + leap,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.#moveTo(Math.min(last, Math.max(0, next)));
  }

  #moveTo(at: number): void {
    this.at = at;
    this.#plot?.setCursor({ left: this.#plot.valToPos(this.#data.x[at] as number, "x"), top: 20 });
  }

  #table() {
    const { x, lines } = this.#data;
    const raw = lines.filter(({ role }) => role !== "smooth");
    const every = Math.ceil(x.length / MOST_ROWS);
    const rows = x.map((_, i) => i).filter((i) => i % every === 0 || i === x.length - 1);
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${`${this.chart.title} as a table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">${this.chart.xLabel}</th>
            ${raw.map(({ name }) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (i) =>
              html`<tr>
                <td>${formatValue(x[i] as number)}</td>
                ${raw.map(({ values }) => html`<td>${typeof values[i] === "number" ? formatValue(values[i]) : ""}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  }

  #columns(): uPlot.AlignedData {
    return [this.#data.x, ...this.#data.lines.map(({ values }) => values)] as uPlot.AlignedData;
  }

  #colourOf(series: number): number {
    return (this.colours?.[series] ?? series) % SERIES_COUNT;
  }

  #dashOf(series: number): readonly number[] {
    return DASHES[this.#colourOf(series)] as readonly number[];
  }

  #options(width: number): uPlot.Options {
    const style = getComputedStyle(this.place as HTMLElement);
    const muted = getComputedStyle(this.renderRoot.querySelector(".at") as Element).color;
    const rule = getComputedStyle(this.renderRoot.querySelector("figure") as Element).borderTopColor;
    const axis: uPlot.Axis = {
      stroke: muted,
      font: `12px ${style.fontFamily}`,
      grid: { stroke: rule, width: 1 },
      ticks: { show: false },
      gap: 6,
      values: (_, splits) => splits.map((split) => (split === null ? null : formatValue(split))),
    };
    return {
      width,
      height: this.height,
      padding: [8, 12, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: false }, y: { range: (_, low, high) => rangeOf(low, high) } },
      axes: [
        {
          ...axis,
          ...this.#xLabel(),
          grid: { show: false },
          size: 28,
          space: 60,
          incrs: [1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, ...wholeSteps],
        },
        { ...axis, size: (_, values) => 14 + 7 * Math.max(1, ...(values ?? []).map((text) => text?.length ?? 0)), space: 34 },
      ],
      series: [{}, ...this.#data.lines.map((line) => this.#series(line))],
      hooks: {
        setCursor: [
          (plot) => {
            this.at = plot.cursor.idx ?? undefined;
          },
        ],
      },
    };
  }

  /** Steps need no name. */
  #xLabel(): Partial<uPlot.Axis> {
    const { xLabel } = this.chart;
    return xLabel === "step" ? {} : { label: xLabel, labelSize: 22, labelGap: 2, labelFont: `12px ${getComputedStyle(this).fontFamily}` };
  }

  #series({ series, role, mark }: PlotLine): uPlot.Series {
    const swatch = this.renderRoot.querySelector(`svg[data-series="${series}"]`) as Element;
    const stroke = getComputedStyle(swatch).color;
    if (mark === "dots") {
      return {
        stroke,
        paths: () => null,
        points: { show: true, size: 7, width: 1.5, fill: `color-mix(in srgb, ${stroke} 35%, transparent)` },
      };
    }
    const isRaw = role === "raw";
    return {
      stroke,
      width: isRaw ? 1 : 2,
      alpha: isRaw ? 0.32 : 1,
      ...(isRaw ? {} : { dash: [...this.#dashOf(series)] }),
      spanGaps: true,
      points: { show: (_, __, first, last) => last - first < 2 },
    };
  }
}

/** A constant gets room above and below; zero alone a unit above. */
function rangeOf(low: number, high: number): [number, number] {
  if (low !== high) return uPlot.rangeNum(low, high, 0.08, true) as [number, number];
  return low === 0 ? [0, 1] : [low - Math.abs(low) / 2, low + Math.abs(low) / 2];
}

/** Steps of an x axis from 1 up: 1, 2, 5, 10, ... */
const wholeSteps = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].flatMap((power) => [power, 2 * power, 5 * power]);

declare global {
  interface HTMLElementTagNameMap {
    "studio-chart": StudioChart;
  }
}
