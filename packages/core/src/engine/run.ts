/** A run on the engine's thread: a trainer that takes a step when it is asked for one, and saves itself in between. */
import { DeviceError } from "@trimtab/kernels";
import { latestCheckpoint, saveCheckpoint } from "../checkpoint/checkpoints";
import type { Directory, DirectoryTree } from "../checkpoint/files";
import { loadState, saveState, type TrainingState } from "../checkpoint/state";
import { CheckpointError, ConfigError } from "../errors";
import type { LanguageModel } from "../models/language-model";
import type { ScoredCompletion } from "../rl/scored-rollout";
import type { TrainingStep } from "../trainers/training-steps";
import { failure } from "./outcome";
import type { WireStep } from "./protocol";
import { wireSample } from "./samples";
import type { Turn } from "./turns";

/** A step of a trainer; those that sample show what they sampled. */
type AnyStep = TrainingStep & { readonly completions?: readonly ScoredCompletion[] };

/** Starts a trainer that calls `onReady` before its first step. */
export type StartTrainer = (own: { readonly onReady: (maxSteps: number) => Promise<void> }) => AsyncGenerator<AnyStep, void, undefined>;

export interface RunOptions {
  /** The model being trained. */
  readonly model: LanguageModel;
  readonly autosave: { readonly to: DirectoryTree; readonly everySteps: number } | undefined;
  /** Called once, when the run has ended, however that came. */
  readonly onEnd: () => void;
}

/** Thrown into a trainer that is waiting for its first step, to end it. */
const ENDED = Symbol("ended");

export class EngineTraining {
  readonly #options: RunOptions;
  readonly #steps: AsyncGenerator<AnyStep, void, undefined>;
  /** The step that the trainer was started with: it waits until it is asked for. */
  #first: Promise<IteratorResult<AnyStep, void>> | undefined;
  #begin: () => void = () => {};
  #cancel: () => void = () => {};
  #last: AnyStep | undefined;
  #turn: Turn | undefined;
  #isOver = false;
  maxSteps = 0;

  private constructor(start: StartTrainer, options: RunOptions) {
    this.#options = options;
    this.#steps = start({
      onReady: (maxSteps) => {
        this.maxSteps = maxSteps;
        return new Promise((resolve, reject) => {
          this.#begin = resolve;
          this.#cancel = () => reject(ENDED);
          this.#isReady();
        });
      },
    });
  }

  #isReady: () => void = () => {};

  /** Starts the trainer and returns when it is ready for its first step. Throws what it finds wrong with its options. */
  static async open(start: StartTrainer, options: RunOptions): Promise<EngineTraining> {
    const run = new EngineTraining(start, options);
    const ready = new Promise<void>((resolve) => {
      run.#isReady = resolve;
    });
    run.#first = run.#steps.next();
    try {
      await Promise.race([ready, run.#first]);
    } catch (error) {
      run.#end();
      throw error;
    }
    return run;
  }

  /** Lets others use the models while a reward function of this run is waited for. */
  outside<T>(wait: () => Promise<T>): Promise<T> {
    return this.#turn ? this.#turn.outside(wait) : wait();
  }

  /** Takes the next step; undefined when there is none left. What it throws has ended the run. */
  async step(turn: Turn): Promise<WireStep | undefined> {
    if (this.#isOver) return undefined;
    this.#turn = turn;
    this.#last = undefined;
    try {
      const next = this.#first ?? this.#steps.next();
      this.#first = undefined;
      this.#begin();
      const { value } = await next;
      if (!value) {
        this.#end();
        return undefined;
      }
      this.#last = value;
      const { step, maxSteps, metrics, completions = [] } = value;
      const samples = completions.map((one) => wireSample(one, this.#options.model.tokenizer));
      return { step, maxSteps, metrics, samples, autosaveError: await this.#autosave(value) };
    } catch (error) {
      await this.end();
      throw error;
    } finally {
      this.#turn = undefined;
    }
  }

  /** Writes the run as it is after the last step. Throws CheckpointError before the first one and after the end. */
  async save(directory: Directory): Promise<void> {
    if (!this.#last) {
      throw new CheckpointError("run.save: a step must have been taken, and the run be open, got neither. Save between two steps.");
    }
    await saveState(await this.#last.state(), this.#description(), directory);
  }

  /** Frees optimisers and references; the model stays as it is. */
  async end(): Promise<void> {
    if (this.#isOver) return;
    const waiting = this.#first;
    this.#first = undefined;
    this.#cancel();
    await waiting?.catch((error: unknown) => {
      if (error !== ENDED) throw error;
    });
    await this.#steps.return();
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#last = undefined;
    this.#options.onEnd();
  }

  /** What kept the step from being saved, e.g. a full disk: the step has been taken all the same. */
  async #autosave(step: AnyStep): Promise<WireStep["autosaveError"]> {
    const { autosave } = this.#options;
    if (!autosave || (step.step % autosave.everySteps !== 0 && step.step !== step.maxSteps)) return undefined;
    try {
      await saveCheckpoint(await step.state(), this.#description(), autosave.to, { saveTotalLimit: 1 });
      return undefined;
    } catch (error) {
      if (error instanceof DeviceError) throw error;
      return failure(error);
    }
  }

  #description() {
    const { decoder, tokenizer, generationConfig } = this.#options.model;
    return { config: decoder.config, tokenizer, generationConfig, adapter: decoder.adapter };
  }
}

/** The state in a directory that `run.save` wrote, or the latest one of an autosave. Throws CheckpointError where there is neither. */
export async function stateIn(place: Directory & DirectoryTree): Promise<TrainingState> {
  const own = await place.open("trainer_state.json");
  await own?.close();
  const directory = own ? place : (await latestCheckpoint(place))?.directory;
  if (directory) return loadState(directory);
  throw new CheckpointError(`resumeFrom: a saved run must be in ${place.path}, got none. Start from the beginning.`);
}

/** Throws ConfigError unless steps are counted by whole numbers. */
export function requireSteps(everySteps: number): number {
  if (Number.isSafeInteger(everySteps) && everySteps >= 1) return everySteps;
  throw new ConfigError(`autosave: \`everySteps\` must be a whole number of at least 1, got ${everySteps}.`);
}
