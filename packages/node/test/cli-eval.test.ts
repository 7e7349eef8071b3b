/** `trimtab eval`, run in this process: figures and page of a small model against a reference, with rewards and in an environment. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConfigError,
  type FrontierPoint,
  frontierChart,
  newLanguageModel,
  type PolicyEvaluation,
  renderChart,
  Tokenizer,
  type WinRate,
} from "@trimtab/core";
import { afterAll, expect, it } from "vitest";
import { runEval } from "../src/cli/commands/eval";
import { resolveOptions } from "../src/cli/options";
import { evalSchema } from "../src/cli/schemas/eval";
import { withDevice } from "../src/device";
import { saveModel } from "../src/model";

const folder = mkdtempSync(join(tmpdir(), "trimtab-eval-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const flags = { device: "wasm", threads: 1, output: at("eval.json"), report: at("eval.html"), maxCompletionLength: 6 };
const evaluate = (more: Record<string, unknown>) => runEval(resolveOptions("trimtab eval", evalSchema, { ...flags, ...more }));

it("writes figures and a page", async () => {
  const tokenizer = Tokenizer.train(["abc"], { vocabSize: 257, specialTokens: ["<|end|>"], eosToken: "<|end|>" });
  await withDevice({ device: "wasm", threads: 1 }, async (device) => {
    for (const seed of [1, 2]) {
      const model = newLanguageModel(device, { hiddenSize: 16, layers: 1, heads: 2, initializerRange: 0.3 }, tokenizer, seed);
      await saveModel(model, at(`model${seed}`));
    }
  });
  writeFileSync(at("prompts.jsonl"), ["ab", "hello", "x & <y>"].map((prompt) => `${JSON.stringify({ prompt, secret: 3 })}\n`).join(""));
  writeFileSync(at("reward.mjs"), "export const short = ({ completionIds }) => completionIds.map((ids) => (ids[0] % 2 === 0 ? 1 : 0));");
  const log = Array.from({ length: 40 }, (_, step) => ({
    step,
    reward: 1 - Math.exp(-step / 10) + 0.05 * Math.sin(step * 7),
    kl: step / 100,
    "completions/mean_length": 6,
  }));
  writeFileSync(at("metrics.jsonl"), log.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const common = { modelNameOrPath: at("model1"), datasetName: at("prompts.jsonl") };
  const code = await evaluate({
    ...common,
    reference: at("model2"),
    rewardFuncs: [at("reward.mjs")],
    passK: [1, 4],
    judge: at("model2"),
    frontier: [at("metrics.jsonl")],
  });
  expect(code).toBe(0);
  const { model, reference, difference, winRate, frontier } = JSON.parse(readFileSync(at("eval.json"), "utf8")) as {
    model: PolicyEvaluation;
    reference: PolicyEvaluation;
    difference: { mean: number };
    winRate: WinRate;
    frontier: FrontierPoint[];
  };
  expect(model.passAtK[1]?.mean).toBeCloseTo(model.reward?.mean as number, 12);
  expect(difference.mean).toBeCloseTo((model.reward?.mean as number) - (reference.reward?.mean as number), 12);
  expect(model.kl?.exact.mean).toBeGreaterThan(0);
  expect(frontier).toHaveLength(40);
  expect(winRate.wins + winRate.ties + winRate.losses).toBe(3);
  const page = readFileSync(at("eval.html"), "utf8");
  expect(page).toContain("pass@4");
  expect(page).toContain("x &amp; &lt;y&gt;");
  if (process.env.KEEP_REPORT) writeFileSync(process.env.KEEP_REPORT, page);

  await evaluate({ ...common, environment: "guess", maxTurns: 2, maxActionTokens: 2, maxCompletionLength: 30 });
  const played = JSON.parse(readFileSync(at("eval.json"), "utf8")) as { model: PolicyEvaluation };
  expect(Object.keys(played.model.rewardsByName)).toEqual(["environment"]);
  await expect(evaluate({ ...common, judge: at("model2") })).rejects.toThrow(/--reference/);
  await expect(evaluate({ ...common, frontier: [at("none.jsonl")] })).rejects.toThrow(ConfigError);
});

it("draws every step of a frontier as a dot and joins the best", () => {
  const points = [0, 1, 2].map((kl) => ({ label: `${kl}`, kl, reward: [0, 2, 1][kl] as number }));
  const svg = renderChart(frontierChart(points));
  expect(svg.match(/<circle class="dot s0"/g)).toHaveLength(3);
  expect(svg.match(/<path class="line s1" d="M[^L]*L[^L]*"\/>/g)).toHaveLength(1);
});
