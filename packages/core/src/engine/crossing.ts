/** A trainer's options on their way to the engine's thread: models and functions become numbers. */
import { ConfigError } from "../errors";
import { type RewardFunction, rewardName } from "../rl/rewards";
import type { ComparingJudge } from "../trainers/online-dpo";
import type { Autosave } from "./algorithms";
import { ClientModel } from "./client-model";
import type { Connection } from "./connection";
import type { EngineModel } from "./engine";
import { rewardAnswer } from "./functions";
import type { WireFunction, WireReward, WireTraining } from "./protocol";
import type { EngineReward } from "./reward";

/** What crosses, and the functions that stay and are to be removed when the run has ended. */
export interface Crossed {
  readonly training: WireTraining;
  readonly functions: readonly number[];
}

interface Crossable {
  readonly rewards?: EngineReward<EngineModel<unknown>> | readonly EngineReward<EngineModel<unknown>>[] | undefined;
  readonly judge?: (ComparingJudge & { readonly name?: string | undefined }) | undefined;
  readonly autosave?: Autosave<unknown> | undefined;
  readonly [option: string]: unknown;
}

/** Throws ConfigError for models of another engine and for functions that cannot be called across a thread. */
export function cross(connection: Connection, job: number, algorithm: string, options: Crossable, resumeFrom: unknown): Crossed {
  const { signal: _, autosave, rewards, judge, ...rest } = options;
  const functions: number[] = [];
  const answeredBy = (name: string, answer: Parameters<Connection["functions"]["add"]>[0]): WireFunction => {
    const call = connection.functions.add(answer);
    functions.push(call);
    return { call, name };
  };
  const stuck = Object.entries(rest).flatMap(([name, value]) => (typeof value === "function" ? [`\`${name}\``] : []));
  if (stuck.length > 0) {
    throw new ConfigError(`${algorithm}: options must be able to cross to the engine's thread, got functions for ${stuck.join(", ")}.`);
  }
  const wireReward = (reward: EngineReward<EngineModel<unknown>>, index: number): WireReward => {
    if (typeof reward === "function") return answeredBy(rewardName(reward as RewardFunction, index), rewardAnswer(reward));
    if ("rule" in reward) return { rule: reward.rule, options: reward.options };
    const model = ClientModel.idOf(reward.model, connection, `${algorithm}: \`rewards\``);
    return { model, name: reward.name, normalize: reward.normalize };
  };
  const training: WireTraining = {
    job,
    algorithm,
    options: Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [
        name,
        name === "model" || value instanceof ClientModel
          ? { model: ClientModel.idOf(value, connection, `${algorithm}: \`${name}\``) }
          : value,
      ]),
    ),
    rewards: rewards && [rewards].flat().map((reward, index) => wireReward(reward as EngineReward<EngineModel<unknown>>, index)),
    judge:
      judge &&
      answeredBy(judge.name ?? "judge", async (pairs, signal) => {
        const { values } = await judge.compare(pairs as Parameters<ComparingJudge["compare"]>[0], { signal });
        return { values };
      }),
    autosave: autosave && { to: autosave.to, everySteps: autosave.everySteps },
    resumeFrom,
  };
  return { training, functions };
}
