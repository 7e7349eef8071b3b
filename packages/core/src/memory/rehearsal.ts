/** A trainer's options as it needs them to show how much memory it takes: the longest rows, no more rounds than differ, and nobody asked for rewards. */
import type { DatasetRow } from "../data/jsonl";
import type { RewardFunction } from "../rl/rewards";
import type { RolloutFunction } from "../rl/rollout-function";
import { isOnDevice } from "../trainers/reward-model-function";
import { longestRollout } from "./longest-rollout";
import { longestRows } from "./longest-rows";

/** What is looked at of the options of any trainer; whatever else they hold stays. */
export interface AnyOptions {
  readonly perDeviceTrainBatchSize?: number | undefined;
  readonly gradientAccumulationSteps?: number | undefined;
  readonly stepsPerGeneration?: number | undefined;
  readonly dataset?: readonly DatasetRow[] | undefined;
  readonly datasetTextField?: string | undefined;
  readonly ptxDataset?: readonly DatasetRow[] | undefined;
  readonly prompts?: readonly DatasetRow[] | undefined;
  readonly rewards?: RewardFunction | readonly RewardFunction[] | undefined;
  readonly rollouts?: AnyOptions | undefined;
}

export interface Rehearsal<Options> {
  readonly options: Options;
  /** Whether step `step` (from 1) is the last that can take more than those before. */
  isOver(step: number): boolean;
}

/** Offline, the second step finds gradients where the first makes them; a trainer that samples finds them when it samples again. */
const LEAST_STEPS = 2;
const ROUNDS = 2;
/** Rounds of very many steps are not waited for. */
const MOST_STEPS = 64;

export function rehearsalOf<Options extends object>(given: Options): Rehearsal<Options> {
  const options = given as AnyOptions;
  let rounds = 0;
  const rolloutFunction: RolloutFunction = (request) => {
    rounds += 1;
    return longestRollout(request);
  };
  const { perDeviceTrainBatchSize: rows = 8, gradientAccumulationSteps: accumulation = 1 } = options;
  const count = rows * (options.stepsPerGeneration ?? accumulation);
  const longest = (dataset: readonly DatasetRow[] | undefined) => dataset && longestRows(dataset, count, options.datasetTextField);
  const sampling = (of: AnyOptions) => ({
    prompts: longest(of.prompts),
    rewards: [standIn, ...[of.rewards ?? []].flat().filter(isOnDevice)],
    ...{ rewardWeights: undefined, judge: undefined, rolloutFunction },
  });
  const changed = {
    ...options,
    ...(options.dataset ? { dataset: longest(options.dataset) } : {}),
    ...(options.ptxDataset ? { ptxDataset: longest(options.ptxDataset) } : {}),
    ...(options.prompts ? sampling(options) : {}),
    ...(options.rollouts ? { rollouts: { ...options.rollouts, ...sampling(options.rollouts) } } : {}),
    ...{ maxSteps: MOST_STEPS, shuffleDataset: false, resume: undefined, signal: undefined, clock: undefined, onReady: undefined },
  };
  return {
    options: changed as unknown as Options,
    isOver: (step) => step >= MOST_STEPS || (options.prompts ? rounds >= ROUNDS : step >= LEAST_STEPS),
  };
}

/** Half of the completions are better than the others, whatever the algorithm compares. */
const standIn: RewardFunction = ({ completions }) => completions.map((_, i) => i % 2);
