/** The studio at work: one state, one engine, one shelf of models, and the actions that join them. */
import type { Engine, EngineModel, ReadableDirectory } from "@trimtab/core";
import type { FeedbackKind, FeedbackSession } from "../src/feedback/headless";
import { readFiles } from "./export/read-files";
import { readSessionJson } from "./export/session-file";
import { FeedbackSessions } from "./feedback-sessions";
import { ModelShelf } from "./model-shelf";
import { isUnderWay, modelsOf, newId, newSession, revived } from "./session";
import { forgetSession, listSessions, readSession, SessionKeeper } from "./session-keeper";
import { SessionLock } from "./session-lock";
import {
  type DeviceChoice,
  type KeptPlace,
  type Notice,
  type Sampling,
  type Session,
  type StorageUse,
  Store,
  type StudioModel,
  type StudioRun,
  type StudioState,
  type Theme,
  type ViewName,
} from "./store";
import type { Place, SamplingOptions, Studio } from "./studio";

/** What the studio needs from outside. */
export interface StudioParts {
  createEngine(device: DeviceChoice): Promise<Engine<Place>>;
  /** Deletes all that is stored at a path and below it. */
  removeStored(path: string): Promise<void>;
  openPlace(place: Place): Promise<ReadableDirectory>;
}

/** What went well is not in the way for longer. */
const DONE_SHOWN_MS = 6000;

/** Drafts are handed to the views this often while completions stream. */
const DRAFT_INTERVAL_MS = 80;

export class LiveStudio implements Studio {
  readonly store: Store<StudioState>;
  readonly #parts: StudioParts;
  readonly #shelf = new ModelShelf();
  readonly #keeper: SessionKeeper;
  readonly #lock = new SessionLock(() => void this.#handOver());
  #engine: Promise<Engine<Place>>;
  #feedback: FeedbackSessions;
  #sampling: AbortController | undefined;
  readonly #leaving: (() => Promise<void>)[] = [];

  /** Opens the session that was used last, or a new one. */
  static async open(parts: StudioParts, settings: { readonly theme: Theme; readonly device: DeviceChoice }): Promise<LiveStudio> {
    const sessions = await listSessions();
    const last = sessions[0] && (await readSession(sessions[0].id));
    const session = last ? revived(last) : newSession("First session", Date.now());
    const studio = new LiveStudio(parts, {
      session,
      isElsewhere: false,
      datasets: new FeedbackSessions(session.feedback).datasets(),
      sessions,
      engine: { state: "starting" },
      device: settings.device,
      loading: undefined,
      sampling: undefined,
      storage: await storageUse(),
      theme: settings.theme,
      notices: [],
    });
    if (!(await studio.#claim(session.id))) studio.store.update(() => ({ isElsewhere: true }));
    return studio;
  }

  private constructor(parts: StudioParts, state: StudioState) {
    this.#parts = parts;
    this.store = new Store(state);
    this.#keeper = new SessionKeeper((error) => this.notify("error", `This session could not be kept: ${error.message}`));
    this.#keeper.adopt(state.session);
    let kept = state.session;
    this.store.subscribe(({ session }) => {
      if (session === kept) return;
      kept = session;
      this.#keeper.keep(session);
    });
    this.#feedback = this.#openFeedback();
    this.#engine = this.#start();
  }

  feedback(kind: FeedbackKind): FeedbackSession {
    return this.#feedback.of(kind);
  }

  #openFeedback(): FeedbackSessions {
    const opened = new FeedbackSessions(this.store.state.session.feedback, (feedback) => {
      if (opened !== this.#feedback) return;
      this.store.update(({ session }) => ({ session: { ...session, feedback }, datasets: opened.datasets() }));
    });
    return opened;
  }

  /** Makes another session the open one. */
  #adopt(session: Session, isElsewhere: boolean): void {
    this.#keeper.adopt(session);
    this.store.update(() => ({ session, isElsewhere, datasets: new FeedbackSessions(session.feedback).datasets() }));
    this.#feedback = this.#openFeedback();
  }

  /** Opens a session, here or, where another tab has it open, as soon as that lets go of it. */
  async #openHere(session: Session): Promise<void> {
    const isHere = await this.#claim(session.id);
    this.#adopt(session, !isHere);
  }

  /** False where another tab has the session open. */
  async #claim(id: string): Promise<boolean> {
    const isHere = await this.#lock.take(id);
    if (!isHere) void this.#openLater(id);
    return isHere;
  }

  async #openLater(id: string): Promise<void> {
    if (!(await this.#lock.wait(id))) return;
    const kept = await readSession(id);
    const session = kept ? revived(kept) : newSession("First session", Date.now());
    if (kept) this.#adopt(session, false);
    else await this.#openHere(session); // it was deleted there
  }

  takeOver(): void {
    this.#lock.ask(this.store.state.session.id);
  }

  /** Leaves the open session to another tab, with all that was done kept. */
  async #handOver(): Promise<void> {
    await this.#leave();
    await this.flush();
    this.store.update(() => ({ isElsewhere: true }));
    this.#lock.release();
    await this.#openLater(this.store.state.session.id);
  }

  get engine(): Promise<Engine<Place>> {
    return this.#engine;
  }

  /** Writes what is not kept yet: to be called when the page may go. */
  flush(): Promise<void> {
    return this.#keeper.flush();
  }

  async restartEngine(device: DeviceChoice = this.store.state.device): Promise<void> {
    const before = this.#engine;
    this.store.update(() => ({ engine: { state: "starting" }, device }));
    this.#shelf.abandon();
    this.#engine = before
      .then((engine) => engine.close())
      .catch(() => {})
      .then(() => this.#start());
    await this.#engine.catch(() => {});
  }

  #start(): Promise<Engine<Place>> {
    const starting = this.#parts.createEngine(this.store.state.device);
    starting.then(
      (engine) => {
        this.store.update(() => ({ engine: { state: "ready", info: engine.info } }));
        void engine.lost.then((error) => {
          if (this.store.state.engine.state !== "ready") return;
          this.#shelf.abandon();
          this.store.update(() => ({ engine: { state: "lost", reason: error.message } }));
        });
      },
      (error: Error) => this.store.update(() => ({ engine: { state: "failed", reason: error.message } })),
    );
    return starting;
  }

  change(change: (session: Session) => Partial<Session>): void {
    if (this.store.state.isElsewhere) return;
    this.store.update(({ session }) => ({ session: { ...session, ...change(session) } }));
  }

  go(view: ViewName): void {
    this.change(() => ({ view }));
  }

  setTheme(theme: Theme): void {
    this.store.update(() => ({ theme }));
  }

  notify(kind: Notice["kind"], text: string): void {
    const notice = { id: newId(), kind, text };
    this.store.update(({ notices }) => ({ notices: [...notices.filter((other) => other.text !== text), notice] }));
    if (kind === "done") setTimeout(() => this.dismiss(notice.id), DONE_SHOWN_MS);
  }

  dismiss(noticeId: string): void {
    this.store.update(({ notices }) => ({ notices: notices.filter(({ id }) => id !== noticeId) }));
  }

  async loadModel(from: Place, about: Pick<StudioModel, "name" | "origin">): Promise<void> {
    this.store.update(() => ({ loading: { name: about.name, progress: undefined } }));
    try {
      const engine = await this.engine;
      const handle = await engine.loadModel(from, {
        onProgress: (progress) => this.store.update(() => ({ loading: { name: about.name, progress } })),
      });
      const place = placeToKeep(from);
      const model = place ? this.#shelve(handle, { ...about, id: newId(), place }) : await this.addModel(handle, about);
      if (model.kind === "lm") this.change(() => ({ modelId: model.id }));
    } catch (error) {
      this.notify("error", `${about.name} could not be loaded: ${(error as Error).message}`);
    } finally {
      this.store.update(() => ({ loading: undefined }));
    }
  }

  async openModel(id: string): Promise<EngineModel<Place>> {
    const model = this.store.state.session.models.find((model) => model.id === id);
    if (!model) throw new Error(`openModel: the session has no model "${id}". Choose another.`);
    return this.#shelf.open(model, this.engine);
  }

  async addModel(
    model: EngineModel<Place>,
    about: Pick<StudioModel, "name" | "origin"> & Partial<Pick<StudioModel, "runId">>,
  ): Promise<StudioModel> {
    const id = newId();
    let place: KeptPlace | undefined = { storage: `${this.#root()}/models/${id}` };
    try {
      await model.save(place);
    } catch (error) {
      place = undefined;
      this.notify(
        "warning",
        `${about.name} will be gone after a reload: it could not be kept in this browser. ${(error as Error).message}`,
      );
    }
    await this.#measureStorage();
    return this.#shelve(model, { ...about, id, place });
  }

  #shelve(handle: EngineModel<Place>, about: Pick<StudioModel, "id" | "name" | "origin" | "place" | "runId">): StudioModel {
    const { kind, parameterCount, hasChatTemplate, config } = handle;
    const model = { ...about, kind, parameterCount, hasChatTemplate, contextLength: config.maxPositions, createdAt: Date.now() };
    this.#shelf.put(model.id, handle);
    this.change(({ models }) => ({ models: [...models, model] }));
    return model;
  }

  async removeModel(id: string): Promise<void> {
    const { models, runs } = this.store.state.session;
    const model = models.find((model) => model.id === id);
    const user = runs.find((run) => isUnderWay(run) && modelsOf(run).includes(id));
    if (user) return this.notify("warning", `${model?.name} stays: ${user.name} needs it. Stop that run first, or delete it.`);
    try {
      await this.#shelf.remove(id);
    } catch (error) {
      // the models of an engine that is gone are gone with it
      if (this.store.state.engine.state === "ready") return this.notify("error", `${model?.name} stays: ${(error as Error).message}`);
    }
    this.change(({ models, modelId }) => {
      const rest = models.filter((model) => model.id !== id);
      return { models: rest, modelId: modelId === id ? rest.find(({ kind }) => kind === "lm")?.id : modelId };
    });
    if (model?.place && "storage" in model.place) await this.#remove(model.place.storage);
  }

  async sample(options: SamplingOptions): Promise<void> {
    const { session } = this.store.state;
    const model = session.models.find(({ id }) => id === session.modelId);
    if (!model || this.store.state.sampling) return;
    const prompts = session.prompts.filter(({ id }) => options.prompts.includes(id));
    const drafts = prompts.flatMap(({ id }) =>
      options.temperatures.flatMap((temperature) => Array.from({ length: options.n }, () => ({ promptId: id, temperature, text: "" }))),
    );
    const stopping = new AbortController();
    this.#sampling = stopping;
    const texts = drafts.map(() => "");
    const show = (finished: number) => {
      const shown: Sampling = {
        modelId: model.id,
        total: drafts.length,
        finished,
        drafts: drafts.map((draft, i) => ({ ...draft, text: texts[i] as string })),
      };
      this.store.update(() => ({ sampling: shown }));
    };
    show(0);
    let due: ReturnType<typeof setTimeout> | undefined;
    try {
      const handle = await this.openModel(model.id);
      const completions = await handle.generate({
        prompts: prompts.map(({ prompt }) => prompt),
        n: options.n,
        temperatures: options.temperatures,
        maxNewTokens: options.maxNewTokens,
        seed: options.seed,
        signal: stopping.signal,
        onText: (index, text) => {
          texts[index] += text;
          due ??= setTimeout(() => {
            due = undefined;
            show(texts.filter(Boolean).length);
          }, DRAFT_INTERVAL_MS);
        },
      });
      const made = completions.map(({ text, temperature, finishReason, promptIndex }) => ({
        id: newId(),
        promptId: (prompts[promptIndex] as { id: string }).id,
        modelId: model.id,
        text,
        temperature,
        seed: options.seed,
        finishReason,
      }));
      this.change(({ completions }) => ({ completions: [...completions, ...made] }));
    } catch (error) {
      if (!stopping.signal.aborted) this.notify("error", `Sampling stopped: ${(error as Error).message}`);
    } finally {
      clearTimeout(due);
      this.#sampling = undefined;
      this.store.update(() => ({ sampling: undefined }));
    }
  }

  stopSampling(): void {
    this.#sampling?.abort();
  }

  putRun(run: StudioRun): void {
    this.change(({ runs }) => ({
      runs: runs.some(({ id }) => id === run.id) ? runs.map((other) => (other.id === run.id ? run : other)) : [...runs, run],
    }));
  }

  async removeRun(id: string): Promise<void> {
    this.change(({ runs }) => ({ runs: runs.filter((run) => run.id !== id) }));
    await this.#remove(`${this.#root()}/runs/${id}`);
  }

  checkpointPlace(runId: string): KeptPlace {
    const run = this.store.state.session.runs.find(({ id }) => id === runId);
    const before = run?.checkpoint?.place;
    const isSecond = before !== undefined && "storage" in before && before.storage.endsWith("/a");
    return { storage: `${this.#root()}/runs/${runId}/${isSecond ? "b" : "a"}` };
  }

  adapterPlace(runId: string): KeptPlace {
    return { storage: `${this.#root()}/runs/${runId}/adapter` };
  }

  async adapterFiles(runId: string): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
    const run = this.store.state.session.runs.find(({ id }) => id === runId);
    if (!run?.adapter) throw new Error("adapterFiles: the run must have made an adapter, got none. Train one first.");
    return readFiles(await this.#parts.openPlace(run.adapter), ADAPTER_FILES);
  }

  beforeLeaving(task: () => Promise<void>): void {
    this.#leaving.push(task);
  }

  async openSession(id?: string): Promise<void> {
    const kept = id === undefined ? undefined : await readSession(id);
    if (id !== undefined && !kept) return this.notify("error", "That session is no longer kept in this browser.");
    await this.#enter(kept ? revived(kept) : newSession(`Session ${this.store.state.sessions.length + 1}`, Date.now()));
  }

  async importSession(json: string): Promise<void> {
    await this.#enter(readSessionJson(json), true);
  }

  /** Ends what belongs to the open session. */
  async #leave(): Promise<void> {
    this.stopSampling();
    await Promise.all(this.#leaving.map((task) => task()));
    await this.#shelf.clear();
  }

  /** Leaves the open session as it is kept and makes another the open one, which is kept at once: all of it where it is imported. */
  async #enter(session: Session, isImported = false): Promise<void> {
    await this.#leave();
    await this.flush();
    await this.#openHere(session);
    if (this.store.state.isElsewhere) return;
    if (isImported) this.#keeper.drop(); // nothing of it is written yet
    this.#keeper.keep({ ...session });
    await this.flush();
    const sessions = await listSessions();
    this.store.update(() => ({ sessions }));
  }

  async deleteSession(id: string): Promise<void> {
    const { session: open, isElsewhere } = this.store.state;
    const isOpen = open.id === id;
    if (isOpen ? isElsewhere : await this.#lock.isHeldElsewhere(id)) {
      return this.notify("warning", "This session is open in another tab. Close it there first.");
    }
    if (isOpen) {
      await this.#leave();
      this.#keeper.drop();
    }
    const sessions = await forgetSession(id);
    await this.#remove(`studio/${id}`);
    this.store.update(() => ({ sessions }));
    if (!isOpen) return;
    const session = sessions[0] && (await readSession(sessions[0].id));
    await this.#openHere(session ? revived(session) : newSession("First session", Date.now()));
  }

  async persistStorage(): Promise<void> {
    const isGranted = await navigator.storage?.persist?.();
    if (!isGranted)
      this.notify("warning", "The browser did not promise to keep these files; it may do so for a site that is installed or bookmarked.");
    await this.#measureStorage();
  }

  #root(): string {
    return `studio/${this.store.state.session.id}`;
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.#parts.removeStored(path);
    } catch (error) {
      this.notify("warning", `Some files could not be deleted: ${(error as Error).message}`);
    }
    await this.#measureStorage();
  }

  async #measureStorage(): Promise<void> {
    const storage = await storageUse();
    this.store.update(() => ({ storage }));
  }
}

/** What the engine writes of an adapted model: PEFT's files and those of the tokenizer. */
const ADAPTER_FILES = ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/** The place itself where a reload can read it again; not one that only this page can read, nor one that needs a token, which is kept nowhere. */
function placeToKeep(from: Place): KeptPlace | undefined {
  if (typeof from === "string") return { hub: from };
  if ("storage" in from || ("hub" in from && from.token === undefined)) return from;
  if ("url" in from && from.headers === undefined) return from;
  return undefined;
}

async function storageUse(): Promise<StorageUse | undefined> {
  if (!navigator.storage?.estimate) return undefined;
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: usage, quotaBytes: quota, isPersistent: (await navigator.storage.persisted?.()) ?? false };
}
