/** The report page and the small views of a run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { renderChart, smoothed } from "../src/report/chart";
import { metricCharts } from "../src/report/metric-charts";
import { renderReport } from "../src/report/render";
import { MetricsLog } from "../src/run/metrics-log";
import { formatRate, formatSeconds } from "../src/run/progress";
import { sparkline } from "../src/run/sparkline";

const folder = mkdtempSync(join(tmpdir(), "trimtab-report-"));
afterAll(() => rmSync(folder, { recursive: true }));

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

describe("metrics log", () => {
  it("writes means over a window, and the last value of counters", () => {
    const log = new MetricsLog(join(folder, "a"), { every: 2 });
    for (const step of [1, 2, 3]) log.add({ step, loss: step, num_tokens: 10 * step, kl: step === 1 ? Number.NaN : 4 });
    log.flush();
    const lines = readFileSync(log.path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      { step: 2, loss: 1.5, num_tokens: 20, kl: 4 },
      { step: 3, loss: 3, num_tokens: 30, kl: 4 },
    ]);
  });

  it("drops what a resumed run will write again, and a line cut short", () => {
    const log = new MetricsLog(join(folder, "b"));
    for (const step of [1, 2, 3]) log.add({ step, loss: step });
    writeFileSync(log.path, `${readFileSync(log.path, "utf8")}{"step":4,"lo`);
    const resumed = new MetricsLog(join(folder, "b"), { resumedStep: 2 });
    resumed.add({ step: 3, loss: 30 });
    expect(resumed.rows).toEqual([
      { step: 1, loss: 1 },
      { step: 2, loss: 2 },
      { step: 3, loss: 30 },
    ]);
    expect(readFileSync(log.path, "utf8").trim().split("\n")).toHaveLength(3);
  });
});

describe("figures in the terminal", () => {
  it("draws the lowest and the highest value as the lowest and the highest bar", () => {
    expect(sparkline([0, 1, 2, 7])).toBe("▁▂▃█");
    expect(sparkline([5, 5])).toBe("▁▁");
    expect(sparkline([])).toBe("");
    expect(
      sparkline(
        Array.from({ length: 100 }, (_, i) => i),
        10,
      ),
    ).toHaveLength(10);
  });

  it("writes times and rates for people", () => {
    expect([7, 754, 3723].map(formatSeconds)).toEqual(["0:07", "12:34", "1:02:03"]);
    expect([0.1234, 12.34, 1234, 12345, 1.5e6].map(formatRate)).toEqual(["0.123", "12.3", "1234", "12.3k", "1.50M"]);
  });
});
