/**
 * The engine as an application sees it: models and trainers live on a thread of their own and are used by handle, so that a page or a
 * server never blocks. The calls are those of the library; what differs is that they cross a thread: data is copied, functions (rewards,
 * judges, progress) run where they were written, and a run takes its next step only when it is asked for.
 *
 * `Place` is what names files where the engine runs: a path in Node; a URL, storage, dropped files or a directory handle in a browser.
 */

import type { DeviceInfo } from "@trimtab/kernels";
import type { Constraint } from "../constraints/constraint";
import type { DatasetRow } from "../data/jsonl";
import type { FittedMemory } from "../memory/fit-memory";
import type { PrecisionOptions } from "../models/base-dtype";
import type { DecoderConfig } from "../models/config";
import type { NewModelConfig } from "../models/language-model";
import type { LoraOptions } from "../models/lora-options";
import type { Metrics } from "../rl/metrics";
import type { NormalizationTarget, RewardNormalization } from "../rl/reward-normalization";
import type { AbortSignalLike, EngineAlgorithm, EngineTrainingOptions } from "./algorithms";

/** What runs, and what keeps it from running better. */
export interface EngineInfo {
  readonly device: DeviceInfo;
  /** In plain words, each with what to do: e.g. that threads need a cross-origin isolated page. Empty where all is well. */
  readonly notes: readonly string[];
}

/** How far a file has been read. */
export interface LoadProgress {
  readonly file: string;
  readonly loadedBytes: number;
  /** Undefined where the source does not say. */
  readonly totalBytes: number | undefined;
}

export interface EngineLoadOptions extends PrecisionOptions {
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

export interface Engine<Place> {
  readonly info: EngineInfo;
  /**
   * Resolves, with the reason, when the device is lost or the thread ends without `close`. Every handle is dead then and what was being waited for
   * rejects with DeviceError: make a new engine, load the model that the run was started with, and train with `resumeFrom` the run's autosave.
   */
  readonly lost: Promise<Error>;
  /**
   * Loads a language model or a reward model (a score head) with its tokenizer, or an adapter with the base that it names; with a `dtype` below
   * float32 for inference, or to train an adapter on. Throws CheckpointError, ConfigError or OutOfMemoryError.
   */
  loadModel(from: Place, options?: EngineLoadOptions): Promise<EngineModel<Place>>;
  /** A model with random weights and a tokenizer trained on `texts`. */
  newModel(options: {
    readonly shape: NewModelConfig;
    readonly texts: readonly string[];
    readonly vocabSize: number;
    readonly seed: number;
  }): Promise<EngineModel<Place>>;
  /**
   * Opens a run; no step is taken before it is asked for. Bad options are refused here, before any work. `resumeFrom` continues a saved run
   * as if it had never stopped: a checkpoint that `run.save` wrote, or the place of an autosave. Model, data and options must be those it was
   * started with. A model learns in one run at a time; other models may learn beside it, and steps take turns.
   */
  train<A extends EngineAlgorithm>(
    algorithm: A,
    options: EngineTrainingOptions<A, EngineModel<Place>, Place>,
    resumeFrom?: Place,
  ): Promise<EngineRun<Place>>;
  /**
   * What a run with these options would take of the device's memory (or of `memoryBudget` bytes); nothing is trained and no reward is asked for. With
   * `fit` also the options with which it fits, to be given to `train` besides; throws OutOfMemoryError where there are none. See docs/memory.md.
   */
  planMemory<A extends EngineAlgorithm>(
    algorithm: A,
    options: EngineTrainingOptions<A, EngineModel<Place>, Place>,
    settings?: { readonly memoryBudget?: number | undefined; readonly fit?: boolean | undefined },
  ): Promise<FittedMemory>;
  /** Frees everything and ends the thread, once the step or call in progress has been abandoned. What is still waited for rejects with DeviceError. */
  close(): Promise<void>;
}

/** A model on the engine's thread. */
export interface EngineModel<Place> {
  readonly kind: "lm" | "score";
  readonly config: DecoderConfig;
  /** Without those of an adapter. */
  readonly parameterCount: number;
  readonly hasChatTemplate: boolean;
  /** It is an adapter on another model's weights, and training changes the adapter alone. */
  readonly hasAdapter: boolean;
  /** The same weights again, e.g. for a reference or to start over from; of an adapted model, a second adapter on the same base. */
  clone(): Promise<EngineModel<Place>>;
  /**
   * This language model with a new adapter (LoRA), which changes nothing until it is trained. It shares the weights, so that while it lives
   * this model can be neither trained nor disposed of. Throws ConfigError for bad options, and where there is an adapter already.
   */
  withAdapter(options?: LoraOptions): Promise<EngineModel<Place>>;
  /** A whole model with weights of its own that does what this adapted one does. Throws ConfigError where there is no adapter. */
  merge(): Promise<EngineModel<Place>>;
  /** A reward model that starts from this one's trunk, with a new score head. Throws ConfigError where there is an adapter: merge it first. */
  toRewardModel(seed: number): Promise<EngineModel<Place>>;
  /** Completions of each prompt: all of the first one's, then the second's. */
  generate(options: EngineGenerateOptions): Promise<EngineCompletion[]>;
  /** Rewards of completions, (B), normalised where the model is. Needs a score head. */
  score(rows: readonly { readonly prompt: unknown; readonly completion: unknown }[]): Promise<number[]>;
  /**
   * Fits gain and bias so that the scores of these rows (`prompt`, `completion`) get the mean and spread asked for, by default 0 and 1. They
   * are saved and loaded with the model. Needs a score head.
   */
  normalize(rows: readonly DatasetRow[], target?: NormalizationTarget): Promise<RewardNormalization>;
  /** What the model thinks of each token of a completion; with a reference, what that thinks as well. */
  inspect(options: {
    readonly prompt: unknown;
    readonly completion: unknown;
    readonly reference?: EngineModel<Place> | undefined;
  }): Promise<EngineToken[]>;
  /** Writes a Hugging Face directory; of an adapted model PEFT's, which holds the adapter and the tokenizer. */
  save(to: Place): Promise<void>;
  /** The same directory as bytes, by file name: for a download. */
  files(): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>>;
  /** Frees it, but not the base of an adapter. Throws ConfigError while a run uses it, or while adapted models stand on its weights. */
  dispose(): Promise<void>;
}

export interface EngineGenerateOptions {
  /** Texts, or conversations (messages). */
  readonly prompts: readonly unknown[];
  /** Completions per prompt and temperature. Default 1. */
  readonly n?: number | undefined;
  /** Several give `n` completions each; 0 is greedy. Default [1]. */
  readonly temperatures?: readonly number[] | undefined;
  readonly maxNewTokens?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  /** Holds completions to a regular expression or a JSON schema, as `generate` of the library does. */
  readonly constraint?: Constraint | undefined;
  /** Text as it is decoded, by index of the completion. */
  readonly onText?: ((index: number, text: string) => void) | undefined;
  readonly signal?: AbortSignalLike | undefined;
}

export interface EngineCompletion {
  readonly promptIndex: number;
  readonly text: string;
  readonly temperature: number;
  readonly finishReason: string;
}

/** One token of a completion; their texts join to the whole. What was not computed is undefined. */
export interface EngineToken {
  /** Empty where the token only begins a character. */
  readonly text: string;
  /** True for a special token such as the end of the text, which no reader should see as text. */
  readonly isSpecial?: boolean | undefined;
  readonly logp: number;
  /** Given by `inspect`. */
  readonly entropy?: number | undefined;
  readonly refLogp?: number | undefined;
  readonly advantage?: number | undefined;
}

/** A completion that a step learned from. */
export interface EngineSample {
  readonly prompt: string;
  readonly completion: string;
  readonly reward: number | null;
  readonly rewards: Readonly<Record<string, number | null>>;
  /** Mean over the tokens that count. */
  readonly advantage: number;
  /**
   * Per token, where the algorithm knows: log-probabilities when the completion was sampled, those of the reference, advantages. They are
   * what the step learned from; where it needed no recorded log-probabilities, those of the sampler.
   */
  readonly tokens?: readonly EngineToken[] | undefined;
}

export interface EngineStep {
  readonly step: number;
  readonly maxSteps: number;
  readonly metrics: Metrics;
  /** Of trainers that sample; empty for the others. */
  readonly samples: readonly EngineSample[];
  /** Why the step, which has been taken, could not be kept as `autosave` asks, e.g. a full disk. The run can go on. */
  readonly autosaveError?: Error | undefined;
}

/**
 * A run. `for await (const step of run)` takes steps; between two of them nothing happens, so to pause is not to ask, and to stop is to
 * leave the loop. The model is that after the last step at any time.
 */
export interface EngineRun<Place> extends AsyncIterableIterator<EngineStep> {
  readonly algorithm: EngineAlgorithm;
  /** Steps of the whole run, those before a resume included. */
  readonly maxSteps: number;
  /** Everything needed to go on, as a checkpoint directory; to be called between two steps. */
  save(to: Place): Promise<void>;
  /** Ends the run, after the step in progress, and frees its optimiser. */
  return(): Promise<IteratorResult<EngineStep>>;
}
