/** The small views of a run: its log and its figures in the terminal. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { MetricsLog } from "../src/run/metrics-log";
import { formatRate, formatSeconds } from "../src/run/progress";
import { sparkline } from "../src/run/sparkline";

const folder = mkdtempSync(join(tmpdir(), "trimtab-report-"));
afterAll(() => rmSync(folder, { recursive: true }));

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
