/** The engine's own thread: it holds the device, models and runs, and does what the application's thread asks for, one thing at a time. */
import { type Device, DeviceError } from "@trimtab/kernels";
import type { ReadableDirectory } from "../checkpoint/files";
import type { Turns as Text } from "../data/formats";
import type { DatasetRow } from "../data/jsonl";
import { asTurns } from "../data/tokenize";
import { ConfigError } from "../errors";
import { inspectCompletion } from "../evaluation/inspect-completion";
import type { FittedMemory } from "../memory/fit-memory";
import type { PrecisionOptions } from "../models/base-dtype";
import { type NewModelConfig, newLanguageModel } from "../models/language-model";
import type { LoraOptions } from "../models/lora-options";
import { newScalarModel } from "../models/scalar-model";
import { type Controller, newController, type SignalLike } from "../rl/abort";
import type { NormalizationTarget, RewardNormalization } from "../rl/reward-normalization";
import { Tokenizer } from "../tokenizer/tokenizer";
import { normalizeRewardModel } from "../trainers/normalize-reward-model";
import { rewardModelFunction } from "../trainers/reward-model-function";
import { Caller } from "./caller";
import type { EngineCompletion, EngineInfo, LoadProgress } from "./engine";
import { generateVaried } from "./generate-varied";
import { Handles } from "./handles";
import type { EngineHost } from "./host";
import { type Outcome, reasonOf } from "./outcome";
import { planRun } from "./plan-run";
import type {
  Answering,
  EngineCaller,
  EngineService,
  ModelRecord,
  WireGenerate,
  WirePlan,
  WireStep,
  WireTokens,
  WireTraining,
} from "./protocol";
import { readingProgress } from "./reading-progress";
import { responsiveDevice } from "./responsive-device";
import type { EngineTraining } from "./run";
import { wireTokens } from "./samples";
import { startRun } from "./start-run";
import { type Turn, Turns } from "./turns";

/** What there is once an application has connected. */
interface Opened {
  readonly device: Device;
  readonly caller: Caller;
}

export class Service implements EngineService {
  readonly #host: EngineHost<unknown>;
  readonly #turns = new Turns();
  readonly #handles = new Handles();
  readonly #runs = new Map<number, EngineTraining>();
  /** What can be given up, by the application's number. */
  readonly #jobs = new Map<number, Controller>();
  /** Settles when the last thing asked of a run is done. */
  readonly #asked = new Map<number, Promise<void>>();
  #opened: Opened | undefined;
  #isClosed = false;

  constructor(host: EngineHost<unknown>) {
    this.#host = host;
  }

  async open(caller: Answering<EngineCaller>): Promise<EngineInfo> {
    const device = responsiveDevice(await this.#host.openDevice());
    const opened = { device, caller: new Caller(caller) };
    this.#opened = opened;
    void device.lost?.then((reason) => opened.caller.lost(reason));
    return { device: device.info, notes: this.#host.notes?.(device) ?? [] };
  }

  async loadModel(place: unknown, options: PrecisionOptions, onProgress: number | undefined): Promise<ModelRecord> {
    const tell = (news: LoadProgress) => {
      if (onProgress !== undefined) this.#opened?.caller.tell(onProgress, news);
    };
    // A download may take long, and needs no turn.
    const opened = await this.#host.openModel?.(place, tell);
    return this.#alone(async ({ device, caller }) => {
      const told = (directory: ReadableDirectory) => (onProgress === undefined ? directory : readingProgress(directory, tell));
      const record = await this.#handles.load(device, told(opened ?? (await this.#host.openPlace(place))), options, async (base) => {
        if (this.#host.openBase) return told(await this.#host.openBase(place, base, tell));
        throw new ConfigError("loadModel: the directory must hold a whole model, got an adapter. Give the engine's host an `openBase`.");
      });
      await caller.heard();
      return record;
    });
  }

  newModel(options: { shape: NewModelConfig; texts: readonly string[]; vocabSize: number; seed: number }): Promise<ModelRecord> {
    const { shape, texts, vocabSize, seed } = options;
    return this.#alone(async ({ device }) =>
      this.#handles.add(newLanguageModel(device, shape, Tokenizer.train(texts, { vocabSize }), seed)),
    );
  }

  cloneModel(id: number): Promise<ModelRecord> {
    return this.#alone(async () => {
      const { model, normalization, base } = this.#handles.get(id);
      return this.#handles.add({ ...model, decoder: model.decoder.clone() }, { normalization, base });
    });
  }

  withAdapter(id: number, options: LoraOptions): Promise<ModelRecord> {
    return this.#alone(async () => this.#handles.adapt(id, options));
  }

  mergeModel(id: number): Promise<ModelRecord> {
    return this.#alone(async () => this.#handles.merge(id));
  }

  toRewardModel(id: number, seed: number): Promise<ModelRecord> {
    return this.#alone(async () => {
      const model = this.#handles.language(id, "toRewardModel");
      if (model.decoder.adapter) {
        throw new ConfigError("toRewardModel: the model must be whole, got one with an adapter. Merge it first: model.merge().");
      }
      return this.#handles.add({ ...model, decoder: newScalarModel(model, seed).decoder });
    });
  }

  generate(id: number, { job, onText, ...options }: WireGenerate): Promise<EngineCompletion[]> {
    return this.#job(job, (signal) =>
      this.#alone(async ({ caller }) => {
        const model = this.#handles.language(id, "generate");
        const completions = await generateVaried(model, options, signal, (index, text) => {
          if (onText !== undefined) caller.tell(onText, index, text);
        });
        await caller.heard();
        return completions;
      }),
    );
  }

  score(id: number, rows: readonly DatasetRow[]): Promise<number[]> {
    return this.#alone(async () => {
      const reward = rewardModelFunction(this.#handles.scalar(id, "score"), { normalization: this.#handles.get(id).normalization });
      const prompts = rows.map(({ prompt }) => prompt as Text);
      const completions = rows.map(({ prompt, completion }) => turnsAfter(prompt as Text, completion as Text));
      return (await reward({ prompts, completions } as never)) as number[];
    });
  }

  normalize(id: number, rows: readonly DatasetRow[], target: NormalizationTarget): Promise<RewardNormalization> {
    return this.#alone(async () => {
      const normalization = await normalizeRewardModel({ ...target, model: this.#handles.scalar(id, "normalize"), dataset: rows });
      this.#handles.get(id).normalization = normalization;
      return normalization;
    });
  }

  inspect(id: number, options: { prompt: unknown; completion: unknown; reference: number | undefined }): Promise<WireTokens> {
    return this.#alone(async () => {
      const model = this.#handles.language(id, "inspect");
      const reference = options.reference === undefined ? undefined : this.#handles.language(options.reference, "inspect");
      const prompt = options.prompt as Text;
      const completion = turnsAfter(prompt, options.completion as Text);
      return wireTokens(await inspectCompletion({ model, prompt, completion, reference }), model.tokenizer);
    });
  }

  saveModel(id: number, place: unknown): Promise<void> {
    return this.#alone(async () => this.#handles.save(id, await this.#host.openPlace(place)));
  }

  modelFiles(id: number): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
    return this.#alone(() => this.#handles.files(id));
  }

  disposeModel(id: number): Promise<void> {
    return this.#alone(async () => this.#handles.dispose(id));
  }

  train(training: WireTraining): Promise<{ readonly run: number; readonly maxSteps: number }> {
    const { job } = training;
    const controller = newController();
    this.#jobs.set(job, controller);
    return this.#alone(async ({ caller }) => {
      const onEnd = () => {
        this.#jobs.delete(job);
        this.#runs.delete(job);
      };
      try {
        const run = await startRun(training, { handles: this.#handles, caller, host: this.#host, signal: controller.signal, onEnd });
        this.#runs.set(job, run);
        return { run: job, maxSteps: run.maxSteps };
      } catch (error) {
        onEnd();
        throw error;
      }
    });
  }

  planMemory(training: WireTraining, plan: WirePlan): Promise<FittedMemory> {
    return this.#alone(({ device }) => planRun(training, plan, { handles: this.#handles, host: this.#host, device }));
  }

  step(run: number): Promise<WireStep | undefined> {
    return this.#ofRun(run, async (_, turn) => this.#runs.get(run)?.step(turn));
  }

  saveRun(run: number, place: unknown): Promise<void> {
    return this.#ofRun(run, async () => {
      const open = this.#runs.get(run);
      if (!open) throw new ConfigError("run.save: the run must be open, got one that has ended. Save before its end, or let it autosave.");
      await open.save(await this.#host.openPlace(place));
    });
  }

  endRun(run: number): Promise<void> {
    return this.#ofRun(run, async () => this.#runs.get(run)?.end());
  }

  abort(job: number, reason: Outcome<never>): void {
    this.#jobs.get(job)?.abort(reasonOf(reason));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const controller of this.#jobs.values()) controller.abort(closed());
    // A step that waits outside its turn needs the turn once more to end.
    await Promise.all(this.#asked.values());
    await this.#turns.take(async () => {
      for (const run of this.#runs.values()) await run.end();
      await this.#opened?.device.destroy();
    });
  }

  /** Runs `work` with a signal by which the application can give it up. */
  async #job<T>(job: number, work: (signal: SignalLike) => Promise<T>): Promise<T> {
    const controller = newController();
    this.#jobs.set(job, controller);
    try {
      return await work(controller.signal);
    } finally {
      this.#jobs.delete(job);
    }
  }

  /**
   * {@link #alone} after everything asked of the run before. What waits for a step holds no turn: the step may have lent its own, and could not have it
   * back to end.
   */
  #ofRun<T>(run: number, work: (opened: Opened, turn: Turn) => Promise<T>): Promise<T> {
    const answer = (this.#asked.get(run) ?? Promise.resolve()).then(() => this.#alone(work));
    const done: Promise<void> = answer
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#asked.get(run) === done) this.#asked.delete(run);
      });
    this.#asked.set(run, done);
    return answer;
  }

  /** Runs `work` when nothing else uses the models; says so when it finds that the device is lost. */
  #alone<T>(work: (opened: Opened, turn: Turn) => Promise<T>): Promise<T> {
    return this.#turns.take(async (turn) => {
      const opened = this.#opened;
      if (this.#isClosed || !opened) throw closed();
      try {
        return await work(opened, turn);
      } catch (error) {
        // A device that fails although it is not lost has said so by now: a second try succeeds.
        if (error instanceof DeviceError && !this.#isClosed)
          await opened.device.sync().catch(() => opened.device.sync().catch((loss: unknown) => opened.caller.lost(loss)));
        throw error;
      }
    });
  }
}

function closed(): DeviceError {
  return new DeviceError("engine: it must be open, got one that was closed. Create another one.");
}

/** A completion as text where the prompt is a conversation: what `generate` gives. */
function turnsAfter(prompt: Text, completion: Text): Text {
  return typeof completion === "string" ? asTurns(prompt, completion) : completion;
}
