/** What the application's thread and the engine's say to each other: plain data, and names for what stays on either side. */

import type { DatasetRow } from "../data/jsonl";
import type { FittedMemory } from "../memory/fit-memory";
import type { PrecisionOptions } from "../models/base-dtype";
import type { DecoderConfig } from "../models/config";
import type { NewModelConfig } from "../models/language-model";
import type { LoraOptions } from "../models/lora-options";
import type { Metrics } from "../rl/metrics";
import type { NormalizationTarget, RewardNormalization } from "../rl/reward-normalization";
import type { EngineCompletion, EngineGenerateOptions, EngineInfo } from "./engine";
import type { Outcome } from "./outcome";

/** A message port, or a worker with the methods of one. */
export interface EngineEndpoint {
  postMessage(message: unknown, transfer?: readonly unknown[]): void;
  addEventListener(type: string, listener: (event: object) => void): void;
  removeEventListener(type: string, listener: (event: object) => void): void;
  start?(): void;
}

/** A model that lives on the engine's thread. */
export interface WireModel {
  readonly model: number;
}

/** A function that lives on the application's thread. */
export interface WireFunction {
  readonly call: number;
  readonly name: string;
}

/** A reward, its models and functions by number. */
export type WireReward =
  | WireFunction
  | { readonly rule: string; readonly options: Readonly<Record<string, unknown>> | undefined }
  | (WireModel & { readonly name: string | undefined; readonly normalize: boolean | undefined });

/** A trainer's options; those that hold models and functions are replaced. */
export interface WireTraining {
  /** A number of the application's choice, by which the run can be aborted from now on. */
  readonly job: number;
  readonly algorithm: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly rewards: readonly WireReward[] | undefined;
  readonly judge: WireFunction | undefined;
  readonly autosave: { readonly to: unknown; readonly everySteps: number | undefined } | undefined;
  /** Undefined where the run starts from the beginning. */
  readonly resumeFrom: unknown;
}

/** What is asked of a plan of memory. */
export interface WirePlan {
  /** In bytes; undefined is all that the device has. */
  readonly memoryBudget: number | undefined;
  /** Find settings that fit. */
  readonly fit: boolean;
}

export type WireGenerate = Omit<EngineGenerateOptions, "onText" | "signal"> & {
  readonly job: number;
  /** Who is told of new text, by index of the completion. */
  readonly onText: number | undefined;
};

/** What is known of a model without asking again. */
export interface ModelRecord {
  readonly id: number;
  readonly kind: "lm" | "score";
  readonly config: DecoderConfig;
  readonly parameterCount: number;
  readonly hasChatTemplate: boolean;
  readonly hasAdapter: boolean;
}

/** Tokens by column: thousands of small objects would hold up the thread that receives them. */
export interface WireTokens {
  readonly texts: readonly string[];
  /** Which are special tokens. */
  readonly specials: readonly number[];
  readonly logps: Float32Array;
  readonly entropies?: Float32Array | undefined;
  /** NaN where there is none. */
  readonly refLogps?: Float32Array | undefined;
  readonly advantages?: Float32Array | undefined;
}

export interface WireSample {
  readonly prompt: string;
  readonly completion: string;
  readonly reward: number | null;
  readonly rewards: Readonly<Record<string, number | null>>;
  readonly advantage: number;
  readonly tokens: WireTokens | undefined;
}

export interface WireStep {
  readonly step: number;
  readonly maxSteps: number;
  readonly metrics: Metrics;
  readonly samples: readonly WireSample[];
  readonly autosaveError: Outcome<never> | undefined;
}

/** What a reward function returned and logged. */
export interface RewardReply {
  readonly values: unknown;
  readonly extras: readonly (readonly [column: string, values: readonly unknown[]])[];
  readonly metrics: readonly (readonly [name: string, value: number])[];
}

/** The engine's thread, as the application's calls it. Every method answers with an {@link Outcome}. */
export interface EngineService {
  open(caller: Answering<EngineCaller>): Promise<EngineInfo>;
  loadModel(place: unknown, options: PrecisionOptions, onProgress: number | undefined): Promise<ModelRecord>;
  newModel(options: { shape: NewModelConfig; texts: readonly string[]; vocabSize: number; seed: number }): Promise<ModelRecord>;
  cloneModel(model: number): Promise<ModelRecord>;
  withAdapter(model: number, options: LoraOptions): Promise<ModelRecord>;
  mergeModel(model: number): Promise<ModelRecord>;
  toRewardModel(model: number, seed: number): Promise<ModelRecord>;
  generate(model: number, options: WireGenerate): Promise<EngineCompletion[]>;
  score(model: number, rows: readonly DatasetRow[]): Promise<number[]>;
  normalize(model: number, rows: readonly DatasetRow[], target: NormalizationTarget): Promise<RewardNormalization>;
  inspect(model: number, options: { prompt: unknown; completion: unknown; reference: number | undefined }): Promise<WireTokens>;
  saveModel(model: number, place: unknown): Promise<void>;
  modelFiles(model: number): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>>;
  disposeModel(model: number): Promise<void>;
  train(training: WireTraining): Promise<{ readonly run: number; readonly maxSteps: number }>;
  planMemory(training: WireTraining, plan: WirePlan): Promise<FittedMemory>;
  /** Undefined after the last step. */
  step(run: number): Promise<WireStep | undefined>;
  saveRun(run: number, place: unknown): Promise<void>;
  endRun(run: number): Promise<void>;
  abort(job: number, reason: Outcome<never>): void;
  close(): Promise<void>;
}

/** The application's thread, as the engine's calls it. */
export interface EngineCaller {
  /** Calls a function; `call` names the call, so that it can be given up. */
  call(fn: number, call: number, argument: unknown): unknown;
  /** The result of a call is no longer wanted. */
  giveUp(call: number): void;
  /** Tells a listener something. */
  tell(fn: number, ...news: readonly unknown[]): void;
  /** The device is lost. */
  lost(reason: Outcome<never>): void;
}

/** An object's methods, answering with outcomes. */
export type Answering<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Outcome<Awaited<Result>>>
    : never;
};
