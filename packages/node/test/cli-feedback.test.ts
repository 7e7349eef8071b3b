/** `trimtab dpo`, `kto`, `bco`, `orpo`, `cpo`, `reward` and `prm`: every option reaches its trainer, and a model comes out. */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  loadRewardNormalization,
  newLanguageModel,
  type RewardArguments,
  rewardModelFunction,
  saveLanguageModel,
  Tokenizer,
} from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { Command } from "commander";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { z } from "zod";
import { runBco } from "../src/cli/commands/bco";
import { runCpo } from "../src/cli/commands/cpo";
import { runDpo } from "../src/cli/commands/dpo";
import { runKto } from "../src/cli/commands/kto";
import { runOrpo } from "../src/cli/commands/orpo";
import { runPrm } from "../src/cli/commands/prm";
import { runReward } from "../src/cli/commands/reward";
import { addOptions, normaliseArguments, resolveOptions } from "../src/cli/options";
import { bcoSchema } from "../src/cli/schemas/bco";
import { cpoSchema } from "../src/cli/schemas/cpo";
import { dpoSchema } from "../src/cli/schemas/dpo";
import { ktoSchema } from "../src/cli/schemas/kto";
import { orpoSchema } from "../src/cli/schemas/orpo";
import { prmSchema } from "../src/cli/schemas/prm";
import { rewardSchema } from "../src/cli/schemas/reward";
import { nodeDirectory } from "../src/files";
import { loadScalarModel } from "../src/run/load-scalar-model";

const folder = mkdtempSync(join(tmpdir(), "trimtab-feedback-"));
const file = (name: string) => join(folder, name);
const rows = (name: string, ...lines: object[]) => writeFileSync(file(name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  const tokenizer = Tokenizer.train(["ab ba"], { vocabSize: 257 });
  const shape = { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 32, initializerRange: 0.5 };
  await saveLanguageModel(newLanguageModel(createReferenceDevice(), shape, tokenizer, 1), nodeDirectory(file("model")));
  rows("pairs.jsonl", { prompt: "a", chosen: "b", rejected: "c" }, { prompt: "b", chosen: "c", rejected: "d" });
  rows("ranked.jsonl", { prompt: "a", completions: ["b", "c", "d"], ranks: [2, 1, 3] });
  rows("steps.jsonl", { prompt: "a", completions: ["b", "c"], labels: [true, false] });
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function run<S extends z.ZodObject>(schema: S, start: (options: z.output<S>) => Promise<number>, data: string, argv: string[] = []) {
  const output = ["--output-dir", file("out"), "--overwrite-output-dir", "--no-report", "--device", "reference", "--max-steps", "1"];
  const model = argv.includes("--model") ? [] : ["--model", file("model")];
  const command = addOptions(new Command("x"), schema);
  command.parse(normaliseArguments([...model, "--dataset", file(data), ...output, ...argv], schema), { from: "user" });
  expect(await start(resolveOptions("trimtab x", schema, command.opts()))).toBe(0);
  const config = JSON.parse(readFileSync(file("out/config.json"), "utf8")) as { architectures: string[] };
  const row = JSON.parse(readFileSync(file("out/metrics.jsonl"), "utf8").trimEnd().split("\n").at(-1) as string) as Record<string, number>;
  return { row, architecture: config.architectures[0] as string };
}

it("dpo: several objectives, weighted", async () => {
  const argv = ["--loss-type", "sigmoid", "--loss-type", "hinge", "--loss-weights", "1,0.5", "--precompute-ref-log-probs"];
  const { row } = await run(dpoSchema, runDpo, "pairs.jsonl", argv);
  expect(row.loss).toBeCloseTo(Math.log(2) + 0.5, 5);
});

it("kto and bco take preferences apart", async () => {
  const kto = await run(ktoSchema, runKto, "pairs.jsonl", ["--desirable-weight", "2"]);
  expect(kto.row.loss).toBeCloseTo(0.75, 5);
  expect((await run(bcoSchema, runBco, "pairs.jsonl")).row.loss).toBeCloseTo(Math.log(2), 5);
});

it("orpo and cpo need no reference", async () => {
  const orpo = await run(orpoSchema, runOrpo, "pairs.jsonl", ["--beta", "0", "--completion-only-loss"]);
  expect(orpo.row.loss).toBeCloseTo(orpo.row.nll_loss as number, 6);
  const cpo = await run(cpoSchema, runCpo, "pairs.jsonl", ["--loss-type", "alphapo", "--alpha", "0.25"]);
  expect(cpo.row.loss).toBeGreaterThan(0);
});

it("reward makes a scalar model, and goes on with one", async () => {
  const { row, architecture } = await run(rewardSchema, runReward, "ranked.jsonl", ["--loss-type", "plackett_luce"]);
  expect(architecture).toBe("LlamaForSequenceClassification");
  expect(row).toHaveProperty("accuracy");
  expect(JSON.parse(readFileSync(file("out/reward_normalization.json"), "utf8"))).toEqual({ gain: 1, bias: 0 });
  expect(existsSync(file("out/model.safetensors"))).toBe(true);
  renameSync(file("out"), file("model2"));
  const samples = ["b", "c", "d"].map((completion) => ({ prompt: "a", completion }));
  rows("samples.jsonl", ...samples);
  const again = await run(rewardSchema, runReward, "pairs.jsonl", [
    "--model",
    file("model2"),
    "--normalize-dataset",
    file("samples.jsonl"),
  ]);
  const device = createReferenceDevice();
  const model = await loadScalarModel("--model", file("out"), device);
  const normalization = await loadRewardNormalization(nodeDirectory(file("out")));
  const rewards = (await rewardModelFunction(model, { normalization })({
    prompts: samples.map(({ prompt }) => prompt),
    completions: samples.map(({ completion }) => completion),
  } as unknown as RewardArguments)) as number[];
  expect(rewards.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 5);
  expect(rewards.reduce((a, b) => a + b * b, 0) / 3).toBeCloseTo(1, 5);
  expect(again.architecture).toBe("LlamaForSequenceClassification");
});

it("prm judges steps", async () => {
  const { row, architecture } = await run(prmSchema, runPrm, "steps.jsonl", ["--step-separator", ";"]);
  expect(architecture).toBe("LlamaForSequenceClassification");
  expect(row).toHaveProperty("mean_reward");
});
