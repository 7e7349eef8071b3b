#!/usr/bin/env node
/** The `trimtab` command: declares the commands and turns errors into one clear message and an exit code. */
import { TrimtabError } from "@trimtab/core";
import { Command, CommanderError } from "commander";
import type { z } from "zod";
import { addOptions, closeMatches, flagNames, normaliseArguments, resolveOptions } from "./cli/options";
import { a2cSchema } from "./cli/schemas/a2c";
import { bcoSchema } from "./cli/schemas/bco";
import { benchSchema } from "./cli/schemas/bench";
import { bestOfNSchema } from "./cli/schemas/best-of-n";
import { convertSchema } from "./cli/schemas/convert";
import { cpoSchema } from "./cli/schemas/cpo";
import { devicesSchema } from "./cli/schemas/devices";
import { downloadSchema } from "./cli/schemas/download";
import { dpoSchema } from "./cli/schemas/dpo";
import { evalSchema } from "./cli/schemas/eval";
import { generateSchema } from "./cli/schemas/generate";
import { gkdSchema } from "./cli/schemas/gkd";
import { grpoSchema } from "./cli/schemas/grpo";
import { ilqlSchema } from "./cli/schemas/ilql";
import { ktoSchema } from "./cli/schemas/kto";
import { listwiseDpoSchema } from "./cli/schemas/listwise-dpo";
import { mergeSchema } from "./cli/schemas/merge";
import { onlineDpoSchema } from "./cli/schemas/online-dpo";
import { orpoSchema } from "./cli/schemas/orpo";
import { ppoSchema } from "./cli/schemas/ppo";
import { pretrainSchema } from "./cli/schemas/pretrain";
import { prmSchema } from "./cli/schemas/prm";
import { reinforceSchema } from "./cli/schemas/reinforce";
import { rewardSchema } from "./cli/schemas/reward";
import { rlooSchema } from "./cli/schemas/rloo";
import { sampleSchema } from "./cli/schemas/sample";
import { serveSchema } from "./cli/schemas/serve";
import { sftSchema } from "./cli/schemas/sft";
import { tokenizerTrainSchema, tokenizerUseSchema } from "./cli/schemas/tokenizer";
import { trpoSchema } from "./cli/schemas/trpo";
import { tuneSchema } from "./cli/schemas/tune";
import { version } from "./environment";

/** Runs a command and says with which code to exit. */
type Run<S extends z.ZodObject> = (options: z.output<S>, text: readonly string[]) => Promise<number>;

const argv = process.argv.slice(2);
const debug = argv.includes("--debug");

/** Every declared command with its schema, by its words. */
const commands = new Map<string, { readonly command: Command; readonly schema: z.ZodObject }>();
let exitCode = 0;

const program = new Command("trimtab")
  .description("Teaches language models from feedback.")
  .version(version)
  .option("--debug", "show the stack of an error")
  .showHelpAfterError("(run with --help for the options)")
  .showSuggestionAfterError(false)
  .configureOutput({
    outputError: (message, write) => write(message.replace(/unknown (?:option|command) '(.+)'/, (text, name) => text + suggestion(name))),
  })
  .exitOverride();

/** The flags of the command that was asked for, or the commands, near a name that is neither. */
function suggestion(name: string): string {
  const near = name.startsWith("-") ? (asked ? flagNames(asked.schema) : []) : program.commands.map((command) => command.name());
  return closeMatches(name, near);
}

/** Declares one command; its options are added below, and its module is loaded when it runs. */
function declare<S extends z.ZodObject>(
  parent: Command,
  name: string,
  description: string,
  schema: S,
  load: () => Promise<Run<S>>,
  text?: string,
): void {
  const words = parent === program ? name : `${parent.name()} ${name}`;
  const command = parent.command(name).description(description);
  commands.set(words, { command, schema });
  if (text) command.argument("[text...]", text);
  command.action(async (...given: unknown[]) => {
    const options = resolveOptions(`trimtab ${words}`, schema, command.opts());
    const run = await load();
    exitCode = await run(options, text ? (given[0] as string[]) : []);
  });
}

declare(program, "pretrain", "train a new model on text", pretrainSchema, async () => (await import("./cli/commands/pretrain")).pretrain);
declare(program, "sft", "supervised fine-tuning", sftSchema, async () => (await import("./cli/commands/sft")).runSft);
declare(
  program,
  "grpo",
  "reinforcement learning from reward functions",
  grpoSchema,
  async () => (await import("./cli/commands/grpo")).runGrpo,
);
declare(
  program,
  "rloo",
  "REINFORCE leave-one-out from reward functions",
  rlooSchema,
  async () => (await import("./cli/commands/rloo")).runRloo,
);
declare(
  program,
  "reinforce",
  "REINFORCE, REINFORCE++, ReMax, OPO or GPG from reward functions",
  reinforceSchema,
  async () => (await import("./cli/commands/reinforce")).runReinforce,
);
declare(
  program,
  "online-dpo",
  "DPO on the model's own completions, ranked by reward functions",
  onlineDpoSchema,
  async () => (await import("./cli/commands/online-dpo")).runOnlineDpo,
);
declare(
  program,
  "ppo",
  "RLHF: proximal policy optimisation with a value model",
  ppoSchema,
  async () => (await import("./cli/commands/ppo")).runPpo,
);
declare(
  program,
  "ilql",
  "values of every token from completions with rewards",
  ilqlSchema,
  async () => (await import("./cli/commands/ilql")).runIlql,
);
declare(
  program,
  "trpo",
  "policy gradient inside an exact trust region",
  trpoSchema,
  async () => (await import("./cli/commands/trpo")).runTrpo,
);
declare(program, "merge", "fold an adapter into its base", mergeSchema, async () => (await import("./cli/commands/merge")).runMerge);
declare(program, "a2c", "advantage actor-critic from reward functions", a2cSchema, async () => (await import("./cli/commands/a2c")).runA2c);
declare(program, "dpo", "direct preference optimisation", dpoSchema, async () => (await import("./cli/commands/dpo")).runDpo);
declare(
  program,
  "kto",
  "Kahneman-Tversky optimisation on completions marked good or bad",
  ktoSchema,
  async () => (await import("./cli/commands/kto")).runKto,
);
declare(
  program,
  "bco",
  "binary classifier optimisation on completions marked good or bad",
  bcoSchema,
  async () => (await import("./cli/commands/bco")).runBco,
);
declare(
  program,
  "orpo",
  "supervised learning and preferences in one, without a reference",
  orpoSchema,
  async () => (await import("./cli/commands/orpo")).runOrpo,
);
declare(
  program,
  "cpo",
  "CPO, SimPO and AlphaPO: preferences without a reference",
  cpoSchema,
  async () => (await import("./cli/commands/cpo")).runCpo,
);
declare(program, "reward", "train a reward model", rewardSchema, async () => (await import("./cli/commands/reward")).runReward);
declare(program, "prm", "train a process reward model", prmSchema, async () => (await import("./cli/commands/prm")).runPrm);
declare(
  program,
  "listwise-dpo",
  "DPO on ranked lists of completions",
  listwiseDpoSchema,
  async () => (await import("./cli/commands/listwise-dpo")).runListwiseDpo,
);
declare(program, "gkd", "distil a teacher into a student", gkdSchema, async () => (await import("./cli/commands/gkd")).runGkd);
declare(program, "eval", "measure a model on held-out prompts", evalSchema, async () => (await import("./cli/commands/eval")).runEval);
declare(program, "generate", "complete prompts", generateSchema, async () => (await import("./cli/commands/generate")).runGenerate);
declare(
  program,
  "serve",
  "answer requests in the form of OpenAI's API",
  serveSchema,
  async () => (await import("./cli/commands/serve")).runServe,
);
declare(
  program,
  "sample",
  "sample varied completions for people to compare",
  sampleSchema,
  async () => (await import("./cli/commands/sample")).runSample,
);
declare(
  program,
  "best-of-n",
  "sample, score and keep the best completions, to learn from with sft",
  bestOfNSchema,
  async () => (await import("./cli/commands/best-of-n")).runBestOfN,
);
declare(
  program,
  "convert",
  "convert feedback from one format to another",
  convertSchema,
  async () => (await import("./cli/commands/convert")).runConvert,
);
const tokenizer = program.command("tokenizer").description("train and try tokenizers");
declare(
  tokenizer,
  "train",
  "train a byte-pair tokenizer",
  tokenizerTrainSchema,
  async () => (await import("./cli/commands/tokenizer")).trainTokenizer,
);
declare(
  tokenizer,
  "encode",
  "print the token ids of text",
  tokenizerUseSchema,
  async () => (await import("./cli/commands/tokenizer")).encodeText,
  "text; default: standard input",
);
declare(
  tokenizer,
  "decode",
  "print the text of token ids",
  tokenizerUseSchema,
  async () => (await import("./cli/commands/tokenizer")).decodeTokens,
  "token ids; default: standard input",
);
declare(
  program,
  "download",
  "download models of the Hugging Face hub into its cache",
  downloadSchema,
  async () => (await import("./cli/commands/download")).runDownload,
  "names of models: org/name, or org/name@revision",
);
declare(program, "devices", "list what can compute here", devicesSchema, async () => (await import("./cli/commands/devices")).runDevices);
declare(
  program,
  "tune",
  "fit kernels to this machine's GPU by measurement",
  tuneSchema,
  async () => (await import("./cli/commands/tune")).runTune,
);
declare(
  program,
  "bench",
  "measure ops and a training step on a device",
  benchSchema,
  async () => (await import("./cli/commands/bench")).runBench,
);

const words = argv.filter((argument) => !argument.startsWith("-") && argument !== "help");
const asked = commands.get(words.slice(0, 2).join(" ")) ?? commands.get(words[0] ?? "");
// Those of thirty commands take longer than all else; only a list of commands needs them, to say that there are some.
for (const { command, schema } of asked ? [asked] : commands.values()) addOptions(command, schema);
const given = argv.filter((argument) => argument !== "--debug");

try {
  await program.parseAsync(asked ? normaliseArguments(given, asked.schema) : given, { from: "user" });
} catch (error) {
  exitCode = error instanceof CommanderError ? error.exitCode : 1;
  if (!(error instanceof CommanderError)) report(error);
}
process.exitCode = exitCode;

function report(error: unknown): void {
  if (debug) console.error(error);
  else if (error instanceof TrimtabError) console.error(`${error.name}: ${error.message}`);
  else
    console.error(
      `Unexpected ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}. Run again with --debug for the stack.`,
    );
}
