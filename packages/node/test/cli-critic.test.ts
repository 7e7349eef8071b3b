/** `trimtab ppo` and `trimtab a2c`: prompts and a reward module in, a model directory with metrics out; value models by name and from a directory. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newLanguageModel, newScalarModel, saveLanguageModel, Tokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { Command } from "commander";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { z } from "zod";
import { runA2c } from "../src/cli/commands/a2c";
import { runPpo } from "../src/cli/commands/ppo";
import { addOptions, normaliseArguments, resolveOptions } from "../src/cli/options";
import { a2cSchema } from "../src/cli/schemas/a2c";
import { ppoSchema } from "../src/cli/schemas/ppo";
import { nodeDirectory } from "../src/files";

const folder = mkdtempSync(join(tmpdir(), "trimtab-critic-"));
const file = (...names: string[]) => join(folder, ...names);

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(console, "error").mockImplementation(() => {});
  const tokenizer = Tokenizer.train(["ab ba"], { vocabSize: 257 });
  const shape = { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 32, initializerRange: 0.5 };
  const model = newLanguageModel(createReferenceDevice(), shape, tokenizer, 1);
  await saveLanguageModel(model, nodeDirectory(file("model")));
  await saveLanguageModel({ ...model, ...newScalarModel(model, 2) }, nodeDirectory(file("judge")));
  writeFileSync(file("prompts.jsonl"), '{"prompt":"a"}\n{"prompt":"b"}\n');
  writeFileSync(file("texts.jsonl"), '{"text":"abba"}\n');
  writeFileSync(file("reward.mjs"), "export const lengths = ({ completions }) => completions.map((text) => text.length % 5);");
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function run<S extends z.ZodObject>(schema: S, start: (options: z.output<S>) => Promise<number>, output: string, ...argv: string[]) {
  const given = [
    "--model",
    file("model"),
    "--dataset",
    file("prompts.jsonl"),
    "--reward-funcs",
    file("reward.mjs"),
    "--output",
    file(output),
  ];
  const small = ["--device", "reference", "--max-completion-length", "4", "--max-steps", "2", "--learning-rate", "1e-2", "--no-report"];
  const command = addOptions(new Command("x"), schema);
  command.parse(normaliseArguments([...given, ...small, ...argv], schema), { from: "user" });
  const code = await start(resolveOptions("trimtab x", schema, command.opts()));
  const lines = existsSync(file(output, "metrics.jsonl")) ? readFileSync(file(output, "metrics.jsonl"), "utf8").trim().split("\n") : [];
  return { code, rows: lines.map((line) => JSON.parse(line) as Record<string, number>) };
}

const weights = (directory: string) => readFileSync(file(directory, "model.safetensors"));

it("ppo: a reward model that scores and starts the value model, an adaptive price of the KL, texts beside the rewards", async () => {
  const judge = ["--reward-model", file("judge"), "--value-model", file("judge")];
  const extra = [...judge, "--kl-target", "1", "--ptx-dataset", file("texts.jsonl"), "--num_ppo_epochs", "2"];
  const { code, rows } = await run(ppoSchema, runPpo, "ppo", ...extra);
  expect(code).toBe(0);
  expect(rows).toHaveLength(2);
  for (const name of [
    "objective/kl",
    "objective/rlhf_reward",
    "loss/value_avg",
    "loss/ptx",
    "val/ratio",
    "rewards/lengths/mean",
    "rewards/reward_model/mean",
  ]) {
    expect(rows[1]).toHaveProperty([name]);
  }
  expect(weights("ppo").equals(weights("model"))).toBe(false);
});

it("ppo: TRL's names in YAML; a value model that predicts tokens is refused", async () => {
  writeFileSync(
    file("ppo.yaml"),
    "num_ppo_epochs: 1\nresponse_length: 3\ncliprange_value: 0.3\nmissing_eos_penalty: 1.0\nvalue_model: shared\n",
  );
  expect((await run(ppoSchema, runPpo, "yaml", "--config", file("ppo.yaml"))).code).toBe(0);
  await expect(run(ppoSchema, runPpo, "refused", "--value-model", file("model"))).rejects.toThrow(/--value-model.*predicts tokens/);
  await expect(run(ppoSchema, runPpo, "refused2", "--reward-model", file("model"))).rejects.toThrow(/--reward-model.*predicts tokens/);
});

it("a2c: the action value instead of an advantage", async () => {
  const { code, rows } = await run(a2cSchema, runA2c, "a2c", "--advantage", "q", "--value-iterations", "2");
  expect(code).toBe(0);
  expect(rows[1]).toHaveProperty(["loss/value_avg"]);
  expect(rows[1]).not.toHaveProperty(["objective/kl"]);
});
