/**
 * The whole of Trimtab in one program: train a tokenizer and a small language model on State of the Union addresses, then teach
 * the model by GRPO to sound positive, and measure on prompts it never saw whether it does.
 *
 *   npm start [-- --device webgpu --steps 20 --seed 7]
 */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Completion,
  createDevice,
  type Device,
  distinctN,
  environmentOf,
  generate,
  grpo,
  type LanguageModel,
  MetricsLog,
  metricCharts,
  pairedBootstrap,
  renderReport,
  saveModel,
  sparkline,
  startProgress,
} from "@trimtab/node";
import { pretrain } from "./base-model";
import { klFrom } from "./score";
import { positivity, repetition, sentiment, wordsOf } from "./sentiment";
import { readFlags, type Settings, settingsFor } from "./settings";
import { loadSpeeches, openings } from "./speeches";

const started = performance.now();
const flags = readFlags(process.argv.slice(2));
// The strict build gives the same bits on every machine, so a seed's numbers can be compared.
const device = await createDevice(flags.device, { threads: flags.threads, relaxed: false });
try {
  await main(device, settingsFor(device, flags));
} finally {
  await device.destroy();
}

async function main(device: Device, settings: Settings): Promise<void> {
  const { seed, output } = flags;
  mkdirSync(output, { recursive: true });
  console.log(`Running on ${device.info.name}.`);

  // 1 to 3. The text and its tokens, and a Llama-shaped model that reads them.
  const speeches = loadSpeeches();
  const { model, bitsPerByte: bits, log: pretraining } = await pretrain(device, speeches, settings, seed, output);

  // 4. What it says before.
  const start = model.decoder.clone();
  const prompts = openings(speeches.heldOut, settings.heldOutPrompts, 8, seed);
  const before = await complete(model, prompts, settings);

  // 5. GRPO against the sentiment of its own continuations.
  const training = openings(speeches.training, settings.promptsPerStep * Math.max(1, settings.grpoSteps), 8, seed);
  const log = new MetricsLog(output);
  const progress = startProgress({ label: "GRPO", total: settings.grpoSteps });
  const learning = grpo({
    model,
    prompts: training.map((prompt) => ({ prompt })),
    rewards: [positivity, repetition],
    maxSteps: settings.grpoSteps,
    perDeviceTrainBatchSize: settings.promptsPerStep * settings.generations,
    numGenerations: settings.generations,
    maxCompletionLength: settings.completionLength,
    learningRate: settings.grpoLearningRate,
    lrSchedulerType: "constant_with_warmup",
    warmupSteps: 2,
    temperature: settings.temperature,
    numIterations: settings.iterations,
    beta: settings.beta,
    scaleRewards: "batch",
    seed,
  });
  for await (const { step, metrics } of learning) {
    log.add({ ...metrics, step });
    progress.update(step, `reward ${metrics.reward?.toFixed(2)}  KL ${metrics.kl?.toFixed(3)}`);
  }
  progress.stop();
  console.log();
  printCurves(log);

  // 6. The verdict, on prompts it never trained on.
  const after = await complete(model, prompts, settings);
  const rewardOf = (completions: readonly Completion[]) => completions.map(({ text }) => sentiment(text));
  const [rewardsBefore, rewardsAfter] = [rewardOf(before), rewardOf(after)];
  const reward = pairedBootstrap(rewardsBefore, rewardsAfter, { seed });
  const kl = await klFrom(start, model.decoder, after, settings.temperature);
  const diversity = (completions: readonly Completion[], n: number) =>
    distinctN(
      completions.map((c) => wordsOf(c.text)),
      n,
    );
  const verdict = {
    heldOutPrompts: prompts.length,
    bitsPerByte: bits,
    rewardBefore: reward.meanBefore,
    rewardAfter: reward.meanAfter,
    rewardGain: reward.mean,
    rewardGainInterval95: [reward.low, reward.high],
    rewardGainInDeviations: reward.mean / reward.stdBefore,
    klPerToken: kl,
    distinct1: [diversity(before, 1), diversity(after, 1)],
    distinct2: [diversity(before, 2), diversity(after, 2)],
  };
  const isBetter = reward.low > 0 && verdict.rewardGainInDeviations >= 0.5;

  const samples = prompts.slice(0, 8).map((prompt, i) => ({
    prompt,
    before: (before[i] as Completion).text,
    after: (after[i] as Completion).text,
    scores: [rewardsBefore[i] as number, rewardsAfter[i] as number] as const,
  }));
  for (const sample of samples.slice(0, 4)) {
    console.log(
      `\n"${sample.prompt}"\n  before (${sample.scores[0].toFixed(1)}): ${sample.before.trim()}\n  after  (${sample.scores[1].toFixed(1)}): ${sample.after.trim()}`,
    );
  }
  const pair = ([a, b]: readonly number[], digits = 2) => `${a?.toFixed(digits)} → ${b?.toFixed(digits)}`;
  console.log(`
Verdict on ${prompts.length} held-out prompts
  reward      ${pair([reward.meanBefore, reward.meanAfter])}: ${signed(reward.mean)}, 95 % interval ${signed(reward.low)} to ${signed(reward.high)}, ${verdict.rewardGainInDeviations.toFixed(2)} standard deviations
  KL          ${kl.toFixed(3)} nats per token from the starting policy
  distinct-1  ${pair(verdict.distinct1, 3)}
  distinct-2  ${pair(verdict.distinct2, 3)}
  ${isBetter ? "GRPO made the model more positive." : "No clear improvement: the interval or the effect is too small."}`);

  // 7. What stays.
  await saveModel(model, join(output, "model"));
  await writeFile(join(output, "verdict.json"), `${JSON.stringify(verdict, null, 2)}\n`);
  await writeFile(
    join(output, "report.html"),
    renderReport({
      title: "Positive speeches",
      lead: `A Llama-shaped model of ${(model.decoder.parameters.count / 1e6).toFixed(2)} million parameters read State of the Union addresses, then learned by GRPO to continue them in a positive tone. Judged on ${prompts.length} prompts from speeches it never saw.`,
      figures: [
        {
          label: "Held-out reward",
          value: pair([reward.meanBefore, reward.meanAfter]),
          note: `${signed(reward.mean)}, 95 % interval ${signed(reward.low)} to ${signed(reward.high)}`,
        },
        { label: "Effect", value: `${verdict.rewardGainInDeviations.toFixed(2)} σ`, note: "standard deviations of the reward before" },
        { label: "KL to the start", value: kl.toFixed(3), note: "nats per token" },
        { label: "Distinct-2", value: pair(verdict.distinct2), note: "different word pairs over all" },
        { label: "Held-out text", value: bits.toFixed(2), note: "bits per byte before GRPO" },
      ],
      charts: [
        ...metricCharts(log.rows),
        ...metricCharts(pretraining.rows).map((chart) => ({ ...chart, title: `Pretraining: ${chart.title.toLowerCase()}` })),
      ],
      tables: [
        {
          title: "Samples",
          description: "The same held-out prompts and the same random numbers, before and after GRPO; in brackets the reward.",
          columns: ["Prompt", "Before", "After"],
          rows: samples.map((s) => [
            s.prompt,
            `${s.before.trim()} (${s.scores[0].toFixed(1)})`,
            `${s.after.trim()} (${s.scores[1].toFixed(1)})`,
          ]),
        },
        {
          title: "Settings",
          columns: ["What", "Value"],
          rows: [...Object.entries(settings), ["seed", seed]].map(([name, value]) => [String(name), String(value)]),
        },
        { title: "Environment", columns: ["What", "Which"], rows: environmentOf(device) },
      ],
    }),
  );
  start.dispose();
  console.log(`\nReport, metrics and model in ${output} after ${((performance.now() - started) / 1000).toFixed(0)} s.`);
}

/** One completion of each prompt, with the same random numbers before and after. */
function complete(model: LanguageModel, prompts: readonly string[], settings: Settings): Promise<Completion[]> {
  return generate({ model, prompts, maxNewTokens: settings.completionLength, temperature: settings.temperature, seed: flags.seed + 1 });
}

function printCurves(log: MetricsLog): void {
  const curves = [
    ["reward", "reward"],
    ["KL", "kl"],
    ["entropy", "entropy"],
    ["clipped", "clip_ratio/region_mean"],
    ["length", "completions/mean_length"],
  ] as const;
  for (const [label, metric] of curves) {
    const values = log.rows.map((row) => row[metric]).filter((v): v is number => v !== undefined);
    if (values.length > 0) console.log(`${label.padEnd(8)} ${sparkline(values)}  ${values[0]?.toFixed(3)} → ${values.at(-1)?.toFixed(3)}`);
  }
}

function signed(value: number): string {
  return `${value >= 0 ? "+" : ""}${value.toFixed(2)}`;
}
