/** `trimtab best-of-n`: prompts and a reward module in, rows for `trimtab sft` out, figures printed. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newLanguageModel, saveLanguageModel, Tokenizer, tokenizeExamples } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { Command } from "commander";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { runBestOfN } from "../src/cli/commands/best-of-n";
import { addOptions, normaliseArguments, resolveOptions } from "../src/cli/options";
import { bestOfNSchema } from "../src/cli/schemas/best-of-n";
import { readDataset } from "../src/datasets";
import { nodeDirectory } from "../src/files";

const folder = mkdtempSync(join(tmpdir(), "trimtab-best-of-n-"));
const file = (name: string) => join(folder, name);
const printed: string[] = [];
const tokenizer = Tokenizer.train(["ab ba"], { vocabSize: 257 });

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation((line: string) => void printed.push(line));
  const shape = { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 32, initializerRange: 0.5 };
  await saveLanguageModel(newLanguageModel(createReferenceDevice(), shape, tokenizer, 1), nodeDirectory(file("model")));
  writeFileSync(file("prompts.jsonl"), '{"prompt":"a","answer":1}\n{"prompt":"b","answer":2}\n');
  writeFileSync(
    file("reward.mjs"),
    "export const sum = ({ completionIds }) => completionIds.map((ids) => ids.reduce((a, b) => a + b, 0));",
  );
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function run(...argv: string[]): Promise<number> {
  const all = ["--model", file("model"), "--dataset", file("prompts.jsonl"), "--reward-funcs", file("reward.mjs"), "--device", "reference"];
  const command = addOptions(new Command("x"), bestOfNSchema);
  const rest = ["--num-generations", "4", "--max-completion-length", "5", "--no-drop-truncated", ...argv];
  command.parse(normaliseArguments([...all, ...rest], bestOfNSchema), { from: "user" });
  return runBestOfN(resolveOptions("trimtab x", bestOfNSchema, command.opts()));
}

it("writes the best of each prompt for sft, and says how much better they are", async () => {
  expect(await run("--output", file("rows.jsonl"))).toBe(0);
  const rows = await readDataset(file("rows.jsonl"));
  expect(rows.map(({ prompt, answer }) => [prompt, answer])).toEqual([
    ["a", 1],
    ["b", 2],
  ]);
  expect(tokenizeExamples(rows, { tokenizer })).toHaveLength(2);
  expect(printed.at(-1)).toMatch(/^Kept 2 of 8 completions, 2 of 2 prompts; mean reward .* at most 0\.636 nats from the model$/);
});

it("writes nothing where nothing is good enough", async () => {
  await expect(run("--output", file("none.jsonl"), "--threshold", "1e9")).rejects.toThrow("at least one row must remain of 2");
  expect(existsSync(file("none.jsonl"))).toBe(false);
});
