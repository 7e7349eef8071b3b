/** Options of the command line: one schema gives flags, YAML keys and checks. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@trimtab/core";
import { Command } from "commander";
import { afterAll, describe, expect, it } from "vitest";
import { addOptions, closeMatches, normaliseArguments, resolveOptions } from "../src/cli/options";
import { grpoSchema } from "../src/cli/schemas/grpo";

const folder = mkdtempSync(join(tmpdir(), "trimtab-options-"));
afterAll(() => rmSync(folder, { recursive: true }));

const required = ["--model", "m", "--dataset", "d.jsonl", "--output", "out", "--reward-funcs", "r.ts"];

function parse(argv: string[]) {
  const command = addOptions(new Command("grpo").exitOverride().configureOutput({ writeErr: () => {} }), grpoSchema);
  command.parse(normaliseArguments(argv, grpoSchema), { from: "user" });
  return resolveOptions("trimtab grpo", grpoSchema, command.opts());
}

function config(yaml: string): string {
  const path = join(folder, `${Math.abs(yaml.length * 31 + yaml.charCodeAt(0))}.yaml`);
  writeFileSync(path, yaml);
  return path;
}

describe("presets", () => {
  it("fill what flags and the file leave open", () => {
    const options = parse([...required, "--preset", "dapo", "--num-generations", "4", "--config", config("epsilon_high: 0.3\n")]);
    expect(options).toMatchObject({
      dynamicSampling: true,
      maskTruncatedCompletions: true,
      epsilon: 0.2,
      epsilonHigh: 0.3,
      numGenerations: 4,
    });
    expect(parse([...required, "--config", config("preset: gspo\n")])).toMatchObject({
      importanceSamplingLevel: "sequence",
      epsilon: 3e-4,
    });
    expect(parse(required)).toMatchObject({ lossType: "dapo", dynamicSampling: false });
    expect(() => parse([...required, "--preset", "ppo"])).toThrow(/--preset/);
  });

  it("TRL's names of the sampler's correction are taken", () => {
    const options = parse([...required, "--vllm_importance_sampling_correction", "true", "--vllm-importance-sampling-clip-max", "2"]);
    expect(options).toMatchObject({ samplingImportanceCorrection: true, samplingImportanceClipMax: 2 });
  });
});

describe("options of a command", () => {
  it("takes TRL's names in kebab-case and snake_case, and short aliases", () => {
    const options = parse([
      ...required,
      "--learning_rate",
      "1e-4",
      "--num-generations=4",
      "--max_completion_length",
      "16",
      "--no-shuffle-dataset",
    ]);
    expect(options).toMatchObject({
      modelNameOrPath: "m",
      datasetName: "d.jsonl",
      outputDir: "out",
      learningRate: 1e-4,
      numGenerations: 4,
    });
    expect(options).toMatchObject({ maxCompletionLength: 16, shuffleDataset: false, rewardFuncs: ["r.ts"], beta: 0, lossType: "dapo" });
  });

  it("leaves values alone that look like flags' names", () => {
    expect(parse([...required, "--reward-funcs", "my_rewards.ts"]).rewardFuncs).toEqual(["r.ts", "my_rewards.ts"]);
  });

  it("reads lists of numbers, and words for true and false", () => {
    const options = parse([...required, "--reward-weights", "1,0.5", "--mask-truncated-completions", "True", "--resume-from-checkpoint"]);
    expect(options).toMatchObject({ rewardWeights: [1, 0.5], maskTruncatedCompletions: true, resumeFromCheckpoint: true });
    expect(parse([...required, "--resume-from-checkpoint", "out/checkpoint-5"]).resumeFromCheckpoint).toBe("out/checkpoint-5");
  });

  it("reads YAML under TRL's names, and lets flags override it", () => {
    const path = config(
      "model_name_or_path: base\ndataset_name: d.jsonl\noutput_dir: out\nreward_funcs: r.ts\nlearning_rate: 1e-5\nbeta: 0.1\n",
    );
    expect(parse(["--config", path, "--beta", "0.2"])).toMatchObject({
      modelNameOrPath: "base",
      rewardFuncs: ["r.ts"],
      learningRate: 1e-5,
      beta: 0.2,
    });
  });

  it("refuses unknown YAML keys and lists close ones", () => {
    const path = config("learning_rat: 1e-5\nnum_generation: 4\nzebra: 1\n");
    expect(() => parse([...required, "--config", path])).toThrow(ConfigError);
    expect(() => parse([...required, "--config", path])).toThrow(
      /learning_rat: unknown option. Did you mean learning_rate[\s\S]*num_generations[\s\S]*zebra: unknown option\.$/,
    );
  });

  it("refuses a config file that is not a mapping, or not YAML, or not there", () => {
    expect(() => parse([...required, "--config", config("- a\n- b\n")])).toThrow(/must be a YAML mapping/);
    expect(() => parse([...required, "--config", config("a: [1\n")])).toThrow(/must be a readable YAML file/);
    expect(() => parse([...required, "--config", join(folder, "none.yaml")])).toThrow(ConfigError);
  });

  it("lists every bad option at once", () => {
    const message = /--learning-rate[\s\S]*got "fast"[\s\S]*--num-generations[\s\S]*got 1[\s\S]*--loss-type[\s\S]*got "best"/;
    expect(() => parse([...required, "--learning-rate", "fast", "--num-generations", "1", "--loss-type", "best"])).toThrow(message);
  });

  it("names what is missing", () => {
    expect(() => parse(["--model", "m"])).toThrow(/--dataset-name: it must be given\n {2}--output-dir: it must be given\n/);
  });

  it("suggests nothing where nothing is near", () => {
    expect(closeMatches("temprature", ["temperature", "seed"])).toBe(" Did you mean temperature?");
    expect(closeMatches("banana", ["temperature", "seed"])).toBe("");
  });
});
