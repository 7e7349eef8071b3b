/** `--plan`, `--memory-budget` and `--auto-find-batch-size`: what a run will take is known, and too little refused, before anything is loaded. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newLanguageModel, OutOfMemoryError, Tokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runGrpo } from "../src/cli/commands/grpo";
import { runSft } from "../src/cli/commands/sft";
import { resolveOptions } from "../src/cli/options";
import { grpoSchema } from "../src/cli/schemas/grpo";
import { sftSchema } from "../src/cli/schemas/sft";
import { saveModel } from "../src/model";

const folder = mkdtempSync(join(tmpdir(), "trimtab-memory-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  const tokenizer = Tokenizer.train(["abc"], { vocabSize: 257, eosToken: "<|endoftext|>" });
  await saveModel(
    newLanguageModel(createReferenceDevice(), { hiddenSize: 64, layers: 3, heads: 4, maxPositions: 160 }, tokenizer, 1),
    at("base"),
  );
  const lines = (row: (i: number) => object) => Array.from({ length: 8 }, (_, i) => JSON.stringify(row(i))).join("\n");
  writeFileSync(
    at("texts.jsonl"),
    lines((i) => ({ text: "abcde".repeat(20).slice(i) })),
  );
  writeFileSync(
    at("prompts.jsonl"),
    lines((i) => ({ prompt: "ab".repeat(i + 1) })),
  );
  writeFileSync(at("rewards.mjs"), 'export function never() { throw new Error("asked for a reward"); }\n');
});

const shared = { modelNameOrPath: at("base"), outputDir: at("out"), device: "wasm", threads: 1, maxSteps: 1, report: false };
const sft = (options: Record<string, unknown>) =>
  runSft(resolveOptions("sft", sftSchema, { ...shared, datasetName: at("texts.jsonl"), ...options }));

/** What is printed meanwhile. */
async function printed(work: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  try {
    await work();
  } finally {
    log.mockRestore();
  }
  return lines.join("\n");
}

describe("memory from the command line", () => {
  it("is planned by kind and model, and nothing else happens", async () => {
    const text = await printed(async () => expect(await sft({ plan: true })).toBe(0));
    expect(text).toMatch(/^weights of model +\d/m);
    expect(text).toMatch(/^optimiser state +\d/m);
    expect(text).toMatch(/^fits: \d+% of 4\.29 GB$/m);
    const rewarded = { ...shared, datasetName: at("prompts.jsonl"), rewardFuncs: [at("rewards.mjs")], maxCompletionLength: 20, beta: 0.1 };
    const grpo = await printed(async () => expect(await runGrpo(resolveOptions("grpo", grpoSchema, { ...rewarded, plan: true }))).toBe(0));
    expect(grpo).toMatch(/^copies of weights +\d/m);
    expect(existsSync(at("out"))).toBe(false);
  });

  it("that is too small is refused before any work; micro-batches are found that fit", async () => {
    await expect(sft({ memoryBudget: "6MiB" })).rejects.toBeInstanceOf(OutOfMemoryError);
    await expect(sft({ memoryBudget: "3.5MiB", autoFindBatchSize: true })).rejects.toThrow(/even one row at a time.* too much/);
    expect(existsSync(at("out"))).toBe(false);
    const text = await printed(async () => expect(await sft({ memoryBudget: "6MiB", autoFindBatchSize: true })).toBe(0));
    expect(text).toMatch(/^To fit 6\.29 MB: --max-tokens-per-micro-batch \d+/m);
    expect(existsSync(join(at("out"), "model.safetensors"))).toBe(true);
  });

  it("is a size in decimal or binary units", () => {
    const bytesOf = (memoryBudget: string) => resolveOptions("sft", sftSchema, { ...shared, datasetName: "x", memoryBudget }).memoryBudget;
    expect(["2GB", "1.5 gib", "800000000", "64K", "3MiB", "7b"].map(bytesOf)).toEqual([2e9, 1.5 * 2 ** 30, 8e8, 64e3, 3 * 2 ** 20, 7]);
    expect(() => bytesOf("plenty")).toThrow(/--memory-budget.*2GB/);
  });
});
