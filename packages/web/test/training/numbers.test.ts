/** What the training views compute themselves: plots, shades, pace, quality, data for trainers, refused options, differences, the report. */
import { describe, expect, it } from "vitest";
import type { Datasets, StudioRun } from "../../studio/store";
import { optionDifferences, overlaidCharts } from "../../studio/training/compared-runs";
import { heldOutMargins } from "../../studio/training/held-out-margins";
import { formatDuration, formatShare, formatSigned, formatValue } from "../../studio/training/numbers";
import { optionErrors } from "../../studio/training/option-errors";
import { plotData, valueAt } from "../../studio/training/plot-data";
import { histogramOf, rewardQuality } from "../../studio/training/reward-quality";
import { paceOf } from "../../studio/training/run-pace";
import { runReport } from "../../studio/training/run-report";
import { scaleOf, shadeOf } from "../../studio/training/token-measures";
import { ADAPTER_FIELDS, learningRateFor, TRAINERS } from "../../studio/training/trainers";
import { dataChoices, splitHeldOut } from "../../studio/training/training-data";

const run = (name: string, options: StudioRun["setup"]["options"], history: StudioRun["history"]): StudioRun => ({
  id: name,
  name,
  setup: {
    algorithm: "grpo",
    modelId: "base",
    rewards: [{ rule: "format", options: { pattern: "a" } }],
    options,
    rows: [{ prompt: "<p>" }],
  },
  status: "finished",
  maxSteps: 3,
  history,
  samples: [],
  createdAt: 0,
  elapsedMs: 61_000,
});

it("writes numbers for people", () => {
  expect([0, 0.01234, -0.5, 12.345, 12345.6, 2e-5, Number.NaN].map(formatValue)).toEqual([
    "0",
    "0.0123",
    "−0.5",
    "12.35",
    "12,346",
    "2.0e−5",
    "none",
  ]);
  expect([0.2, -0.2, 0].map(formatSigned)).toEqual(["+0.2", "−0.2", "0"]);
  expect(formatShare(0.125)).toBe("12.5 %");
  expect([900, 61_000, 3_723_000].map(formatDuration)).toEqual(["1 s", "1 min 01 s", "1 h 02 min"]);
});

describe("plots", () => {
  it("share one axis, with gaps where a series has no value", () => {
    const chart = {
      title: "t",
      xLabel: "step",
      yLabel: "y",
      series: [
        {
          name: "a",
          points: [
            [1, 5],
            [3, 7],
          ] as const,
        },
        {
          name: "b",
          mark: "dots" as const,
          points: [
            [2, Number.NaN],
            [3, 1],
            [0, 4],
          ] as const,
        },
      ],
    };
    const { x, lines } = plotData(chart, true);
    expect(x).toEqual([0, 1, 3]);
    expect(lines.map(({ role, values }) => [role, values])).toEqual([
      ["whole", [null, 5, 7]],
      ["whole", [4, null, 1]],
    ]);
    expect([valueAt([1, null, 3, null], undefined), valueAt([1, null, 3], 1), valueAt([null], 0)]).toEqual([3, 1, undefined]);
  });

  it("smooth long lines, and keep the raw one behind", () => {
    const points = Array.from({ length: 40 }, (_, i): [number, number] => [i, i % 2]);
    const roles = (smooth: boolean, ofChart?: boolean) =>
      plotData({ title: "t", xLabel: "x", yLabel: "y", smooth: ofChart, series: [{ name: "a", points }] }, smooth).lines.map(
        ({ role }) => role,
      );
    expect([roles(true), roles(false), roles(true, false)]).toEqual([["raw", "smooth"], ["whole"], ["whole"]]);
  });
});

it("shades by sign and size, and log-probabilities by what is missing to certainty", () => {
  const at = (value: number) => shadeOf(value, "ratio", 2);
  expect([0, 0.05, 0.5, 1, 2, 9, -2, -0.5].map(at).map((shade) => shade + 0)).toEqual([0, 0, 1, 3, 5, 5, -5, -1]);
  expect([1, 0.5, 0.01].map((p) => shadeOf(Math.log(p), "logp", 1) + 0)).toEqual([0, 3, 5]);
  const tokens = [
    { text: "a", logp: -1, refLogp: -4.26 },
    { text: "b", logp: -2 },
  ];
  expect([scaleOf(tokens, "ratio"), scaleOf([], "ratio")]).toEqual([3.3, 0.5]);
});

it("tells pace and time left from the steps that were timed", () => {
  const history = [1, 2, 3].map((step) => ({ step, metrics: { step_time: step === 1 ? 9 : 2, num_tokens: 100 * step } }));
  expect(paceOf({ history, maxSteps: 13 })).toEqual({ step: 3, tokensPerSecond: 50, msLeft: 20_000 });
  expect(paceOf({ history: [], maxSteps: 5 })).toEqual({ step: 0, tokensPerSecond: undefined, msLeft: undefined });
});

const none: Datasets = { preference: [], unpaired: [], ranked: [], rated: [], correction: [], sft: [] };

describe("a reward model's quality", () => {
  it("is what its margins say", () => {
    const { accuracy, meanMargin, calibration } = rewardQuality([2, -1, 0, 3]);
    expect([accuracy, meanMargin]).toEqual([0.5, 1]);
    expect(calibration.bins.reduce((sum, { count }) => sum + count, 0)).toBe(4);
    // confidence 0.5 of the tie, which is wrong: its bin is off by a half
    expect(calibration.bins[5]).toMatchObject({ count: 1, confidence: 0.5, frequency: 0 });
  });

  it("has bins with an edge at 0, and a tie on the wrong side", () => {
    const bins = histogramOf([-1.2, 0, 0.1, 5.9, 6]);
    expect(bins.some(({ low }) => low === 0)).toBe(true);
    expect(bins.filter(({ high }) => high <= 0).reduce((sum, { count }) => sum + count, 0)).toBe(2);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(5);
  });

  it("compares good with bad completions where there are no pairs", async () => {
    const score = async (rows: readonly { completion: unknown }[]) => rows.map(({ completion }) => Number(completion));
    const rows = [
      ["3", true],
      ["1", false],
      ["5", true],
      ["4", true],
      ["2", false],
    ].map(([completion, label]) => ({ prompt: "p", completion, label }));
    expect(await heldOutMargins({ score }, rows)).toEqual([2, 3, 3]);
    expect(await heldOutMargins({ score }, [{ prompt: "p", chosen: "7", rejected: "2" }])).toEqual([5]);
    const ofRanking = await heldOutMargins({ score }, [{ prompt: "p", completions: ["1", "4", "2"], ranks: [3, 1, 2] }]);
    expect(ofRanking.toSorted()).toEqual([1, 2, 3]);
    const rated = [1, 5, 3].map((rating) => ({ prompt: "p", completion: String(rating), rating }));
    const normalised = dataChoices("reward", { ...none, rated })[0]?.rows ?? [];
    expect(normalised).toHaveLength(3);
    expect((await heldOutMargins({ score }, normalised)).toSorted()).toEqual([2, 2, 4]);
  });
});

describe("data for trainers", () => {
  const pair = { prompt: "p", chosen: "a", rejected: "b" };
  const datasets: Datasets = { ...none, preference: [pair, pair] };

  it("is converted where it must be", () => {
    expect(dataChoices("dpo", datasets).map(({ id, rows }) => [id, rows.length])).toEqual([["preference", 2]]);
    expect(dataChoices("kto", datasets)[0]?.rows.filter(({ label }) => label)).toHaveLength(2);
    expect(dataChoices("sft", datasets)[0]?.rows[0]).toMatchObject({ prompt: "p", completion: "a" });
    expect(dataChoices("grpo", datasets)).toEqual([]);
  });

  it("is split for a reward model only where there is enough", () => {
    expect(splitHeldOut(Array(9).fill(pair)).heldOut).toEqual([]);
    // prompts a to f, in turn: e is the fifth
    const { rows, heldOut } = splitHeldOut(Array.from({ length: 11 }, (_, i) => ({ prompt: "abcdef"[i % 6] as string, i })));
    expect(heldOut).toEqual([
      { prompt: "e", i: 4 },
      { prompt: "e", i: 10 },
    ]);
    expect(rows.map(({ i }) => i)).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9]);
  });
});

it("puts what was refused beside its option, and the rest where it is seen", () => {
  const known = ["learningRate", "perDeviceTrainBatchSize"];
  const { fields, rest } = optionErrors(
    "grpo: `learningRate` must be a number at least 0, got NaN; `perDeviceTrainBatchSize × stepsPerGeneration` must be a multiple of numGenerations (3), got 8; `other` must be 1, got 2. Correct these options.",
    known,
  );
  expect([...fields]).toEqual([
    ["learningRate", "It must be a number at least 0, got NaN."],
    ["perDeviceTrainBatchSize", "Times stepsPerGeneration, it must be a multiple of numGenerations (3), got 8."],
  ]);
  expect(rest).toBe("`other` must be 1, got 2");
  expect(optionErrors("The engine is gone.", known)).toMatchObject({ rest: "The engine is gone." });
  expect(optionErrors("", known).rest).toBe("");
});

it("offers smaller steps to larger models, and every option once", () => {
  expect([4e5, 5e6, 5e7, 1e9].map((count) => learningRateFor("dpo", count, false))).toEqual([1e-3, 3e-4, 5e-5, 1e-5]);
  expect([learningRateFor("dpo", 1e9, true), learningRateFor("grpo", 1e9, true)]).toEqual([5e-5, 2.5e-5]);
  for (const trainer of TRAINERS) {
    const names = [...trainer.fields, ...ADAPTER_FIELDS].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  }
});

describe("compared runs", () => {
  const a = run("A", { beta: 0, seed: 1 }, [{ step: 1, metrics: { reward: 1 } }]);
  const b = run("B", { beta: 0.1, seed: 1 }, [{ step: 1, metrics: { reward: 2, kl: 0.1, "completions/mean_length": 10 } }]);

  it("differ in what differs", () => {
    expect(optionDifferences([a, b], () => "base")).toEqual([{ name: "beta", values: ["0", "0.1"] }]);
    const adapted = { ...a, setup: { ...a.setup, adapter: { r: 4, loraAlpha: 8 } } };
    expect(optionDifferences([a, adapted], () => "base")).toEqual([
      { name: "trained", values: ["all weights", "adapter of rank 4 and alpha 8 on queries and values"] },
    ]);
  });

  it("are laid over each other, each in its colour", () => {
    expect(overlaidCharts([a, b]).map(({ chart, places }) => [chart.title, chart.series.map(({ name }) => name), places])).toEqual([
      ["Reward", ["A", "B"], [0, 1]],
      ["KL to the starting policy", ["B"], [1]],
      ["Completion length", ["B"], [1]],
    ]);
  });

  it("are reported in one page with nothing from elsewhere, escaped", () => {
    const comparison = {
      step: 1,
      groups: [{ prompt: "<i>", samples: [{ title: "Trained", completion: "<script>", tokens: [{ text: "x", logp: -1, refLogp: -3 }] }] }],
    };
    const html = runReport({ run: { ...b, comparison }, models: [], engine: undefined, environment: [["Browser", "a & b"]] });
    expect(html).not.toMatch(/(src|href)\s*=|https?:|@import|url\(/);
    expect(html).toContain("&lt;script&gt;");
    expect(html).toContain("a &amp; b");
    expect(html).toContain("<td>+2</td>");
    expect(html.match(/<svg/g)).toHaveLength(4);
  });
});
