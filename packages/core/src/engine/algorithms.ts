/** The options of trainers as they cross a thread: handles in place of models, without what belongs to the trainer's own thread. */
import type { ComparingJudge } from "../trainers/online-dpo";
import type { EngineReward } from "./reward";
import type { trainers } from "./trainers";

type Trainers = typeof trainers;

/** The trainers that an engine knows, under the names that their checkpoints carry. */
export type EngineAlgorithm = keyof Trainers;

type OptionsOf<A extends EngineAlgorithm> = Parameters<Trainers[A]["start"]>[0];

/** Functions that are called where they cannot be waited for, and state that the engine keeps itself. */
type Dropped = "rolloutFunction" | "promptLogit" | "trainable" | "signal" | "clock" | "resume" | "onReady";

/** What stands in for options that hold models and functions. */
interface Crossing<Model> {
  readonly model: Model;
  readonly reference: Model | "initial" | undefined;
  readonly valueModel: Model | "shared" | "separate" | undefined;
  readonly teacher: Model;
  readonly rewards: EngineReward<Model> | readonly EngineReward<Model>[];
  readonly judge: ComparingJudge | undefined;
}

/** Where a run keeps itself, so that what is lost with a thread, a device or a tab is at most `everySteps` steps. */
export interface Autosave<Place> {
  /** Holds the latest state as `checkpoint-<step>`: hand it to `train` as `resumeFrom`. Should be the run's own. */
  readonly to: Place;
  /**
   * Optimiser steps between two saves; the last step is always saved. Default 1. A save reads back and writes three copies of the weights
   * (four with a value model's): let a large model's come once in as many steps as take a minute.
   */
  readonly everySteps?: number | undefined;
}

/** The part of an AbortSignal that the engine uses. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** A trainer's options with handles for models. */
export type EngineTrainingOptions<A extends EngineAlgorithm, Model, Place = unknown> = {
  readonly [K in keyof OptionsOf<A> as K extends Dropped ? never : K]: K extends keyof Crossing<Model>
    ? Crossing<Model>[K]
    : OptionsOf<A>[K];
} & {
  /** Abandons the step in progress, which rejects with the signal's reason, and ends the run. */
  readonly signal?: AbortSignalLike | undefined;
  /** Default: nothing is saved unless `run.save` is called. */
  readonly autosave?: Autosave<Place> | undefined;
};
