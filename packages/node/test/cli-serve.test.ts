/** `trimtab serve` and constrained `trimtab generate`: a model and its adapter answer, what is open at Ctrl-C is finished, mistakes are one message. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newLanguageModel, Tokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { runGenerate } from "../src/cli/commands/generate";
import { runServe } from "../src/cli/commands/serve";
import { runSft } from "../src/cli/commands/sft";
import { resolveOptions } from "../src/cli/options";
import { generateSchema } from "../src/cli/schemas/generate";
import { serveSchema } from "../src/cli/schemas/serve";
import { sftSchema } from "../src/cli/schemas/sft";
import { saveModel } from "../src/model";

const folder = mkdtempSync(join(tmpdir(), "trimtab-serve-"));
const at = (name: string) => join(folder, name);
const serve = (options: Record<string, unknown>) =>
  runServe(resolveOptions("serve", serveSchema, { modelNameOrPath: at("base"), device: "reference", port: 0, ...options }));

beforeAll(async () => {
  const tokenizer = Tokenizer.train(["abc"], { vocabSize: 257, eosToken: "<|endoftext|>" });
  const shape = { hiddenSize: 16, layers: 1, heads: 2, maxPositions: 128 };
  await saveModel(newLanguageModel(createReferenceDevice(), shape, tokenizer, 1), at("base"));
  writeFileSync(at("data.jsonl"), JSON.stringify({ text: "abab" }));
  const peft = { usePeft: true, loraR: 2, loraTargetModules: ["q_proj", "down_proj"], learningRate: 0.5 };
  const run = { datasetName: at("data.jsonl"), outputDir: at("adapter"), maxSteps: 2, report: false };
  await runSft(resolveOptions("sft", sftSchema, { modelNameOrPath: at("base"), device: "reference", ...run, ...peft }));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
});

it("serves a model and its adapter until Ctrl-C, and finishes what is open", async () => {
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
  vi.stubEnv("TRIMTAB_TEST_KEY", "secret");
  const served = serve({ adapter: [`tuned=${at("adapter")}`], apiKeyVariable: "TRIMTAB_TEST_KEY" });
  await expect.poll(() => said.find((line) => line.startsWith("http://"))).toBeDefined();
  const baseURL = /\S+/.exec(said[1] as string)?.[0] as string;
  expect(said[0]).toMatch(/^Serving base, tuned on reference/);
  const client = new OpenAI({ baseURL, apiKey: "secret", maxRetries: 0 });
  const ask = (model: string) => client.completions.create({ model, prompt: "ab", max_tokens: 8, temperature: 0, logprobs: 1 });
  const [base, tuned] = await Promise.all([ask("base"), ask("tuned")]);
  expect(base.choices[0]?.logprobs?.token_logprobs).not.toEqual(tuned.choices[0]?.logprobs?.token_logprobs);
  await expect(new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 }).models.list()).rejects.toMatchObject({ status: 401 });

  const open = await client.completions.create({ model: "base", prompt: "ab", max_tokens: 60, stream: true, seed: 1 });
  let chunks = 0;
  for await (const { choices } of open) {
    if (chunks++ === 0) process.emit("SIGINT", "SIGINT");
    if (choices[0]?.finish_reason) expect(choices[0].finish_reason).toMatch(/^(stop|length)$/);
  }
  expect(chunks).toBeGreaterThan(1);
  expect(await served).toBe(0);
  await expect(ask("base")).rejects.toThrow();
  expect(said.filter((line) => line.includes("/v1/completions  200"))).toHaveLength(3);
});

it("refuses a port that is taken, two keys, and a name twice", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as { port: number };
  await expect(serve({ port })).rejects.toThrow(/--host and --port must be free/);
  await new Promise((resolve) => taken.close(resolve));
  await expect(serve({ apiKey: "a", apiKeyVariable: "B" })).rejects.toThrow(/one of --api-key and --api-key-variable/);
  await expect(serve({ servedModelName: "one", adapter: [`one=${at("adapter")}`] })).rejects.toThrow(/names must differ/);
});

it("generate holds completions to a schema file or an expression", async () => {
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
  writeFileSync(at("schema.json"), JSON.stringify({ enum: ["yes", "no"] }));
  const generate = (options: Record<string, unknown>) =>
    runGenerate(
      resolveOptions("generate", generateSchema, {
        modelNameOrPath: at("base"),
        device: "reference",
        prompt: ["a"],
        json: true,
        ...options,
      }),
    );
  await generate({ jsonSchema: at("schema.json"), numGenerations: 3 });
  await generate({ regex: "[ab]{4}" });
  const completions = said.map((line) => JSON.parse(line).completion);
  for (const completion of completions.slice(0, 3)) expect(['"yes"', '"no"']).toContain(completion);
  expect(completions[3]).toMatch(/^[ab]{4}$/);
  await expect(generate({ regex: "a", jsonSchema: at("schema.json") })).rejects.toThrow(/one of --json-schema and --regex/);
  await expect(generate({ jsonSchema: at("data.txt") })).rejects.toThrow(/must be a readable JSON file/);
});
