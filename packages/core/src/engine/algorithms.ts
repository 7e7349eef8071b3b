/** The trainers by name, and their options as they cross a thread: model handles in place of models. */
import type { BcoOptions } from "../trainers/bco";
import type { CpoOptions } from "../trainers/cpo";
import type { DpoOptions } from "../trainers/dpo";
import type { GrpoOptions } from "../trainers/grpo";
import type { KtoOptions } from "../trainers/kto";
import type { OrpoOptions } from "../trainers/orpo";
import type { PpoOptions } from "../trainers/ppo";
import type { RewardModelOptions } from "../trainers/reward";
import type { RlooOptions } from "../trainers/rloo";
import type { SftOptions } from "../trainers/sft";
import type { EngineReward } from "./engine";

export interface EngineAlgorithms {
  readonly sft: SftOptions;
  readonly reward: RewardModelOptions;
  readonly dpo: DpoOptions;
  readonly kto: KtoOptions;
  readonly bco: BcoOptions;
  readonly orpo: OrpoOptions;
  readonly cpo: CpoOptions;
  readonly ppo: PpoOptions;
  readonly grpo: GrpoOptions;
  readonly rloo: RlooOptions;
}

export type EngineAlgorithm = keyof EngineAlgorithms;

/** Options that hold functions, models or state of the trainer's own thread. */
type Replaced =
  | "model"
  | "rewards"
  | "reference"
  | "referenceModel"
  | "critic"
  | "value"
  | "rolloutFunction"
  | "signal"
  | "clock"
  | "resume";

/** A trainer's options with handles for models. `reference` is a frozen model where the algorithm takes one. */
export type EngineTrainingOptions<A extends EngineAlgorithm, Model> = Omit<EngineAlgorithms[A], Replaced> & {
  readonly model: Model;
  readonly reference?: Model | undefined;
  readonly signal?: { readonly aborted: boolean } | undefined;
} & (EngineAlgorithms[A] extends { readonly rewards: unknown }
    ? { readonly rewards: EngineReward<Model> | readonly EngineReward<Model>[] }
    : unknown);
