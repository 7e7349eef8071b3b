/** The studio's state as one immutable value, and the one place that changes it: views read it, actions write it, nothing else flows. */
import type { DatasetRow, EngineAlgorithm, EngineInfo, EngineSample, LoadProgress, Message, Metrics } from "@trimtab/core";
import type { FeedbackFormat, FeedbackKind, FeedbackSessionState } from "../src/feedback/headless";
import type { SampleGroup } from "./training/sample-group";

export type ViewName = "model" | "prompts" | "sample" | "feedback" | "train" | "export";

/** Where files are that the engine can read again later: JSON, so that a session can be kept. */
export type KeptPlace =
  | { readonly hub: string }
  | { readonly url: string; readonly names?: readonly string[] }
  | { readonly storage: string };

/** A model that the session knows; whether it is loaded now is the shelf's affair (`studio.openModel(id)`). */
export interface StudioModel {
  readonly id: string;
  readonly name: string;
  readonly kind: "lm" | "score";
  /** In words: "bundled", "from a directory", the URL, "made by GRPO 2". */
  readonly origin: string;
  readonly parameterCount: number;
  readonly contextLength: number;
  readonly hasChatTemplate: boolean;
  /** Where a reload finds it; undefined for one that only this page has. */
  readonly place: KeptPlace | undefined;
  /** The run that made it. */
  readonly runId?: string | undefined;
  /** Milliseconds since 1970, as everywhere here. */
  readonly createdAt: number;
}

/** A prompt with whatever other columns it came with: rewards receive them (e.g. `answer`). */
export interface StudioPrompt {
  readonly id: string;
  readonly prompt: string | readonly Message[];
  readonly columns: DatasetRow;
}

/** A completion that was sampled. */
export interface StudioCompletion {
  readonly id: string;
  readonly promptId: string;
  readonly modelId: string;
  readonly text: string;
  readonly temperature: number;
  readonly seed: number;
  readonly finishReason: string;
}

export type { FeedbackFormat };

/** Feedback by format. A format holds what was said in its terms; where nothing was, what follows from the rest (pairs from stars, ...). */
export type Datasets = Readonly<Record<FeedbackFormat, readonly DatasetRow[]>>;

/** A model at an OpenAI-compatible endpoint that rates completions. */
export interface RewardEndpoint {
  /** Up to and with the version. */
  readonly baseUrl: string;
  readonly model: string;
  /** It was given a key, which is kept nowhere: a run that comes back needs it again. */
  readonly hasKey: boolean;
}

/** What a run learns from or is judged by, as JSON; models by id. */
export type RunReward =
  | { readonly endpoint: RewardEndpoint }
  | { readonly rule: string; readonly options?: Readonly<Record<string, unknown>> | undefined }
  | { readonly modelId: string; readonly name?: string | undefined };

/** An adapter (LoRA) that a run trains in place of the weights. */
export interface AdapterSetup {
  /** Rank. */
  readonly r: number;
  /** The update is scaled by alpha / r. */
  readonly loraAlpha: number;
  /** Which linear layers it is on: all, or (undefined) queries and values. */
  readonly targetModules?: "all-linear" | undefined;
}

/** How a run was set up: enough to start it again or, with its checkpoint, to go on. */
export interface RunSetup {
  readonly algorithm: EngineAlgorithm;
  /** The model that it starts from; the run trains a clone (for `reward`: of its trunk), or an adapter on it. */
  readonly modelId: string;
  /** Undefined where all weights are trained. */
  readonly adapter?: AdapterSetup | undefined;
  readonly referenceId?: string | undefined;
  readonly rewards: readonly RunReward[];
  /** The trainer's options that are plain values: numbers, words, switches. */
  readonly options: Readonly<Record<string, number | string | boolean>>;
  /** The rows, or the prompts, as they were when it began: to resume equals never having stopped. */
  readonly rows: readonly DatasetRow[];
  /** Comparisons that a reward model does not see in training and is judged by. */
  readonly heldOut?: readonly DatasetRow[] | undefined;
}

/**
 * "paused" also stands for a run that a closed page left: it goes on from its checkpoint. "stopped" was ended by hand before its last
 * step; its model is kept like that of a finished one.
 */
export type RunStatus = "starting" | "running" | "paused" | "stopped" | "finished" | "failed";

export interface RunStep {
  readonly step: number;
  readonly metrics: Metrics;
}

export interface StudioRun {
  readonly id: string;
  /** E.g. "GRPO 2"; can be renamed. */
  readonly name: string;
  readonly setup: RunSetup;
  readonly status: RunStatus;
  readonly maxSteps: number;
  /** Every step taken so far, in order; `history.at(-1)?.step` is where it is. */
  readonly history: readonly RunStep[];
  /** Completions that steps learned from, newest step last; as many as the training view cares to keep. */
  readonly samples: readonly { readonly step: number; readonly samples: readonly EngineSample[] }[];
  /** Completions of the same prompts by the model after `step` steps and by the one it started from. */
  readonly comparison?: { readonly step: number; readonly groups: readonly SampleGroup[] } | undefined;
  /** Of a reward model: for each comparison kept back, the score of the better completion less that of the worse. */
  readonly margins?: readonly number[] | undefined;
  /** Where it can go on after a reload: the last step that was saved. */
  readonly checkpoint?: { readonly step: number; readonly place: KeptPlace } | undefined;
  /** The adapter that came out, as PEFT's files; it goes with the run. */
  readonly adapter?: KeptPlace | undefined;
  /** The model that came out, an entry of `models`; of an adapter, merged with what it was trained on. */
  readonly resultId?: string | undefined;
  /** Why it failed. */
  readonly error?: string | undefined;
  readonly createdAt: number;
  /** Time spent in steps. */
  readonly elapsedMs: number;
}

/** What is kept in the browser and comes back after a reload. Everything in it is JSON. */
export interface Session {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly view: ViewName;
  /** The model that is sampled from and judged. */
  readonly modelId: string | undefined;
  readonly models: readonly StudioModel[];
  readonly prompts: readonly StudioPrompt[];
  readonly completions: readonly StudioCompletion[];
  /** What was asked and answered, by whom: a feedback session for every kind, so that each has its own way through its questions. */
  readonly feedback: Readonly<Record<FeedbackKind, FeedbackSessionState>>;
  /** Who sits here. */
  readonly rater: string;
  readonly runs: readonly StudioRun[];
}

export type EngineStatus =
  | { readonly state: "starting" }
  | { readonly state: "ready"; readonly info: EngineInfo }
  | { readonly state: "lost" | "failed"; readonly reason: string };

/** Something that a person should know, until they have read it. */
export interface Notice {
  readonly id: string;
  readonly kind: "error" | "warning" | "done";
  readonly text: string;
}

/** Completions on their way. */
export interface Sampling {
  readonly modelId: string;
  readonly total: number;
  readonly finished: number;
  /** What there is so far of each, all of the first prompt's, then the second's. */
  readonly drafts: readonly { readonly promptId: string; readonly temperature: number; readonly text: string }[];
}

/** A kept session, for choosing one. */
export interface SessionSummary {
  readonly id: string;
  readonly name: string;
  readonly savedAt: number;
}

/** What the browser keeps for this site, in bytes. */
export interface StorageUse {
  readonly usedBytes: number;
  readonly quotaBytes: number;
  /** Whether the browser has promised not to evict it. */
  readonly isPersistent: boolean;
}

export type DeviceChoice = "auto" | "webgpu" | "wasm";

export type Theme = "auto" | "light" | "dark";

export interface StudioState {
  readonly session: Session;
  /** Another tab has the session open: here it is neither shown nor changed. */
  readonly isElsewhere: boolean;
  /** The feedback as rows of every format, ready for the trainers; follows from the session. */
  readonly datasets: Datasets;
  readonly sessions: readonly SessionSummary[];
  readonly engine: EngineStatus;
  /** What was asked to run it. */
  readonly device: DeviceChoice;
  /** A model that is being read. */
  readonly loading: { readonly name: string; readonly progress: LoadProgress | undefined } | undefined;
  readonly sampling: Sampling | undefined;
  /** Undefined where the browser does not say. */
  readonly storage: StorageUse | undefined;
  readonly theme: Theme;
  readonly notices: readonly Notice[];
}

/** Holds one value and tells who listens; knows nothing of what is in it. */
export class Store<State extends object> {
  #state: State;
  readonly #listeners = new Set<(state: State) => void>();

  constructor(state: State) {
    this.#state = state;
  }

  get state(): State {
    return this.#state;
  }

  /** Replaces some fields; listeners hear of it once, synchronously. */
  update(change: (state: State) => Partial<State>): void {
    this.#state = { ...this.#state, ...change(this.#state) };
    for (const listener of [...this.#listeners]) listener(this.#state);
  }

  /** Calls `listener` after every change until the returned function is called. */
  subscribe(listener: (state: State) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
