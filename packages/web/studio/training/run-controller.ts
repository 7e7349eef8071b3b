/** Drives the studio's training runs: opens them on the engine, takes step after step, keeps them, and shows what came of them. */
import {
  type Engine,
  type EngineModel,
  type EngineRun,
  type EngineStep,
  type EngineTrainingOptions,
  endpointRatingJudge,
  parseHubName,
  type RewardFunction,
  ratingReward,
} from "@trimtab/core";
import { newId } from "../session";
import type { RewardEndpoint, RunSetup, StudioModel, StudioRun } from "../store";
import type { Place, Studio } from "../studio";
import { heldOutMargins } from "./held-out-margins";
import { compareSamples } from "./sample-comparison";
import { trainerOf } from "./trainers";

/** What a person asked of the run that goes, met after the step in progress. */
type Request = "pause" | "stop" | "save";

interface LiveRun {
  readonly id: string;
  readonly run: EngineRun<Place>;
  readonly model: EngineModel<Place>;
  request: Request | undefined;
  /** Lets a paused run go on. */
  wake: (() => void) | undefined;
  saveMs: number;
  savedAt: number;
}

/** The studio is told of progress at most this often: a fast run must not redraw the page for every step. */
const NEWS_INTERVAL_MS = 120;
/** Between two saves passes this many times the time that one takes, so that keeping a run costs at most a fifth of it. */
const SAVE_SHARE = 4;
/** Of the newest steps completions are kept, and of the first. */
const KEPT_SAMPLES = 3;
const MOST_SAMPLES_OF_A_STEP = 12;

/** Fires `change` when what a person asked for is met or becomes known. */
export class RunController extends EventTarget {
  readonly #studio: Studio;
  #live: LiveRun | undefined;
  #isOpening = false;
  /** Keys of endpoints, by run: they are in no session, and go with the page. */
  readonly #keys = new Map<string, string>();

  constructor(studio: Studio) {
    super();
    this.#studio = studio;
  }

  /** The run that is on the engine, going or paused. */
  get liveId(): string | undefined {
    return this.#live?.id;
  }

  /** A run goes, or is being opened. */
  get isBusy(): boolean {
    return this.#isOpening || (this.#live !== undefined && this.#live.wake === undefined);
  }

  /** Something was asked for that the step in progress holds up. */
  isWaiting(id: string): boolean {
    return this.#live?.id === id && this.#live.request !== undefined && this.#live.wake === undefined;
  }

  /** It is rewarded by an endpoint whose key went with the page. */
  needsKey({ id, setup }: StudioRun): boolean {
    return !this.#keys.has(id) && setup.rewards.some((reward) => "endpoint" in reward && reward.endpoint.hasKey);
  }

  /** Opens a run and lets it go; returns its id. Throws what the engine refuses, before the run is in the session. */
  async start(setup: RunSetup, apiKey = ""): Promise<string> {
    const name = this.#newName(trainerOf(setup.algorithm)?.title ?? setup.algorithm);
    const run: StudioRun = {
      id: newId(),
      name,
      setup,
      status: "starting",
      maxSteps: Number(setup.options.maxSteps),
      history: [],
      samples: [],
      createdAt: Date.now(),
      elapsedMs: 0,
    };
    if (apiKey) this.#keys.set(run.id, apiKey);
    await this.#open(run);
    return run.id;
  }

  /** Goes on with a paused run, from memory or from its checkpoint. Throws what the engine refuses, and for want of a key. */
  async resume(id: string, apiKey = ""): Promise<void> {
    if (apiKey) this.#keys.set(id, apiKey);
    const live = this.#live;
    if (live?.id === id) {
      this.#ask(live, undefined);
      live.wake?.();
      return;
    }
    const run = this.#runOf(id);
    if (run) await this.#open(run);
  }

  /** After the step in progress; what it came to is saved. */
  pause(): void {
    this.#ask(this.#live, "pause");
  }

  save(): void {
    this.#ask(this.#live, "save");
  }

  /** Ends a run after the step in progress and keeps its model; one that a reload left paused is opened for it. Throws what the engine refuses. */
  async stop(id: string): Promise<void> {
    const live = this.#live;
    if (live?.id === id) {
      this.#ask(live, "stop");
      live.wake?.();
      return;
    }
    const run = this.#runOf(id);
    if (run) await this.#open(run, "stop");
  }

  /** Forgets a run; one that is on the engine ends first. */
  async remove(id: string): Promise<void> {
    if (this.#live?.id === id) await this.#close(this.#live);
    await this.#studio.removeRun(id);
  }

  /** Takes the run off the engine after the step in progress, which is saved first: before another session opens. */
  async leave(): Promise<void> {
    const live = this.#live;
    if (!live) return;
    if (live.wake === undefined) {
      this.#ask(live, "pause");
      await new Promise<void>((resolve) => {
        const check = () => {
          if (this.#live === live && live.wake === undefined) return;
          this.removeEventListener("change", check);
          resolve();
        };
        this.addEventListener("change", check);
      });
    }
    if (this.#live === live) await this.#close(live);
  }

  rename(id: string, name: string): void {
    this.#change(id, () => ({ name }));
  }

  /** Completes the run's first prompts with its model and with the one it started from. What goes wrong becomes a notice. */
  async compare(id: string): Promise<void> {
    const run = this.#runOf(id);
    if (!run) return;
    try {
      const model = this.#live?.id === id ? this.#live.model : run.resultId && (await this.#studio.openModel(run.resultId));
      if (!model) throw new Error("its model is not in memory. Go on with the run first.");
      const reference = await this.#studio.openModel(run.setup.modelId);
      const judgeId = run.setup.rewards.map((reward) => ("modelId" in reward ? reward.modelId : undefined)).find(Boolean);
      const judge = judgeId === undefined ? undefined : await this.#studio.openModel(judgeId).catch(() => undefined);
      const groups = await compareSamples({ model, reference, judge, setup: run.setup, step: run.history.at(-1)?.step ?? 0 });
      this.#change(id, ({ history }) => ({ comparison: { step: history.at(-1)?.step ?? 0, groups } }));
    } catch (error) {
      this.#studio.notify("warning", `${run.name} could not be compared: ${(error as Error).message}`);
    }
  }

  #runOf(id: string): StudioRun | undefined {
    return this.#studio.store.state.session.runs.find((run) => run.id === id);
  }

  #change(id: string, change: (run: StudioRun) => Partial<StudioRun>): void {
    const run = this.#runOf(id);
    if (run) this.#studio.putRun({ ...run, ...change(run) });
  }

  /** Puts how far a run is; its name and its comparison stay those of the session, which may have changed meanwhile. */
  #put(run: StudioRun): void {
    this.#change(run.id, ({ name, comparison }) => ({ ...run, name, comparison }));
  }

  #ask(live: LiveRun | undefined, request: Request | undefined): void {
    if (!live) return;
    live.request = request;
    this.dispatchEvent(new Event("change"));
  }

  /** "GRPO 2" where there is a "GRPO 1". */
  #newName(title: string): string {
    const names = new Set(this.#studio.store.state.session.runs.map(({ name }) => name));
    let number = 1;
    while (names.has(`${title} ${number}`)) number += 1;
    return `${title} ${number}`;
  }

  async #open(run: StudioRun, request?: Request): Promise<void> {
    if (this.isBusy) throw new Error("train: one run can go at a time, got another. Pause or stop it first.");
    if (request !== "stop" && this.needsKey(run)) throw new Error("the key of its endpoint was kept nowhere. Enter it again.");
    this.#isOpening = true;
    this.dispatchEvent(new Event("change"));
    let model: EngineModel<Place> | undefined;
    try {
      if (this.#live) await this.#close(this.#live);
      const { setup, checkpoint } = run;
      const engine = await this.#studio.engine;
      const base = await this.#studio.openModel(setup.modelId);
      const from = this.#studio.store.state.session.models.find(({ id }) => id === setup.modelId);
      model = await newTrainee(base, setup, from && hubName(from));
      const opened = await this.#train(engine, model, run, checkpoint?.place);
      const live: LiveRun = { id: run.id, run: opened, model, request, wake: undefined, saveMs: 0, savedAt: 0 };
      this.#live = live;
      const { error: _, ...rest } = run;
      this.#studio.putRun({ ...rest, status: "running", maxSteps: opened.maxSteps });
      void this.#drive(live);
    } catch (error) {
      await model?.dispose().catch(() => {});
      throw error;
    } finally {
      this.#isOpening = false;
      this.dispatchEvent(new Event("change"));
    }
  }

  async #train(
    engine: Engine<Place>,
    model: EngineModel<Place>,
    { id, setup }: StudioRun,
    from: Place | undefined,
  ): Promise<EngineRun<Place>> {
    const { algorithm, options, rows } = setup;
    const rewards = await Promise.all(
      setup.rewards.map(async (reward) => {
        if ("rule" in reward) return reward;
        if ("endpoint" in reward) return endpointReward(reward.endpoint, this.#keys.get(id));
        return { model: await this.#studio.openModel(reward.modelId), name: reward.name };
      }),
    );
    const learnsFrom = trainerOf(algorithm)?.learnsFrom;
    const training = { ...options, model, ...(learnsFrom === "prompts" ? { prompts: rows, rewards } : { dataset: rows }) };
    // which options go with which algorithm is known when it runs: the trainer checks them all
    return engine.train(algorithm, training as unknown as EngineTrainingOptions<typeof algorithm, EngineModel<Place>, Place>, from);
  }

  async #drive(live: LiveRun): Promise<void> {
    const { id, run, model } = live;
    let isStopped = false;
    let told = 0;
    let current = this.#runOf(id) as StudioRun;
    try {
      while (this.#live === live) {
        if (live.request === "stop") {
          isStopped = true;
          break;
        }
        if (live.request === "pause" || live.request === "save") {
          current = await this.#save(live, current);
          if (live.request === "pause") {
            await this.#wait(live, current);
            current = this.#runOf(id) ?? current;
            continue;
          }
          this.#ask(live, undefined);
        }
        const started = performance.now();
        const { done, value } = await run.next();
        if (done) break;
        current = withStep(current, value, performance.now() - started);
        if (value.autosaveError) this.#studio.notify("warning", `${current.name} could not be kept: ${value.autosaveError.message}`);
        if (performance.now() - live.savedAt >= SAVE_SHARE * live.saveMs) current = await this.#save(live, current);
        if (performance.now() - told >= NEWS_INTERVAL_MS) {
          told = performance.now();
          this.#put(current);
        }
      }
      if (this.#live !== live) return;
      await run.return();
      current = { ...current, name: this.#runOf(id)?.name ?? current.name };
      current = await this.#keepAdapter(current, model);
      const result = await this.#keepModel(current, model);
      this.#put({ ...current, status: isStopped ? "stopped" : "finished", resultId: result.id });
      this.#live = undefined;
      await this.#judge(current, model);
    } catch (error) {
      if (this.#live !== live) return;
      this.#live = undefined;
      this.#keys.delete(id); // it may be the wrong one
      this.#put({ ...current, status: "failed", error: (error as Error).message });
      await model.dispose().catch(() => {});
    } finally {
      this.dispatchEvent(new Event("change"));
    }
  }

  /** Holds a run until it is asked to go on or to stop. */
  async #wait(live: LiveRun, run: StudioRun): Promise<void> {
    this.#put({ ...run, status: "paused" });
    await new Promise<void>((resolve) => {
      live.wake = resolve;
      this.#ask(live, undefined);
    });
    live.wake = undefined;
    if (this.#live !== live) return;
    this.#change(live.id, () => ({ status: "running" }));
    this.dispatchEvent(new Event("change"));
  }

  /** Keeps the run as it is after its last step. Where there is no room it goes on unkept, and says so once. */
  async #save(live: LiveRun, run: StudioRun): Promise<StudioRun> {
    const step = run.history.at(-1)?.step;
    if (step === undefined || run.checkpoint?.step === step || live.saveMs === Number.POSITIVE_INFINITY) return run;
    const started = performance.now();
    // the place depends on the checkpoint that the session has
    this.#put(run);
    const place = this.#studio.checkpointPlace(live.id);
    try {
      await live.run.save(place);
    } catch (error) {
      live.saveMs = Number.POSITIVE_INFINITY;
      this.#studio.notify("warning", `${run.name} goes on, but a reload would lose it: ${(error as Error).message}`);
      return run;
    }
    live.savedAt = performance.now();
    live.saveMs = live.savedAt - started;
    const saved = { ...run, checkpoint: { step, place } };
    this.#put(saved);
    return saved;
  }

  /** Writes the trained adapter, where there is one. Where there is no room for it its merged model stays, and a notice says so. */
  async #keepAdapter(run: StudioRun, model: EngineModel<Place>): Promise<StudioRun> {
    if (!model.hasAdapter) return run;
    const place = this.#studio.adapterPlace(run.id);
    try {
      await model.save(place);
    } catch (error) {
      this.#studio.notify("warning", `The adapter of ${run.name} could not be kept; only the merged model is: ${(error as Error).message}`);
      return run;
    }
    const kept = { ...run, adapter: place };
    this.#put(kept);
    return kept;
  }

  /** Puts the trained model on the shelf; of an adapter the merged model, in its place. */
  async #keepModel(run: StudioRun, model: EngineModel<Place>): Promise<StudioModel> {
    const about = { name: run.name, origin: `made by ${run.name}`, runId: run.id };
    if (!model.hasAdapter) return this.#studio.addModel(model, about);
    const merged = await model.merge();
    await model.dispose();
    return this.#studio.addModel(merged, about);
  }

  /** What came of it: margins of a reward model, completions of any other. */
  async #judge({ id, name, setup }: StudioRun, model: EngineModel<Place>): Promise<void> {
    if (setup.algorithm !== "reward") return this.compare(id);
    try {
      const margins = await heldOutMargins(model, setup.heldOut ?? []);
      this.#change(id, () => ({ margins }));
    } catch (error) {
      this.#studio.notify("warning", `${name} could not be judged: ${(error as Error).message}`);
    }
  }

  /** Takes a run off the engine; it can go on from its checkpoint. */
  async #close(live: LiveRun): Promise<void> {
    this.#live = undefined;
    live.wake?.();
    // an engine that is gone has ended both
    await live.run.return().catch(() => {});
    await live.model.dispose().catch(() => {});
  }
}

/** A rating from 1 to 10 for each completion, asked for from this page. */
function endpointReward({ baseUrl, model }: RewardEndpoint, apiKey: string | undefined): RewardFunction {
  return ratingReward(endpointRatingJudge({ baseUrl, model, name: model, apiKey }));
}

/** What a run trains: made anew from the model that it starts from. Bad options of an adapter are refused. */
function newTrainee(
  base: EngineModel<Place>,
  { algorithm, adapter, options }: RunSetup,
  name: string | undefined,
): Promise<EngineModel<Place>> {
  const seed = Number(options.seed ?? 0);
  if (algorithm === "reward") return base.toRewardModel(seed);
  return adapter ? base.withAdapter({ ...adapter, seed, baseModelNameOrPath: name }) : base.clone();
}

/** "owner/model" of a model that came from the hub: what PEFT finds an adapter's base by. */
function hubName({ place }: StudioModel): string | undefined {
  return place && "hub" in place ? parseHubName(place.hub)?.repository : undefined;
}

/** The run with one more step; what a kept session had beyond where it goes on from is dropped. */
function withStep(run: StudioRun, { step, maxSteps, metrics, samples }: EngineStep, elapsedMs: number): StudioRun {
  const shown = samples.slice(0, MOST_SAMPLES_OF_A_STEP);
  const before = run.samples.filter((earlier) => earlier.step < step);
  return {
    ...run,
    maxSteps,
    history: [...run.history.filter((earlier) => earlier.step < step), { step, metrics: { step_time: elapsedMs / 1000, ...metrics } }],
    samples: shown.length === 0 ? before : [...before.slice(0, 1), ...before.slice(1).slice(1 - KEPT_SAMPLES), { step, samples: shown }],
    elapsedMs: run.elapsedMs + elapsedMs,
  };
}
