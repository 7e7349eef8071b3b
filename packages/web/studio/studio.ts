/** What the views may ask of the studio: its state, its engine, and the few things that change either. */
import type { Engine, EngineModel } from "@trimtab/core";
import type { Place } from "@trimtab/web";
import type { FeedbackKind, FeedbackSession } from "../src/feedback/headless";
import type { DeviceChoice, KeptPlace, Notice, Session, Store, StudioModel, StudioRun, StudioState, Theme, ViewName } from "./store";

export type { Place };

export interface SamplingOptions {
  readonly prompts: readonly string[];
  readonly temperatures: readonly number[];
  /** Completions per prompt and temperature. */
  readonly n: number;
  readonly maxNewTokens: number;
  readonly seed: number;
}

export interface Studio {
  readonly store: Store<StudioState>;
  /** Resolves when the engine runs; rejects, with the reason, where it cannot. */
  readonly engine: Promise<Engine<Place>>;
  /** Ends the engine and starts another, e.g. after its device was lost; models are read again when they are needed. */
  restartEngine(device?: DeviceChoice): Promise<void>;

  /** The open session's feedback of a kind: what is done to it is in the state a microtask later. */
  feedback(kind: FeedbackKind): FeedbackSession;

  /** Changes some fields of the session, which is kept soon after. */
  change(change: (session: Session) => Partial<Session>): void;
  go(view: ViewName): void;
  setTheme(theme: Theme): void;
  /** Tells the person something; all but what went well stays until dismissed. */
  notify(kind: Notice["kind"], text: string): void;
  dismiss(noticeId: string): void;

  /** Reads a model and makes it the one to work on. What goes wrong becomes a notice. */
  loadModel(from: Place, about: Pick<StudioModel, "name" | "origin">): Promise<void>;
  /**
   * The model's handle, loaded once and kept until it is removed. It must stay as it is: a run trains a clone, or an adapter on it.
   * Throws for an unknown id, or where its files are gone.
   */
  openModel(id: string): Promise<EngineModel<Place>>;
  /** Puts a model on the shelf and writes its files to the browser's storage, so that a reload finds it. The shelf owns the handle from now on. */
  addModel(
    model: EngineModel<Place>,
    about: Pick<StudioModel, "name" | "origin"> & Partial<Pick<StudioModel, "runId">>,
  ): Promise<StudioModel>;
  /** Forgets a model: its handle and its files. One that a run under way needs stays, and a notice says why. */
  removeModel(id: string): Promise<void>;

  /** Samples completions of prompts of the session, into the session. What goes wrong becomes a notice. */
  sample(options: SamplingOptions): Promise<void>;
  stopSampling(): void;

  /** Adds a run, or replaces the one with its id. Kept soon after: call it as often as there is news. */
  putRun(run: StudioRun): void;
  /** Forgets a run with its checkpoint and its adapter; the model that it made stays. */
  removeRun(id: string): Promise<void>;
  /** Where a run's next checkpoint belongs: two places alternate, so that the one in `run.checkpoint` is always whole. */
  checkpointPlace(runId: string): KeptPlace;
  /** Where a run's adapter belongs. */
  adapterPlace(runId: string): KeptPlace;
  /** PEFT's files of the adapter that a run made, by name. Throws where it made none, or where its files are gone. */
  adapterFiles(runId: string): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>>;

  /** Has `task` done before the open session is left or deleted: to end what belongs to it. */
  beforeLeaving(task: () => Promise<void>): void;
  /** Asks the tab that has the session open to leave it; it is opened here when that is done. */
  takeOver(): void;
  /** Opens a kept session, or a new one where no id is given. */
  openSession(id?: string): Promise<void>;
  /** Opens the session of a file that was exported. Throws where it is none. */
  importSession(json: string): Promise<void>;
  /** Forgets a session with all its files; where it is the open one, another is opened. One that another tab has open stays. */
  deleteSession(id: string): Promise<void>;
  /** Asks the browser never to evict what is kept here. */
  persistStorage(): Promise<void>;
}
