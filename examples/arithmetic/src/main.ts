/**
 * Learning from verifiable rewards: a small model imitates the worked chain sums of pupils who often give up, then practises on problems of
 * which it is told only whether its answer was right. GRPO, Dr. GRPO, RLOO, PPO and TRPO start from the same model and sample the same number
 * of completions.
 *
 *   node examples/arithmetic/dist/main.js [--algorithms grpo,ppo --steps 100 --seed 7]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createDevice,
  type DeviceChoice,
  environmentOf,
  generate,
  grpo,
  type LanguageModel,
  newLanguageModel,
  type PairedDifference,
  pairedBootstrap,
  ppo,
  renderReport,
  rloo,
  sft,
  sparkline,
  startProgress,
  Tokenizer,
  type TrainingStep,
  trpo,
} from "@trimtab/node";
import { answerOf, correct, makeProblems, type Problem, pupilsWorking } from "./problems";

const { values: flags } = parseArgs({
  options: {
    algorithms: { type: "string", default: "grpo,dr-grpo,rloo,ppo,trpo" },
    device: { type: "string", default: "wasm" },
    output: { type: "string", default: "runs/arithmetic" },
    problems: { type: "string", default: "20500" },
    "sft-steps": { type: "string", default: "600" },
    steps: { type: "string", default: "150" },
    seed: { type: "string", default: "1" },
  },
});
const [count, sftSteps, steps, seed] = [flags.problems, flags["sft-steps"], flags.steps, flags.seed].map(Number) as [
  number,
  number,
  number,
  number,
];

const HELD_OUT = 500;
/** Worked problems to imitate before practising. */
const DEMONSTRATIONS = 8000;
const GROUP = 8;
/** Completions per step, of every algorithm. */
const BATCH = 128;
const LONGEST = 14;
/** Samples per held-out problem, for the accuracy of sampling. */
const SAMPLES = 4;

/** The same budget for everyone: `steps` rounds of BATCH completions. */
const shared = {
  rewards: correct,
  maxSteps: steps,
  perDeviceTrainBatchSize: BATCH,
  maxCompletionLength: LONGEST,
  lrSchedulerType: "constant_with_warmup",
  warmupSteps: 5,
  temperature: 1,
  seed,
} as const;

type Run = (model: LanguageModel, prompts: readonly Readonly<Record<string, string>>[]) => AsyncIterable<TrainingStep>;

const algorithms: Readonly<Record<string, Run>> = {
  grpo: (model, prompts) => grpo({ ...shared, model, prompts, numGenerations: GROUP, lossType: "grpo", learningRate: 2e-4 }),
  "dr-grpo": (model, prompts) =>
    grpo({ ...shared, model, prompts, numGenerations: GROUP, lossType: "dr_grpo", scaleRewards: "none", learningRate: 2e-4 }),
  rloo: (model, prompts) => rloo({ ...shared, model, prompts, numGenerations: GROUP, beta: 0, learningRate: 2e-4 }),
  ppo: (model, prompts) =>
    ppo({
      ...shared,
      model,
      prompts,
      numGenerations: 1,
      numPpoEpochs: 1,
      klCoef: 0,
      learningRate: 2e-4,
      valueModel: "separate",
      vfCoef: 1,
    }),
  // A curvature from few completions is noisy: steps of the default 0.01 nats mostly follow the noise. A quarter of the completions measures it as well.
  trpo: (model, prompts) => trpo({ ...shared, model, prompts, numGenerations: GROUP, delta: 0.002, cgIterations: 5, fisherSubset: 0.25 }),
};

const chosen = flags.algorithms.split(",");
const unknown = chosen.filter((name) => !Object.hasOwn(algorithms, name));
if (unknown.length > 0)
  throw new RangeError(`--algorithms: they must be of ${Object.keys(algorithms).join(", ")}, got ${unknown.join(", ")}.`);

const device = await createDevice(flags.device as DeviceChoice, { relaxed: false });
try {
  await main();
} finally {
  await device.destroy();
}

async function main(): Promise<void> {
  mkdirSync(flags.output, { recursive: true });
  const problems = makeProblems(count, seed);
  const heldOut = problems.slice(0, HELD_OUT);
  const practice = problems.slice(HELD_OUT + DEMONSTRATIONS).map(({ prompt, answer }) => ({ prompt, answer }));
  console.log(
    `Running on ${device.info.name}. ${problems.length} different problems, ${HELD_OUT} held out, such as ${heldOut[0]?.prompt}${heldOut[0]?.working}`,
  );

  const base = newLanguageModel(
    device,
    { hiddenSize: 64, intermediateSize: 176, layers: 2, heads: 4, initializerRange: 0.1, maxPositions: 32 },
    Tokenizer.train(["0123456789+-;:"], { vocabSize: 257 }),
    seed,
  );
  const progress = startProgress({ label: "SFT", total: sftSteps });
  const demonstrations = problems
    .slice(HELD_OUT, HELD_OUT + DEMONSTRATIONS)
    .map((problem, i) => ({ prompt: problem.prompt, completion: pupilsWorking(problem, seed, i) }));
  for await (const { step, metrics } of sft({
    model: base,
    dataset: demonstrations,
    maxSteps: sftSteps,
    perDeviceTrainBatchSize: 64,
    learningRate: 6e-3,
    lrSchedulerType: "cosine",
    warmupSteps: 20,
    seed,
  })) {
    progress.update(step, `loss ${metrics.loss?.toFixed(3)}`);
  }
  progress.stop();
  const before = await examine(base, heldOut);
  console.log(`After ${sftSteps} steps of SFT: ${percent(before.greedy)} right greedily, ${percent(before.sampled)} when sampling.\n`);

  const results = [];
  for (const name of chosen) {
    const model: LanguageModel = { ...base, decoder: base.decoder.clone() };
    const started = performance.now();
    const curve: [number, number][] = [];
    const bar = startProgress({ label: name, total: steps });
    for await (const { step, metrics } of (algorithms[name] as Run)(model, practice)) {
      const reward = metrics.reward ?? metrics["objective/scores"] ?? Number.NaN;
      curve.push([step, reward]);
      bar.update(step, `reward ${reward.toFixed(3)}`);
    }
    bar.stop();
    const after = await examine(model, heldOut);
    const gain = pairedBootstrap(before.sampled, after.sampled, { seed });
    const greedyGain = pairedBootstrap(before.greedy, after.greedy, { seed });
    results.push({ name, curve, after, gain, greedyGain, seconds: (performance.now() - started) / 1000 });
    console.log(`${name.padEnd(8)} ${sparkline(curve.map(([, reward]) => reward))}  sampled ${describe(gain)}`);
    model.decoder.dispose();
  }

  const columns = ["algorithm", "sampled, before", "after", "gain (95 %)", "greedy, before", "after", "gain (95 %)", "seconds"];
  const rows = results.map(({ name, after, gain, greedyGain, seconds }) => [
    name,
    percent(before.sampled),
    percent(after.sampled),
    interval(gain),
    percent(before.greedy),
    percent(after.greedy),
    interval(greedyGain),
    seconds.toFixed(0),
  ]);
  console.log(`\n${[columns, columns.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")}`);
  writeFileSync(
    join(flags.output, "results.json"),
    `${JSON.stringify({ settings: { ...flags, BATCH, GROUP, HELD_OUT, SAMPLES }, results }, (_, value) => (ArrayBuffer.isView(value) ? undefined : value), 2)}\n`,
  );
  writeFileSync(
    join(flags.output, "report.html"),
    renderReport({
      title: "Chain sums from verifiable rewards",
      lead: `A model of ${base.decoder.parameters.count.toLocaleString("en-US")} parameters imitated ${DEMONSTRATIONS} sums of pupils who often give up for ${sftSteps} steps, then practised for ${steps} rounds of ${BATCH} completions with each algorithm. Examined on ${HELD_OUT} problems it never saw.`,
      figures: results.map(({ name, after, gain }) => ({
        label: name,
        value: percent(after.sampled),
        note: `from ${percent(before.sampled)}: ${interval(gain)}`,
      })),
      charts: [
        {
          title: "Share of right answers in practice",
          description: "Mean reward of each round's completions.",
          xLabel: "round",
          yLabel: "reward",
          series: results.map(({ name, curve }) => ({ name, points: curve })),
        },
      ],
      tables: [
        { title: "Held-out accuracy", columns, rows },
        { title: "Environment", columns: ["What", "Which"], rows: environmentOf(device) },
      ],
    }),
  );
  base.decoder.dispose();
  console.log(`\nReport and figures in ${flags.output}.`);
}

interface Examination {
  /** Per problem: 1 where the greedy answer is right, and the share of samples that are. */
  readonly greedy: Float64Array;
  readonly sampled: Float64Array;
}

async function examine(model: LanguageModel, problems: readonly Problem[]): Promise<Examination> {
  const marks = async (n: number, temperature: number) => {
    const right = new Float64Array(problems.length);
    const prompts = problems.map(({ prompt }) => prompt);
    for (const { promptIndex, text } of await generate({ model, prompts, n, temperature, maxNewTokens: LONGEST, seed: seed + 1 })) {
      if (answerOf(text) === problems[promptIndex]?.answer) right[promptIndex] = (right[promptIndex] as number) + 1 / n;
    }
    return right;
  };
  return { greedy: await marks(1, 0), sampled: await marks(SAMPLES, 1) };
}

function percent(values: Float64Array): string {
  return `${((100 * values.reduce((sum, value) => sum + value, 0)) / values.length).toFixed(1)} %`;
}

function points(value: number): string {
  return `${value >= 0 ? "+" : "−"}${Math.abs(100 * value).toFixed(1)}`;
}

function interval({ mean, low, high }: PairedDifference): string {
  return `${points(mean)} (${points(low)} to ${points(high)})`;
}

function describe(gain: PairedDifference): string {
  return `${(100 * gain.meanBefore).toFixed(1)} % → ${(100 * gain.meanAfter).toFixed(1)} %: ${interval(gain)}`;
}
