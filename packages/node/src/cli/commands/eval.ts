/** `trimtab eval`: measures a model on held-out prompts and writes the figures as JSON and as a page. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import {
  ConfigError,
  compareEvaluations,
  evaluatePolicy,
  frontierOfLog,
  type PairedDifference,
  type PolicyEvaluation,
  pairedCompletions,
  type WinRate,
  winRate,
} from "@trimtab/core";
import type { z } from "zod";
import { readDataset } from "../../datasets";
import { withDevice } from "../../device";
import { environmentOf } from "../../environments";
import { judgeOf } from "../../judges/judge-of";
import { type EvaluationRun, evaluationReport } from "../../report/evaluation-report";
import { loadRewardModules } from "../../rewards/reward-functions";
import { loadModelOf, loadNamedModel } from "../../run/named-model";
import { baseDtype } from "../../run/precision-flags";
import { rewardsOf } from "../../run/rewards-of";
import type { evalSchema } from "../schemas/eval";

export async function runEval(options: z.output<typeof evalSchema>): Promise<number> {
  const { datasetName, rewardFuncs, reference: referencePath } = options;
  if (options.judge !== undefined && referencePath === undefined) {
    throw new ConfigError("trimtab eval: --judge compares the model with --reference, which must be given too.");
  }
  const prompts = await readDataset(datasetName);
  const frontier = options.frontier.flatMap((path) => frontierOfLog(readLog(path), path));
  const rolloutFunction = await environmentOf(options);
  const modules = await loadRewardModules(rewardFuncs, { timeoutMs: options.rewardTimeout * 1000 });
  try {
    const run = await withDevice(options, async (device): Promise<EvaluationRun> => {
      const model = await loadModelOf(options, device);
      const reference =
        referencePath === undefined ? undefined : await loadNamedModel(referencePath, { device, dtype: baseDtype(options) });
      const rewards = await rewardsOf(options, { modules: modules.functions, isFromEnvironment: rolloutFunction !== undefined, device });
      const settings = { ...options, prompts, rewards, rolloutFunction };
      const result = await evaluatePolicy({ ...settings, model, reference });
      const baseline = reference && (await evaluatePolicy({ ...settings, reference: undefined, model: reference }));
      const difference = baseline?.reward && result.reward && prompts.length > 1 ? compareEvaluations(baseline, result) : undefined;
      const judge = await judgeOf(options, device);
      const wins = judge && baseline ? await winRate(judge, pairedCompletions(result, baseline)) : undefined;
      return { options, device, result, baseline, difference, wins, frontier };
    });
    await writeFile(options.output, `${JSON.stringify(figuresOf(run), null, 2)}\n`);
    await writeFile(options.report, evaluationReport(run));
    console.log(`Figures in ${options.output}, report in ${options.report}`);
    return 0;
  } finally {
    await modules.close();
  }
}

function figuresOf({ result, baseline, difference, wins, frontier }: EvaluationRun): {
  readonly model: PolicyEvaluation;
  readonly reference: PolicyEvaluation | undefined;
  readonly difference: PairedDifference | undefined;
  readonly winRate: WinRate | undefined;
  readonly frontier: EvaluationRun["frontier"];
} {
  return { model: result, reference: baseline, difference, winRate: wins, frontier };
}

/** The rows of a run's metrics.jsonl. */
function readLog(path: string): Record<string, number>[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, number>);
  } catch (cause) {
    throw new ConfigError(`--frontier ${path}: it must be a readable metrics.jsonl, got ${(cause as Error).message}.`, { cause });
  }
}
