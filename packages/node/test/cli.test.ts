/** The built command line, end to end: train, fine-tune, reinforce, generate, interrupt, resume, and refuse what is wrong. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const CLI = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "trimtab-cli-"));
const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** `said` is what the process wrote to stderr so far. */
function start(argv: string[]): { child: ChildProcess; said: () => string; outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [CLI, ...argv], { cwd: folder });
  running.add(child);
  let [out, err] = ["", ""];
  child.stdout?.on("data", (data) => (out += data));
  child.stderr?.on("data", (data) => (err += data));
  const outcome = new Promise<Outcome>((resolve) => {
    child.on("close", (code, signal) => {
      running.delete(child);
      resolve({ code, signal, out, err });
    });
  });
  return { child, said: () => err, outcome };
}

const trimtab = (...argv: string[]) => start(argv).outcome;

async function succeeds(...argv: string[]): Promise<Outcome> {
  const outcome = await trimtab(...argv);
  expect(outcome, outcome.err).toMatchObject({ code: 0 });
  return outcome;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const file = (...parts: string[]) => join(folder, ...parts);
const weights = (directory: string) => readFileSync(file(directory, "model.safetensors"));
const metrics = (directory: string): Record<string, number>[] =>
  readFileSync(file(directory, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

const SPEECH = "The state of the union is strong. We are proud of our great nation. Peace and freedom are the hope of the world. ";
const device = ["--device", "wasm", "--threads", "2"];
const pretrainOptions = [
  "--dataset",
  "text.jsonl",
  "--vocab-size",
  "288",
  "--hidden-size",
  "32",
  "--num-hidden-layers",
  "2",
  "--num-attention-heads",
  "2",
];
const grpoOptions = [
  "--model",
  "base",
  "--dataset",
  "prompts.jsonl",
  "--reward-funcs",
  "reward.ts",
  "--num-generations",
  "4",
  "--max-completion-length",
  "8",
];
const learning = ["--learning-rate", "1e-3", "--beta", "0.05", "--num-iterations", "2", ...device];

beforeAll(async () => {
  writeFileSync(file("text.jsonl"), Array.from({ length: 12 }, (_, i) => `${JSON.stringify({ text: SPEECH + i })}\n`).join(""));
  const prompts = ["The state of", "We are", "Peace and", "Our great"].map((prompt) => `${JSON.stringify({ prompt, wanted: "e" })}\n`);
  writeFileSync(file("prompts.jsonl"), prompts.join(""));
  writeFileSync(
    file("reward.ts"),
    "export function letters({ completions, wanted }: { completions: string[]; wanted: string[] }): number[] {\n  return completions.map((c, i) => c.split(wanted[i] as string).length - 1);\n}\n",
  );
  await succeeds(
    "pretrain",
    ...pretrainOptions,
    "--output",
    "base",
    "--max-steps",
    "20",
    "--max-length",
    "64",
    "--learning-rate",
    "5e-3",
    ...device,
  );
});

describe("a whole run", () => {
  it("pretrains: the loss falls, and the output is a Hugging Face directory with metrics and a report", () => {
    const rows = metrics("base");
    expect(rows.map((row) => row.step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(rows.at(-1)?.loss).toBeLessThan((rows[0]?.loss as number) - 1);
    const names = [
      "config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
      "generation_config.json",
      "report.html",
      "checkpoint-20",
    ];
    expect(readdirSync(file("base"))).toEqual(expect.arrayContaining(names));
    expect(JSON.parse(readFileSync(file("base", "config.json"), "utf8"))).toMatchObject({
      architectures: ["LlamaForCausalLM"],
      hidden_size: 32,
    });
  });

  it("fine-tunes on completions, with a YAML file of TRL's names", async () => {
    writeFileSync(file("pairs.jsonl"), `${JSON.stringify({ prompt: "The state", completion: " of peace." })}\n`.repeat(4));
    writeFileSync(
      file("sft.yaml"),
      "model_name_or_path: base\ndataset_name: pairs.jsonl\noutput_dir: tuned\nmax_steps: 3\nlearning_rate: 1.0e-3\nlogging_steps: 2\n",
    );
    await succeeds("sft", "--config", "sft.yaml", ...device);
    expect(metrics("tuned").map((row) => row.step)).toEqual([2, 3]);
    expect(weights("tuned").equals(weights("base"))).toBe(false);
  });

  it("reinforces with a TypeScript reward, and keeps the last checkpoints", async () => {
    await succeeds(
      "grpo",
      ...grpoOptions,
      ...learning,
      "--output",
      "rl",
      "--max-steps",
      "6",
      "--save-steps",
      "2",
      "--save_total_limit",
      "2",
    );
    expect(
      readdirSync(file("rl"))
        .filter((name) => name.startsWith("checkpoint-"))
        .sort(),
    ).toEqual(["checkpoint-4", "checkpoint-6"]);
    const row = metrics("rl").at(-1);
    for (const name of ["reward", "kl", "entropy", "clip_ratio/low_mean", "completions/mean_length", "rewards/letters/mean"])
      expect(row).toHaveProperty([name]);
    expect(readFileSync(file("rl", "report.html"), "utf8")).toContain("KL to the starting policy");
  });

  it("reinforces with its relatives, and with a preset", async () => {
    const few = ["--learning-rate", "1e-3", "--max-steps", "2", ...device];
    const { out } = await succeeds("rloo", ...grpoOptions, ...few, "--output", "rloo", "--reward-clip-range", "0,3", "--profile");
    await succeeds("reinforce", ...grpoOptions, ...few, "--output", "remax", "--advantage-estimator", "remax");
    await succeeds("grpo", ...grpoOptions, ...few, "--output", "recipe", "--preset", "dapo");
    for (const phase of ["rollout", "reward", "forward", "backward", "optimiser"]) expect(out).toMatch(new RegExp(`^${phase} `, "m"));
    expect(out).toMatch(/^ {2}matmul_forward /m);
    expect(readFileSync(file("rloo", "report.html"), "utf8")).toMatch(/<title>rollout: [\d.]+ ms/);
    expect(metrics("rloo").at(-1)).toHaveProperty(["kl"]);
    expect(metrics("remax").at(-1)).toHaveProperty(["reward/greedy"]);
    expect(metrics("recipe").at(-1)).toHaveProperty(["dynamic_sampling/attempts"]);
  });

  it("generates the same text twice from one seed, streamed or as JSON", async () => {
    const argv = ["generate", "--model", "base", "--prompt", "The state of", "--max-new-tokens", "6", "--seed", "3", ...device];
    const [streamed, json] = [await succeeds(...argv), await succeeds(...argv, "--json")];
    const row = JSON.parse(json.out);
    expect(row).toMatchObject({ prompt: "The state of", sample: 0 });
    expect(streamed.out).toBe(`The state of${row.completion}\n`);
    const many = await succeeds(
      "generate",
      "--model",
      "base",
      "--dataset",
      "prompts.jsonl",
      "--num-generations",
      "2",
      "--max-new-tokens",
      "4",
      "--json",
      ...device,
    );
    expect(many.out.trim().split("\n")).toHaveLength(8);
  });

  it("samples completions to compare, and converts what was said of them", async () => {
    const argv = ["--model", "base", "--dataset", "prompts.jsonl", "--max-new-tokens", "4", "--temperatures", "0,2", ...device];
    await succeeds("sample", ...argv, "--output", "samples.jsonl");
    const samples = readFileSync(file("samples.jsonl"), "utf8").trim().split("\n");
    const ranked = samples.map((line) => {
      const row = JSON.parse(line) as { completions: string[] };
      return `${JSON.stringify({ ...row, ranks: row.completions.map((_, i) => i + 1) })}\n`;
    });
    writeFileSync(file("ranked.jsonl"), ranked.join(""));
    const converted = await succeeds("convert", "--dataset", "ranked.jsonl", "--to", "preference", "--output", "compared.jsonl.gz");
    expect(converted.out).toMatch(/^ranked to preference\n\d+ rows in, \d+ rows out: compared.jsonl.gz\n/);
    expect(existsSync(file("compared.jsonl.gz"))).toBe(true);
  });

  it("trains, encodes and decodes tokenizers", async () => {
    await succeeds("tokenizer", "train", "--dataset", "text.jsonl", "--vocab-size", "270", "--output", "tokenizer");
    const ids = (await succeeds("tokenizer", "encode", "--tokenizer", "tokenizer", "the", "union")).out.trim();
    expect(ids).toMatch(/^\d+( \d+)*$/);
    expect((await succeeds("tokenizer", "decode", "--tokenizer", "tokenizer", ...ids.split(" "))).out).toBe("the union\n");
  });

  it("lists devices, and which one auto takes", async () => {
    const devices = JSON.parse((await succeeds("devices", "--json")).out) as { kind: string; isAuto: boolean; problem?: string }[];
    expect(devices.map((d) => d.kind)).toEqual(["webgpu", "wasm", "reference"]);
    expect(devices.filter((d) => d.isAuto)).toHaveLength(1);
    expect(devices.find((d) => d.kind === "wasm")?.problem).toBeUndefined();
  });
});

describe("an interrupted run", () => {
  const whole = ["grpo", ...grpoOptions, ...learning, "--max-steps", "24", "--save-steps", "3", "--no-report"];

  beforeAll(async () => {
    await succeeds(...whole, "--output", "uninterrupted");
  });

  it("resumed after SIGKILL ends with the same bits", async () => {
    const { child, outcome } = start([...whole, "--output", "killed"]);
    await until(() => existsSync(file("killed", "checkpoint-9")), "checkpoint 9");
    child.kill("SIGKILL");
    expect((await outcome).signal).toBe("SIGKILL");
    expect(existsSync(file("killed", "model.safetensors"))).toBe(false);
    await succeeds(...whole, "--output", "killed", "--resume-from-checkpoint");
    expect(weights("killed").equals(weights("uninterrupted"))).toBe(true);
    const columns = ({ step_time: _, ...row }: Record<string, number>) => row;
    expect(metrics("killed").map(columns)).toEqual(metrics("uninterrupted").map(columns));
  });

  it("by Ctrl-C saves the step it is at, exits with 130, and resumes to the same bits", async () => {
    const { child, outcome } = start([...whole, "--output", "stopped"]);
    await until(
      () => existsSync(file("stopped", "metrics.jsonl")) && readFileSync(file("stopped", "metrics.jsonl"), "utf8").split("\n").length > 4,
      "step 4",
    );
    child.kill("SIGINT");
    const { code, err } = await outcome;
    expect(code).toBe(130);
    const step = Number(/Stopped after step (\d+)/.exec(err)?.[1]);
    expect(metrics("stopped").at(-1)?.step).toBe(step);
    expect(existsSync(file("stopped", `checkpoint-${step}`, "trainer_state.json"))).toBe(true);
    await succeeds(...whole, "--output", "stopped", "--resume-from-checkpoint");
    expect(weights("stopped").equals(weights("uninterrupted"))).toBe(true);
  });

  it("ends at once at the second Ctrl-C", async () => {
    writeFileSync(
      file("slow.ts"),
      `import { writeFileSync } from "node:fs";
      export const slow = ({ completions }: any) => {
        writeFileSync("asked", "");
        return new Promise((resolve) => setTimeout(() => resolve(completions.map(() => 0)), 100_000));
      };`,
    );
    const { child, said, outcome } = start([
      "grpo",
      ...grpoOptions,
      "--reward-funcs",
      "slow.ts",
      "--output",
      "twice",
      "--max-steps",
      "2",
      ...device,
    ]);
    await until(() => existsSync(file("asked")), "the first reward");
    child.kill("SIGINT");
    await until(() => said().includes("press Ctrl-C again"), "the answer to the first Ctrl-C");
    child.kill("SIGINT");
    expect((await outcome).code).toBe(130);
  });

  it("is not buried by a new one", async () => {
    const { code, err } = await trimtab(...whole, "--output", "uninterrupted");
    expect(code).toBe(1);
    expect(err).toMatch(/^ConfigError: --output-dir: it must not hold another run's checkpoints.*--resume-from-checkpoint/);
  });
});

describe("bad input ends with exit code 1 and one message", () => {
  const cases: [what: string, files: Record<string, string>, argv: string[], message: RegExp][] = [
    [
      "a missing dataset",
      {},
      ["sft", "--model", "base", "--dataset", "none.jsonl"],
      /^DataError: none\.jsonl: a dataset must be a readable file/,
    ],
    [
      "a malformed line",
      { "bad.jsonl": '{"text":"a"}\n{"text":\n' },
      ["sft", "--model", "base", "--dataset", "bad.jsonl"],
      /^DataError: bad\.jsonl:2: every line must be a JSON object/,
    ],
    [
      "an empty dataset",
      { "empty.jsonl": "\n" },
      ["sft", "--model", "base", "--dataset", "empty.jsonl"],
      /^DataError: empty\.jsonl: a dataset must have at least one row/,
    ],
    [
      "a row without text",
      { "rows.jsonl": '{"body":"a"}\n' },
      ["sft", "--model", "base", "--dataset", "rows.jsonl"],
      /^DataError: .*line 1: `text` must be a string/,
    ],
    ["a missing model", {}, ["sft", "--model", "nowhere", "--dataset", "text.jsonl"], /^CheckpointError: .*nowhere/],
    [
      "an unknown option",
      {},
      ["sft", "--model", "base", "--learning-rat", "1"],
      /^error: unknown option '--learning-rat' Did you mean --learning-rate\?/,
    ],
    ["an unknown command", {}, ["gropo"], /unknown command 'gropo' Did you mean grpo, trpo, orpo\?/],
    [
      "a bad value",
      {},
      ["sft", "--model", "base", "--dataset", "text.jsonl", "--learning-rate", "-1"],
      /^ConfigError: trimtab sft: every option must be valid[\s\S]*--learning-rate/,
    ],
    [
      "an unknown key",
      { "bad.yaml": "lerning_rate: 1\n" },
      ["sft", "--config", "bad.yaml"],
      /^ConfigError: bad\.yaml: .*\n {2}lerning_rate: unknown option. Did you mean learning_rate/,
    ],
    [
      "a prompt too long",
      { "long.jsonl": `${JSON.stringify({ prompt: SPEECH.repeat(40) })}\n` },
      ["grpo", ...grpoOptions, "--dataset", "long.jsonl"],
      /^DataError: .*line 1: `prompt` must have between 1 and/,
    ],
    [
      "a checkpoint of another trainer",
      {},
      ["sft", "--model", "base", "--dataset", "text.jsonl", "--resume-from-checkpoint", "rl/checkpoint-6"],
      /^CheckpointError: /,
    ],
    [
      "a reward that throws",
      { "r1.ts": "export const throws = () => { throw new Error('oh no'); };" },
      ["grpo", ...grpoOptions, "--reward-funcs", "r1.ts"],
      /^RewardError: .*`throws`.*oh no/,
    ],
    [
      "a reward that is NaN",
      { "r2.ts": "export const nan = ({ completions }: any) => completions.map(() => NaN);" },
      ["grpo", ...grpoOptions, "--reward-funcs", "r2.ts"],
      /^RewardError: .*`nan`.*finite number, a detail with a finite `total`, or null, got NaN/,
    ],
    [
      "a reward of the wrong length",
      { "r3.ts": "export const short = () => [1];" },
      ["grpo", ...grpoOptions, "--reward-funcs", "r3.ts"],
      /^RewardError: .*short.*got 1 values/,
    ],
    ["a reward module that is missing", {}, ["grpo", ...grpoOptions, "--reward-funcs", "r4.ts"], /^RewardError: .*r4\.ts/],
  ];

  for (const [what, files, argv, message] of cases) {
    it(what, async () => {
      for (const [name, text] of Object.entries(files)) writeFileSync(file(name), text);
      const needsOutput = argv.length > 1 && !argv.includes("--config");
      const given = argv[0] === "grpo" ? replaceRewards(argv) : argv;
      const { code, err } = await trimtab(...given, ...(needsOutput ? ["--output", `bad-${what.replaceAll(" ", "-")}`, ...device] : []));
      expect(err.replace(/^\(node:[\s\S]*?\n\n?/, "")).toMatch(message);
      expect(err).not.toMatch(/\n\s+at /);
      expect(code).toBe(1);
    });
  }

  it("a reward that loops for ever, with the last checkpoint intact", async () => {
    const source =
      "export function letters({ completions, trainerState }: any) { while (trainerState.globalStep >= 2); return completions.map((c: string) => c.length); }";
    writeFileSync(file("loop.ts"), source);
    const argv = [
      "grpo",
      ...replaceRewards([...grpoOptions, "--reward-funcs", "loop.ts"]),
      ...device,
      "--output",
      "looped",
      "--max-steps",
      "4",
      "--save-steps",
      "1",
    ];
    const { code, err } = await trimtab(...argv, "--reward-timeout", "3", "--on-reward-error", "skip");
    expect(code).toBe(1);
    expect(err).toMatch(/RewardError: reward `letters`: it must answer within 3 s/);
    writeFileSync(file("loop.ts"), source.replace("while (trainerState.globalStep >= 2);", ""));
    await succeeds(...argv, "--resume-from-checkpoint");
    expect(metrics("looped").map((row) => row.step)).toEqual([1, 2, 3, 4]);
  });
});

/** `--reward-funcs` adds up: keep only the last one given. */
function replaceRewards(argv: string[]): string[] {
  const last = argv.lastIndexOf("--reward-funcs");
  return argv.filter((_, i) => i >= last || (argv[i] !== "--reward-funcs" && argv[i - 1] !== "--reward-funcs"));
}
