/** Environments that the command line can name: the built-in ones and a user's module. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, newLanguageModel, Tokenizer } from "@trimtab/core";
import { afterAll, expect, it } from "vitest";
import { runGrpo } from "../src/cli/commands/grpo";
import { resolveOptions } from "../src/cli/options";
import { grpoSchema } from "../src/cli/schemas/grpo";
import { withDevice } from "../src/device";
import { environmentOf, loadEnvironment } from "../src/environments";
import { saveModel } from "../src/model";

const folder = mkdtempSync(join(tmpdir(), "trimtab-environments-"));
afterAll(() => rmSync(folder, { recursive: true }));

const context = { sampleIndex: 0, trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 } };

it("loads built-in environments, default and named exports", async () => {
  const path = join(folder, "echo.ts");
  writeFileSync(
    path,
    `const make = (reward: number) => () => ({ reset: () => null, step: () => ({ reward, done: true }) });
export default make(1);
export const two = make(2);
export const three = 3;`,
  );
  for (const [spec, reward] of [
    [path, 1],
    [`${path}#two`, 2],
  ] as const) {
    const environment = await (await loadEnvironment(spec))({}, 0, context);
    expect(await environment.step("", {} as never)).toEqual({ reward, done: true });
  }
  const guessing = await (await loadEnvironment("guess"))({ secret: 7 }, 0, context);
  expect(await guessing.step("7", {} as never)).toEqual({ reward: 1, done: true });
  expect(typeof (await loadEnvironment("calculator"))).toBe("function");
  for (const spec of [`${path}#three`, `${path}#four`, "gess"]) {
    await expect(loadEnvironment(spec)).rejects.toThrow(ConfigError);
  }
});

it("gives a rollout function only where an environment is named", async () => {
  const flags = { environmentTimeout: 60, maxTurns: 4 };
  expect(await environmentOf(flags)).toBeUndefined();
  expect(typeof (await environmentOf({ ...flags, environment: "guess" }))).toBe("function");
  await expect(environmentOf({ ...flags, maxTurns: 0, environment: "guess" })).rejects.toThrow(ConfigError);
});

it("trains in one, alone or beside reward modules, and refuses to train without any reward", async () => {
  const tokenizer = Tokenizer.train(["abc"], { vocabSize: 257, specialTokens: ["<|end|>"], eosToken: "<|end|>" });
  await withDevice({ device: "wasm", threads: 1 }, (device) =>
    saveModel(newLanguageModel(device, { hiddenSize: 16, layers: 1, heads: 2 }, tokenizer, 1), join(folder, "model")),
  );
  writeFileSync(join(folder, "prompts.jsonl"), '{"prompt": "?", "secret": 3}\n');
  writeFileSync(join(folder, "length.mjs"), "export const length = ({ completions }) => completions.map((text) => text.length);");
  const flags = {
    modelNameOrPath: join(folder, "model"),
    datasetName: join(folder, "prompts.jsonl"),
    device: "wasm",
    threads: 1,
    maxSteps: 1,
    numGenerations: 4,
    perDeviceTrainBatchSize: 4,
    maxCompletionLength: 40,
    report: false,
  };
  const train = (outputDir: string, more: object) => {
    const output = join(folder, outputDir);
    return runGrpo(resolveOptions("trimtab grpo", grpoSchema, { ...flags, outputDir: output, ...more }));
  };
  const playing = { environment: "guess", maxTurns: 2, maxActionTokens: 2 };
  expect(await train("alone", playing)).toBe(0);
  expect(await train("beside", { ...playing, rewardFuncs: [join(folder, "length.mjs")], rewardWeights: [1, 0] })).toBe(0);
  const [row] = readFileSync(join(folder, "beside", "metrics.jsonl"), "utf8").split("\n");
  expect(JSON.parse(row as string)).toMatchObject({ "num_turns/max": 2, "rewards/environment/mean": 0, reward: 0 });
  expect(row).toContain("rewards/length/mean");
  await expect(train("neither", {})).rejects.toThrow(/--environment must be given/);
});
