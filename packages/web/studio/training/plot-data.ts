/** From a chart as data to what uPlot draws: one shared axis of x, and for every line its values there. */
import { type Chart, type Series, smoothed } from "@trimtab/core";

/** A line or a set of dots as it is drawn. */
export interface PlotLine {
  readonly name: string;
  readonly series: number;
  /** raw: behind its smoothed line; whole: the only one; smooth: the smoothed one. */
  readonly role: "raw" | "whole" | "smooth";
  readonly mark: "line" | "dots";
  /** Value at each x; null where the series has none. */
  readonly values: readonly (number | null)[];
}

export interface PlotData {
  readonly x: readonly number[];
  readonly lines: readonly PlotLine[];
}

/** Fewer points are drawn as they are. */
const LEAST_SMOOTHED = 13;

/** Points whose y is not finite are left out. `smooth` draws long lines as a moving average over the raw one. */
export function plotData(chart: Chart, smooth: boolean): PlotData {
  const series = chart.series.map((own) => ({ ...own, points: own.points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)) }));
  const x = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const place = new Map(x.map((at, i) => [at, i]));
  const valuesOf = (points: Series["points"]) => {
    const values = new Array<number | null>(x.length).fill(null);
    for (const [at, value] of points) values[place.get(at) as number] = value;
    return values;
  };
  const lines = series.flatMap(({ name, points, mark = "line" }, index): PlotLine[] => {
    const line = (role: PlotLine["role"], drawn: Series["points"]): PlotLine => ({
      name,
      series: index,
      role,
      mark,
      values: valuesOf(drawn),
    });
    const isSmoothed = smooth && chart.smooth !== false && mark === "line" && points.length >= LEAST_SMOOTHED;
    return isSmoothed ? [line("raw", points), line("smooth", smoothed(points))] : [line("whole", points)];
  });
  return { x, lines };
}

/** The last value at or before place `at`, or the last of all: what a legend shows. */
export function valueAt(values: readonly (number | null)[], at: number | undefined): number | undefined {
  for (let i = at ?? values.length - 1; i >= 0; i--) {
    const value = values[i];
    if (typeof value === "number") return value;
  }
  return undefined;
}
