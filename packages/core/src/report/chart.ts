/** Draws one line chart as inline SVG, coloured by the page's CSS variables so that it follows light and dark. */
import { type Axis, logAxis, roundAxis } from "./axis";
import { escapeHtml } from "./html";
import { SERIES_COLOURS } from "./page";
import type { Chart, Series } from "./report";

const WIDTH = 460;
const HEIGHT = 260;
const MARGIN = { top: 12, right: 16, bottom: 44, left: 68 };

/** The chart as a `<figure>`. Points with a non-finite y are left out; a chart without any point says so. */
export function renderChart(chart: Chart): string {
  const isDrawn = (value: number) => Number.isFinite(value) && (value > 0 || !chart.logarithmic);
  const series = chart.series.map((s) => ({ ...s, points: s.points.filter(([x, y]) => isDrawn(x) && isDrawn(y)) }));
  const points = series.flatMap((s) => s.points);
  const caption = `<figcaption><h3>${escapeHtml(chart.title)}</h3>${chart.description ? `<p>${escapeHtml(chart.description)}</p>` : ""}</figcaption>`;
  if (points.length === 0) return `<figure class="chart">${caption}<p class="empty">No values were recorded.</p></figure>`;

  const [xValues, yValues] = [points.map(([value]) => value), points.map(([, value]) => value)];
  const xAxis = chart.logarithmic ? logAxis(...ratioExtent(xValues), false) : roundAxis(...extent(xValues), 6, false);
  const yAxis = chart.logarithmic ? logAxis(...ratioExtent(yValues), true) : roundAxis(...padded(extent(yValues)), 5, true);
  const x = scale(xAxis, MARGIN.left, WIDTH - MARGIN.right);
  const y = scale(yAxis, HEIGHT - MARGIN.bottom, MARGIN.top);
  const path = (line: Series["points"]) => `M${line.map(([px, py]) => `${pixel(x(px))},${pixel(y(py))}`).join("L")}`;
  const dotsOf = (s: Series, index: number) =>
    s.points.map(([px, py]) => `<circle class="dot s${index % SERIES_COLOURS}" cx="${pixel(x(px))}" cy="${pixel(y(py))}" r="3"/>`).join("");
  const draw = (s: Series, index: number): string => {
    if (s.mark === "dots") return dotsOf(s, index);
    const smooth = chart.smooth ?? s.points.length > 12;
    const raw = `<path class="line s${index % SERIES_COLOURS}${smooth ? " raw" : ""}" d="${path(s.points)}"/>`;
    const dot = s.points.length === 1 ? dotsOf(s, index) : "";
    return raw + dot + (smooth ? `<path class="line s${index % SERIES_COLOURS}" d="${path(smoothed(s.points))}"/>` : "");
  };
  const legend =
    series.length > 1
      ? `<ul class="legend">${series.map((s, i) => `<li><span class="swatch s${i % SERIES_COLOURS}"></span>${escapeHtml(s.name)}</li>`).join("")}</ul>`
      : "";
  const bottom = HEIGHT - MARGIN.bottom;
  return `<figure class="chart">${caption}${legend}
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`${chart.title}: ${chart.yLabel} over ${chart.xLabel}`)}"
 data-plot="${escapeHtml(JSON.stringify(hoverData(series, x, y)))}">
<g class="grid">${yAxis.ticks.map((t) => `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(t)}" y2="${y(t)}"/>`).join("")}</g>
<g class="axis">${yAxis.ticks.map((t) => `<text x="${MARGIN.left - 8}" y="${y(t)}" dy="0.32em" text-anchor="end">${escapeHtml(yAxis.format(t))}</text>`).join("")}
${xAxis.ticks.map((t) => `<text x="${x(t)}" y="${bottom + 17}" text-anchor="middle">${escapeHtml(xAxis.format(t))}</text>`).join("")}
<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${bottom}" y2="${bottom}"/></g>
<text class="label" x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escapeHtml(chart.xLabel)}</text>
<text class="label" transform="translate(11 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(chart.yLabel)}</text>
${series.map(draw).join("\n")}
<line class="cursor" y1="${MARGIN.top}" y2="${bottom}" visibility="hidden"/></svg><output></output></figure>`;
}

/** Exponential moving average whose memory is a tenth of the series. */
export function smoothed(points: Series["points"]): [number, number][] {
  const keep = 1 - 1 / Math.max(1, points.length / 10);
  let total = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    total = keep * total + (1 - keep || 1) * y;
    weight = keep * weight + (1 - keep || 1);
    return [x, total / weight];
  });
}

type Scale = (value: number) => number;

function scale(axis: Axis, from: number, to: number): Scale {
  return (value) => from + axis.at(value) * (to - from);
}

/** A tenth of a pixel is finer than any screen shows. */
const pixel = (value: number) => Math.round(value * 10) / 10;

/** What the page's script needs to show values under the pointer: names, and (x, y, value) of every point. */
function hoverData(series: readonly Series[], x: Scale, y: Scale) {
  return series.map((s) => ({
    name: s.name,
    points: s.points.map(([step, value]) => [pixel(x(step)), pixel(y(value)), step, Number(value.toPrecision(5))]),
  }));
}

function extent(values: readonly number[]): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** One value alone gets room on both sides. */
function ratioExtent(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? [low / 2, high * 2] : [low, high];
}

function padded([low, high]: [number, number]): [number, number] {
  const pad = (high - low) * 0.06;
  return [low >= 0 && low < pad * 2 ? 0 : low - pad, high + pad];
}
