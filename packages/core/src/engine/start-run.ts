/** From the options that crossed the thread to a trainer that is ready for its first step. */
import { ConfigError } from "../errors";
import { builtInReward } from "../rewards/built-in";
import type { SignalLike } from "../rl/abort";
import type { RewardFunction } from "../rl/rewards";
import { rewardModelFunction } from "../trainers/reward-model-function";
import type { Caller, Outside } from "./caller";
import type { Handles, HeldModel } from "./handles";
import type { EngineHost } from "./host";
import type { WireModel, WireReward, WireTraining } from "./protocol";
import { EngineTraining, requireSteps, type StartTrainer, stateIn } from "./run";
import { trainers } from "./trainers";

/** What a run is made from. */
export interface RunParts {
  readonly handles: Handles;
  readonly caller: Caller;
  readonly host: EngineHost<unknown>;
  readonly signal: SignalLike;
  readonly onEnd: () => void;
}

/** Throws ConfigError, DataError or CheckpointError for what is wrong, before any step. */
export async function startRun(training: WireTraining, { handles, caller, host, signal, onEnd }: RunParts): Promise<EngineTraining> {
  const { algorithm, autosave, resumeFrom, judge } = training;
  if (!Object.hasOwn(trainers, algorithm)) {
    throw new ConfigError(`train: the algorithm must be one of ${Object.keys(trainers).join(", ")}, got "${algorithm}".`);
  }
  const { start, head } = trainers[algorithm as keyof typeof trainers];
  const used = new Set<HeldModel>();
  const modelOf = (id: number, wanted: "lm" | "score") => {
    used.add(handles.get(id));
    return wanted === "score" ? handles.scalar(id, algorithm) : handles.language(id, algorithm);
  };
  let run: EngineTraining | undefined;
  const outside: Outside = (wait) => (run ? run.outside(wait) : wait());

  const given = Object.entries(training.options);
  const models = given.filter((entry): entry is [string, WireModel] => isWireModel(entry[1]));
  const trained = handles.get(models.find(([name]) => name === "model")?.[1].model ?? Number.NaN);
  if (trained.isTrained) {
    throw new ConfigError(
      `${algorithm}: \`model\` must learn in one run at a time, got one that another run trains. End that, or clone it.`,
    );
  }
  if (trained.adapted > 0) {
    throw new ConfigError(
      `${algorithm}: \`model\` must not be the base of an adapter, got one: training it would change the adapted model. Train that, or a clone.`,
    );
  }
  const fixed = models.find(([name, { model }]) => name !== "model" && handles.get(model) === trained);
  if (fixed) throw new ConfigError(`${algorithm}: \`${fixed[0]}\` must be another model than \`model\`, got the same. Clone it.`);
  const options = {
    ...Object.fromEntries(given),
    ...Object.fromEntries(models.map(([name, { model }]) => [name, modelOf(model, headOf(name, head))])),
    ...(training.rewards && { rewards: training.rewards.map((reward) => rewardOf(reward, { handles, caller, outside, modelOf })) }),
    ...(judge && { judge: caller.judge(judge, outside) }),
    signal,
    clock: host.clock && (() => host.clock?.() as number),
    resume: resumeFrom === undefined ? undefined : await stateIn(await host.openPlace(resumeFrom)),
  };
  const saves = autosave && { to: await host.openPlace(autosave.to), everySteps: requireSteps(autosave.everySteps ?? 1) };

  for (const held of used) held.users += 1;
  trained.isTrained = true;
  const startTrainer = ((own) => (start as (options: unknown) => ReturnType<StartTrainer>)({ ...options, ...own })) satisfies StartTrainer;
  run = await EngineTraining.open(startTrainer, {
    model: trained.model,
    autosave: saves,
    onEnd() {
      for (const held of used) held.users -= 1;
      trained.isTrained = false;
      trained.model.decoder.trainable.freeGrads();
      onEnd();
    },
  });
  return run;
}

/** The head that the model of an option must have. */
export function headOf(option: string, trained: "lm" | "score"): "lm" | "score" {
  if (option === "model") return trained;
  return option === "valueModel" ? "score" : "lm";
}

function rewardOf(
  reward: WireReward,
  parts: {
    readonly handles: Handles;
    readonly caller: Caller;
    readonly outside: Outside;
    readonly modelOf: (id: number, head: "score") => unknown;
  },
): RewardFunction {
  if ("call" in reward) return parts.caller.reward(reward, parts.outside);
  if ("rule" in reward) return builtInReward(reward.rule, reward.options);
  const { model, name, normalize = true } = reward;
  parts.modelOf(model, "score");
  const { normalization } = parts.handles.get(model);
  return rewardModelFunction(parts.handles.scalar(model, "rewards"), { name, normalization: normalize ? normalization : undefined });
}

/** Whether an option holds a model. */
export function isWireModel(value: unknown): value is WireModel {
  return typeof value === "object" && value !== null && "model" in value && Object.keys(value).length === 1;
}
