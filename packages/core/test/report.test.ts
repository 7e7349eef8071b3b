/** The report page: what it draws, and that it is self-contained and escaped. */
import { describe, expect, it } from "vitest";
import { logAxis, roundAxis } from "../src/report/axis";
import { renderChart, smoothed } from "../src/report/chart";
import { metricCharts } from "../src/report/metric-charts";
import { renderReport } from "../src/report/render";

describe("report", () => {
  const rows = [1, 2, 3].map((step) => ({ step, reward: step, "clip_ratio/low_mean": 0, "clip_ratio/high_mean": 0.1, other: 5 }));

  it("needs nothing from elsewhere and escapes what it shows", () => {
    const html = renderReport({
      title: "<b>title</b>",
      lead: "a & b",
      figures: [{ label: "Reward", value: "<1>" }],
      charts: metricCharts(rows),
      tables: [{ title: "Samples", columns: ["Prompt", "Reward"], rows: [["</td><script>alert(1)</script>", 1.23456789]] }],
    });
    expect(html).not.toMatch(/(src|href)\s*=|https?:|@import|url\(/);
    expect(html).not.toContain("<script>alert");
    expect(html).toContain("&lt;b&gt;title&lt;/b&gt;");
    expect(html).toContain('<td class="number">1.235</td>');
  });

  it("draws known metrics, each series as a path, and leaves the others out", () => {
    const charts = metricCharts(rows);
    expect(charts.map((chart) => chart.title)).toEqual(["Reward", "Clipped tokens"]);
    expect(charts[1]?.series.map((s) => s.name)).toEqual(["below", "above"]);
    expect(renderChart(charts[1]!).match(/<path/g)).toHaveLength(2);
  });

  it("survives empty, single, constant and non-finite values", () => {
    const chart = (points: [number, number][]) => renderChart({ title: "t", xLabel: "x", yLabel: "y", series: [{ name: "s", points }] });
    expect(chart([])).toContain("No values");
    expect(chart([[1, Number.NaN]])).toContain("No values");
    for (const points of [
      [[1, 2]],
      [
        [1, 2],
        [2, 2],
      ],
      [
        [1, Number.POSITIVE_INFINITY],
        [2, 1],
      ],
    ] as [number, number][][]) {
      expect(chart(points)).not.toMatch(/NaN|Infinity/);
    }
  });

  it("smooths a constant to itself and a step towards its end", () => {
    expect(
      smoothed([
        [0, 3],
        [1, 3],
        [2, 3],
      ]),
    ).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
    ]);
    const step = smoothed(Array.from({ length: 100 }, (_, i): [number, number] => [i, i < 50 ? 0 : 1]));
    expect(step[49]![1]).toBe(0);
    expect(step[99]![1]).toBeGreaterThan(0.95);
    expect(step[55]![1]).toBeLessThan(0.6);
  });
});

describe("a logarithmic chart", () => {
  it("puts equal ratios equally far apart, between round numbers", () => {
    const axis = logAxis(3, 4000, true);
    expect(axis).toMatchObject({ low: 1, high: 10_000, ticks: [1, 10, 100, 1000, 10_000] });
    expect([1, 10, 100, 10_000].map((value) => axis.at(value))).toEqual([0, 0.25, 0.5, 1]);
    expect(axis.ticks.map((tick) => axis.format(tick))).toEqual(["1", "10", "100", "1000", "10k"]);
    expect(logAxis(3, 40, false)).toMatchObject({ low: 3, high: 40, ticks: [5, 10, 20] });
    expect(logAxis(3, 40, true)).toMatchObject({ low: 2, high: 50 });
  });

  it("draws a power law as a straight line, and leaves out what has no logarithm", () => {
    const points = [0, 1, 10, 100].map((x): [number, number] => [x, x ** 2]);
    const svg = renderChart({ title: "t", xLabel: "x", yLabel: "y", logarithmic: true, series: [{ name: "s", points }] });
    const [a, b, c, ...rest] = (/class="line s0" d="M([^"]*)"/.exec(svg)?.[1] ?? "")
      .split("L")
      .map((point) => point.split(",").map(Number));
    expect(rest).toEqual([]);
    expect(b![0]! * 2).toBeCloseTo(a![0]! + c![0]!, 0);
    expect(b![1]! * 2).toBeCloseTo(a![1]! + c![1]!, 0);
  });
});

describe("axis", () => {
  const labels = (low: number, high: number, count: number, nice: boolean) => {
    const { ticks, format } = roundAxis(low, high, count, nice);
    return ticks.map(format);
  };

  it("has round ticks, written with the digits they need", () => {
    expect(labels(0, 1, 5, true)).toEqual(["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    expect(labels(-0.013, 0.021, 5, true)).toEqual(["-0.015", "-0.010", "-0.005", "0", "0.005", "0.010", "0.015", "0.020", "0.025"]);
    expect(labels(1, 60, 6, false)).toEqual(["10", "20", "30", "40", "50", "60"]);
    expect(labels(1, 20_000, 4, false)).toEqual(["5k", "10k", "15k", "20k"]);
    expect(labels(0, 3e-5, 3, true)).toEqual(["0", "1.0e-5", "2.0e-5", "3.0e-5"]);
  });

  it("covers the values where it is nice, and lies within them where not", () => {
    expect(roundAxis(0.3, 9.7, 5, true)).toMatchObject({ low: 0, high: 10 });
    expect(roundAxis(0.3, 9.7, 5, false)).toMatchObject({ low: 0.3, high: 9.7, ticks: [2, 4, 6, 8] });
  });
});
