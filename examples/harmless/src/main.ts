/**
 * Which of two replies do people prefer? Five-fold cross-validation on the pairs of hh-rlhf's harmless-base: a reward model, DPO, KTO and ORPO, all
 * from the same small language model, beside a bag-of-words logistic regression.
 *
 *   node examples/harmless/dist/main.js --model stories260K --dataset hh-rlhf_harmless-base_test.jsonl.gz
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createDevice,
  type DatasetRow,
  type DeviceChoice,
  dpo,
  environmentOf,
  evaluatePreferences,
  evaluateRewardModel,
  hhRlhfToPreferences,
  kto,
  type LanguageModel,
  loadModel,
  newScalarModel,
  orpo,
  randomInt,
  readDataset,
  renderReport,
  reward,
  startProgress,
  type TrainingStep,
  unpairPreferences,
} from "@trimtab/node";
import { bagOfWordsAccuracy } from "./bag-of-words";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    dataset: { type: "string" },
    methods: { type: "string", default: "reward,dpo,kto,orpo" },
    folds: { type: "string", default: "5" },
    device: { type: "string", default: "wasm" },
    output: { type: "string", default: "runs/harmless" },
    seed: { type: "string", default: "1" },
  },
});
if (!flags.model || !flags.dataset) {
  console.error(
    "Give --model (a directory such as stories260K) and --dataset (hh-rlhf's harmless-base/test.jsonl.gz): both are on the Hugging Face hub.",
  );
  process.exit(1);
}
const [folds, seed] = [Number(flags.folds), Number(flags.seed)];

/** The last exchange of a dialogue, cut to what the model can read: characters of the human's turn and of the reply. */
const [PROMPT_CHARACTERS, REPLY_CHARACTERS] = [160, 360];

interface Pair extends DatasetRow {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
}

type Train = (model: LanguageModel, training: readonly Pair[]) => Promise<(heldOut: readonly Pair[]) => Promise<boolean[]>>;

const schedule = { perDeviceTrainBatchSize: 32, lrSchedulerType: "cosine", warmupRatio: 0.1, weightDecay: 0.1, seed } as const;

/** Each trains a model and returns a judge of held-out pairs: true where the preferred reply comes out ahead. */
const methods: Readonly<Record<string, Train>> = {
  async reward(base, training) {
    const model = newScalarModel(base, seed);
    await run("reward", reward({ ...schedule, model, dataset: training, learningRate: 1e-3, numTrainEpochs: 2 }));
    return async (heldOut) => {
      const { scores } = await evaluateRewardModel({ model, dataset: heldOut });
      model.decoder.dispose();
      return heldOut.map((_, i) => (scores[2 * i] as number) > (scores[2 * i + 1] as number));
    };
  },
  async dpo(base, training) {
    const model = { ...base, decoder: base.decoder.clone() };
    await run(
      "dpo",
      dpo({ ...schedule, model, dataset: training, learningRate: 5e-4, numTrainEpochs: 1, beta: 0.1, precomputeRefLogProbs: true }),
    );
    return async (heldOut) => ahead(model, heldOut, { reference: base });
  },
  async kto(base, training) {
    const model = { ...base, decoder: base.decoder.clone() };
    const { rows } = unpairPreferences(training);
    await run(
      "kto",
      kto({ ...schedule, model, dataset: rows, learningRate: 5e-4, numTrainEpochs: 1, beta: 0.1, precomputeRefLogProbs: true }),
    );
    return async (heldOut) => ahead(model, heldOut, { reference: base });
  },
  async orpo(base, training) {
    const model = { ...base, decoder: base.decoder.clone() };
    await run("orpo", orpo({ ...schedule, model, dataset: training, learningRate: 1e-3, numTrainEpochs: 1, beta: 0.5 }));
    return async (heldOut) => ahead(model, heldOut, { averages: true });
  },
};

const device = await createDevice(flags.device as DeviceChoice, { relaxed: false });
try {
  await main();
} finally {
  await device.destroy();
}

async function main(): Promise<void> {
  mkdirSync(flags.output, { recursive: true });
  const base = await loadModel(flags.model as string, { device });
  const converted = hhRlhfToPreferences(await readDataset(flags.dataset as string));
  const pairs = converted.rows.map((row) => lastExchange(row as Pair));
  const order = shuffled(pairs.length);
  console.log(`Running on ${device.info.name}. ${pairs.length} pairs, ${folds} folds.`);
  const names = ["bag of words", ...flags.methods.split(",")];
  const right = new Map(names.map((name) => [name, [] as number[]]));
  for (let fold = 0; fold < folds; fold++) {
    const isHeldOut = (_: number, place: number) => place % 5 === fold;
    const heldOut = order.filter(isHeldOut).map((i) => pairs[i] as Pair);
    const training = order.filter((i, place) => !isHeldOut(i, place)).map((i) => pairs[i] as Pair);
    right.get("bag of words")?.push(bagOfWordsAccuracy(training, heldOut));
    for (const name of names.slice(1)) {
      const judge = await (methods[name] as Train)(base, training);
      const verdicts = await judge(heldOut);
      right.get(name)?.push(verdicts.filter(Boolean).length / verdicts.length);
    }
    console.log(`fold ${fold + 1}: ${names.map((name) => `${name} ${percent(right.get(name)?.at(-1) as number)}`).join(", ")}`);
  }
  const columns = ["method", "mean accuracy", "95 % interval", ...Array.from({ length: folds }, (_, i) => `fold ${i + 1}`)];
  const rows = names.map((name) => {
    const accuracies = right.get(name) as number[];
    const mean = accuracies.reduce((sum, a) => sum + a, 0) / accuracies.length;
    const half = 1.96 * Math.sqrt((mean * (1 - mean)) / ((pairs.length * folds) / 5));
    return [name, percent(mean), `${percent(mean - half)} to ${percent(mean + half)}`, ...accuracies.map(percent)];
  });
  console.log(`\n${[columns, columns.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")}`);
  writeFileSync(
    join(flags.output, "results.json"),
    `${JSON.stringify({ pairs: pairs.length, folds, accuracy: Object.fromEntries(right) }, null, 2)}\n`,
  );
  writeFileSync(
    join(flags.output, "report.html"),
    renderReport({
      title: "Which reply do people prefer?",
      lead: `Five-fold cross-validation over ${pairs.length} pairs of hh-rlhf harmless-base; every model starts from ${base.decoder.parameters.count.toLocaleString("en-US")} pretrained parameters.`,
      figures: rows.map(([name, mean, interval]) => ({ label: name as string, value: mean as string, note: interval as string })),
      charts: [],
      tables: [
        { title: "Accuracy on held-out pairs", columns, rows },
        { title: "Environment", columns: ["What", "Which"], rows: environmentOf(device) },
      ],
    }),
  );
  base.decoder.dispose();
}

/** Which pairs a policy's implicit rewards order rightly; the policy is let go of. */
async function ahead(
  model: LanguageModel,
  heldOut: readonly Pair[],
  options: { readonly reference?: LanguageModel; readonly averages?: boolean },
): Promise<boolean[]> {
  const { chosenRewards, rejectedRewards } = await evaluatePreferences({ model, dataset: heldOut, ...options });
  model.decoder.dispose();
  return chosenRewards.map((chosen, i) => chosen > (rejectedRewards[i] as number));
}

async function run(label: string, steps: AsyncIterable<TrainingStep>): Promise<void> {
  let progress: ReturnType<typeof startProgress> | undefined;
  for await (const { step, maxSteps, metrics } of steps) {
    progress ??= startProgress({ label, total: maxSteps });
    progress.update(step, `loss ${metrics.loss?.toFixed(3)}`);
  }
  progress?.stop();
}

function lastExchange({ prompt, chosen, rejected }: Pair): Pair {
  const turn = prompt.slice(prompt.lastIndexOf("\n\nHuman:"));
  return {
    prompt: turn.slice(-PROMPT_CHARACTERS),
    chosen: chosen.slice(0, REPLY_CHARACTERS),
    rejected: rejected.slice(0, REPLY_CHARACTERS),
  };
}

function shuffled(count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = randomInt(i + 1, seed, 0, i);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}
