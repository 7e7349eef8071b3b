/** `trimtab online-dpo`, `gkd` and `listwise-dpo`: every option reaches its trainer, and a model comes out. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newLanguageModel, newScalarModel, saveLanguageModel, Tokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { Command } from "commander";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { z } from "zod";
import { runGkd } from "../src/cli/commands/gkd";
import { runGrpo } from "../src/cli/commands/grpo";
import { runListwiseDpo } from "../src/cli/commands/listwise-dpo";
import { runOnlineDpo } from "../src/cli/commands/online-dpo";
import { addOptions, normaliseArguments, resolveOptions } from "../src/cli/options";
import { gkdSchema } from "../src/cli/schemas/gkd";
import { grpoSchema } from "../src/cli/schemas/grpo";
import { listwiseDpoSchema } from "../src/cli/schemas/listwise-dpo";
import { onlineDpoSchema } from "../src/cli/schemas/online-dpo";
import { nodeDirectory } from "../src/files";

const folder = mkdtempSync(join(tmpdir(), "trimtab-learning-"));
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  const tokenizer = Tokenizer.train(["ab ba"], { vocabSize: 257 });
  const shape = { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 32, initializerRange: 0.5 };
  for (const [name, seed] of [
    ["model", 1],
    ["teacher", 2],
  ] as const) {
    await saveLanguageModel(newLanguageModel(createReferenceDevice(), shape, tokenizer, seed), nodeDirectory(file(name)));
  }
  const judge = newLanguageModel(createReferenceDevice(), { ...shape, maxPositions: 2048 }, tokenizer, 3);
  await saveLanguageModel(judge, nodeDirectory(file("judge")));
  const scores = newScalarModel(newLanguageModel(createReferenceDevice(), shape, tokenizer, 4), 4);
  await saveLanguageModel({ ...judge, ...scores }, nodeDirectory(file("scores")));
  writeFileSync(file("prompts.jsonl"), '{"prompt":"a","completion":"b"}\n{"prompt":"b","completion":"a"}\n');
  writeFileSync(file("ranked.jsonl"), '{"prompt":"a","completions":["b","c","d"],"ranks":[2,1,3]}\n');
  writeFileSync(
    file("reward.mjs"),
    "export const sum = ({ completionIds }) => completionIds.map((ids) => ids.reduce((a, b) => a + b, 0));",
  );
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function run<S extends z.ZodObject>(schema: S, start: (options: z.output<S>) => Promise<number>, argv: string[]) {
  const all = [
    "--model",
    file("model"),
    "--output-dir",
    file("out"),
    "--overwrite-output-dir",
    "--device",
    "reference",
    "--no-report",
    ...argv,
  ];
  const command = addOptions(new Command("x"), schema);
  command.parse(normaliseArguments(all, schema), { from: "user" });
  expect(await start(resolveOptions("trimtab x", schema, command.opts()))).toBe(0);
  expect(existsSync(file("out/model.safetensors"))).toBe(true);
  const lines = readFileSync(file("out/metrics.jsonl"), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, number>);
}

it("online-dpo samples pairs and ranks them with reward modules", async () => {
  const argv = ["--dataset", file("prompts.jsonl"), "--reward-funcs", file("reward.mjs"), "--max-new-tokens", "4", "--beta", "0.3,0.2"];
  const rows = await run(onlineDpoSchema, runOnlineDpo, [...argv, "--per-device-train-batch-size", "4", "--max-steps", "2"]);
  expect(rows.map(({ beta }) => beta)).toEqual([0.3, 0.2]);
  expect(rows[0]).toHaveProperty(["objective/scores_margin"]);
});

it("online-dpo ranks with a judge, or with a reward model, and not with both", async () => {
  const argv = ["--dataset", file("prompts.jsonl"), "--max-completion-length", "4", "--max-steps", "1"];
  const start = (...more: string[]) => run(onlineDpoSchema, runOnlineDpo, [...argv, ...more]);
  const [judged] = await start("--judge", file("judge"));
  expect(judged).toHaveProperty(["rewards/accuracies"]);
  expect(judged).not.toHaveProperty(["objective/scores"]);
  const [scored] = await start("--reward-model", file("scores"));
  expect(scored).toHaveProperty(["rewards/reward_model/mean"]);
  await expect(start("--judge", file("judge"), "--reward-model", file("scores"))).rejects.toThrow(/`judge` must be given without rewards/);
  await expect(start("--judge", "http://localhost:1/v1")).rejects.toThrow(/--judge-model/);
  await expect(start()).rejects.toThrow(/--reward-funcs, --reward-model or --environment/);
});

it("grpo, too, takes a reward model", async () => {
  const argv = ["--dataset", file("prompts.jsonl"), "--max-completion-length", "4", "--max-steps", "1", "--num-generations", "2"];
  const [row] = await run(grpoSchema, runGrpo, [...argv, "--reward-model", file("scores")]);
  expect(row).toHaveProperty(["rewards/reward_model/mean"]);
});

it("gkd learns from another model directory", async () => {
  const argv = ["--dataset", file("prompts.jsonl"), "--teacher", file("teacher"), "--lmbda", "1", "--max-new-tokens", "3"];
  const [row] = await run(gkdSchema, runGkd, [...argv, "--max-steps", "1"]);
  expect(row).toMatchObject({ on_policy: 1 });
  expect(row?.loss).toBeGreaterThan(0);
});

it("listwise-dpo learns from ranked lists", async () => {
  const [row] = await run(listwiseDpoSchema, runListwiseDpo, ["--dataset", file("ranked.jsonl"), "--max-steps", "1"]);
  // Three equal scores in order: log 3 + log 2.
  expect(row?.loss).toBeCloseTo(Math.log(6), 4);
});
