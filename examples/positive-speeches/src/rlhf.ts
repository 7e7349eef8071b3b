/**
 * Learning from human feedback, the whole loop (Ziegler et al. 2019, Stiennon et al. 2020): sample, compare, train a reward model, optimise against
 * it with PPO, and measure what the reward model cannot see: whether the texts get better by the reward that the comparisons came from.
 *
 *   node examples/positive-speeches/dist/rlhf.js [--steps 20 --comparisons 1500 --seed 1 --small]
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDevice, type Device, MetricsLog, saveModel, writeDataset } from "@trimtab/node";
import { openBase } from "./base-model";
import { collectComparisons, splitByPrompt, trainReward } from "./human-feedback";
import { type Bench, measure, optimise } from "./optimise";
import { rlhfReport } from "./rlhf-report";
import { readRlhfFlags, rlhfSettingsFor } from "./rlhf-settings";
import { judgeRewardModel, printVerdict, verdictOf } from "./rlhf-verdict";
import { loadSpeeches, openings } from "./speeches";

const started = performance.now();
const flags = readRlhfFlags(process.argv.slice(2));
// The strict build gives the same bits on every machine, so a seed's numbers can be compared.
const device = await createDevice(flags.device, { threads: flags.threads, relaxed: false });
try {
  await main(device, rlhfSettingsFor(device, flags));
} finally {
  await device.destroy();
}

async function main(device: Device, { base: pretraining, ...settings }: ReturnType<typeof rlhfSettingsFor>): Promise<void> {
  const { seed, output } = flags;
  const folder = join(output, "rlhf");
  console.log(`Running on ${device.info.name}.`);

  // 1. A language model.
  const speeches = loadSpeeches();
  const { model: base, bitsPerByte } = await openBase(device, speeches, pretraining, seed, output);

  // 2. Samples, and what the judge thinks of pairs of them.
  const comparisons = await collectComparisons(base, speeches.training, settings, seed);
  await writeDataset(
    join(folder, "preferences.jsonl"),
    comparisons.map(({ row }) => row),
  );
  console.log(`${comparisons.length} comparisons, e.g. ${JSON.stringify(comparisons[0]?.row)}\n`);

  // 3. A reward model.
  const split = splitByPrompt(comparisons, settings.heldOutShare);
  const trained = await trainReward(base, split, speeches.training, settings, seed);
  const rewardModel = judgeRewardModel(trained.evaluation, split);

  // 4. PPO against it, with the price of KL under control, and with KL for free.
  const bench: Bench = {
    base,
    rewardModel: trained.model,
    proxy: trained.proxy,
    prompts: openings(speeches.training, 8 * settings.completions, 8, seed + 3),
    heldOut: openings(speeches.heldOut, settings.heldOutPrompts, 8, seed),
    settings,
    seed,
  };
  const start = await measure(base, 0, bench);
  const logs = { controlled: new MetricsLog(join(folder, "controlled")), free: new MetricsLog(join(folder, "free")) };
  const { klCoef, klTarget, klHorizon } = settings;
  const controlled = await optimise("PPO, KL held", settings.rounds, start, bench, { klCoef, klTarget, klHorizon }, logs.controlled);
  const free = await optimise("PPO, KL free", settings.freeRounds, start, bench, { klCoef: 0 }, logs.free);

  // 5. The verdict, on prompts from speeches that no model has seen.
  const runs = { controlled: controlled.measurements, free: free.measurements };
  const verdict = verdictOf({ bitsPerByte, rewardModel, runs, settings, seed });
  printVerdict(verdict);

  // 6. What stays.
  await saveModel(controlled.policy, join(folder, "model"));
  await saveModel({ ...trained.model, generationConfig: base.generationConfig }, join(folder, "reward-model"));
  await writeFile(join(output, "rlhf-verdict.json"), `${JSON.stringify(verdict, null, 2)}\n`);
  await writeFile(join(output, "rlhf-report.html"), rlhfReport({ verdict, runs, logs, bench, device }));
  for (const { decoder } of [base, trained.model, controlled.policy, free.policy]) decoder.dispose();
  console.log(`\nReport in ${output}, data and models in ${folder} after ${((performance.now() - started) / 1000).toFixed(0)} s.`);
}
