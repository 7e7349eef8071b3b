/** The studio's runs on a real engine across a message channel: to the end, paused, stopped, reloaded in the middle, and refused. */
import type { Engine, EngineModel } from "@trimtab/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Disk, openEngine, tiny } from "../../../core/test/engine-host";
import { type KeptPlace, type RunSetup, type Session, Store, type StudioModel, type StudioRun, type StudioState } from "../../studio/store";
import type { Place, Studio } from "../../studio/studio";
import { RunController } from "../../studio/training/run-controller";
import { standingOptions, TRAINERS } from "../../studio/training/trainers";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  for (const close of closing.splice(0)) await close();
});

const pairs = Array.from({ length: 8 }, (_, i) => ({ prompt: "ab"[i % 2] as string, chosen: " are few", rejected: " zzz" }));
const reward: RunSetup = {
  algorithm: "reward",
  modelId: "base",
  rewards: [],
  options: { maxSteps: 6, learningRate: 0.01, perDeviceTrainBatchSize: 4, seed: 1 },
  rows: pairs,
  heldOut: pairs.slice(0, 2),
};
const adapted: RunSetup = {
  algorithm: "sft",
  modelId: "base",
  adapter: { r: 2, loraAlpha: 4, targetModules: "all-linear" },
  rewards: [],
  options: { maxSteps: 6, learningRate: 0.05, perDeviceTrainBatchSize: 4, seed: 1 },
  rows: pairs.map(({ prompt, chosen }) => ({ prompt, completion: chosen })),
};
const grpo: RunSetup = {
  algorithm: "grpo",
  modelId: "base",
  rewards: [{ rule: "format", options: { pattern: "[aeiou]" } }],
  options: { maxSteps: 6, learningRate: 0.01, perDeviceTrainBatchSize: 8, numGenerations: 4, maxCompletionLength: 6, logKl: true, seed: 1 },
  rows: [{ prompt: "a" }, { prompt: "b" }],
};

/** A studio whose files are on `disk`; places are plain names, which is all that the engine of the tests knows. */
async function openStudio(disk: Disk, runs: readonly StudioRun[] = []) {
  const { engine } = await openEngine(disk);
  closing.push(() => engine.close());
  const base = await engine.newModel(tiny);
  const handles = new Map<string, EngineModel<string>>([["base", base]]);
  const notices: string[] = [];
  const store = new Store({ session: { models: [], runs } as unknown as Session } as StudioState);
  const change = (make: (session: Session) => Partial<Session>) =>
    store.update(({ session }) => ({ session: { ...session, ...make(session) } }));
  const studio = {
    store,
    engine: Promise.resolve(engine as unknown as Engine<Place>),
    openModel: async (id: string) => handles.get(id),
    async addModel(model: EngineModel<string>, { name }: StudioModel) {
      handles.set(name, model);
      return { id: name };
    },
    putRun(run: StudioRun) {
      change(({ runs: all }) => ({ runs: [...all.filter(({ id }) => id !== run.id), run] }));
    },
    removeRun: async (id: string) => change(({ runs: all }) => ({ runs: all.filter((run) => run.id !== id) })),
    checkpointPlace: (id: string) => {
      const before = store.state.session.runs.find((run) => run.id === id)?.checkpoint?.place as unknown as string | undefined;
      return `${id}/${before?.endsWith("a") ? "b" : "a"}` as unknown as KeptPlace;
    },
    adapterPlace: (id: string) => `${id}/adapter` as unknown as KeptPlace,
    notify(_: string, text: string) {
      notices.push(text);
      store.update(() => ({}));
    },
  } as unknown as Studio;
  const runOf = (id: string) => store.state.session.runs.find((run) => run.id === id) as StudioRun;
  /** Resolves once the run is as asked. */
  const until = (id: string, isSo: (run: StudioRun) => boolean) =>
    new Promise<StudioRun>((resolve, reject) => {
      const look = () => {
        const run = runOf(id);
        if (!run) return;
        if (isSo(run)) resolve(run);
        else if (run.status === "failed" || notices.length > 0) reject(new Error([run.error, ...notices].join()));
        else return;
        unsubscribe();
      };
      const unsubscribe = store.subscribe(look);
      look();
    });
  return { controller: new RunController(studio), store, handles, notices, runOf, until };
}

const losses = ({ history }: StudioRun) => history.map(({ metrics }) => metrics.loss);

describe("runs of the studio", () => {
  it("train a reward model, keep it, and judge it by what was kept back", async () => {
    const { controller, until, handles, notices } = await openStudio(new Map());
    const id = await controller.start(reward);
    expect(controller.isBusy).toBe(true);
    const run = await until(id, ({ margins }) => margins !== undefined);
    expect(run).toMatchObject({ name: "Reward model 1", status: "finished", maxSteps: 6, resultId: "Reward model 1" });
    expect(run.history.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(run.history.every(({ metrics }) => (metrics.step_time as number) > 0)).toBe(true);
    const [first, second] = (await (handles.get("Reward model 1") as EngineModel<string>).score([
      { prompt: "a", completion: " are few" },
      { prompt: "a", completion: " zzz" },
    ])) as [number, number];
    expect(run.margins).toHaveLength(2);
    expect(run.margins?.[0]).toBeCloseTo(first - second, 6);
    expect(controller.isBusy).toBe(false);
    expect(notices).toEqual([]);
    expect((await until(await controller.start(reward), ({ status }) => status === "finished")).name).toBe("Reward model 2");
  });

  it("show what GRPO sampled, and the same prompts before and after", async () => {
    const { controller, until, runOf } = await openStudio(new Map());
    const id = await controller.start(grpo);
    const run = await until(id, ({ comparison }) => comparison !== undefined);
    expect(run.samples.map(({ step }) => step)).toEqual([1, 4, 5, 6]);
    expect(run.samples[0]?.samples).toHaveLength(8);
    expect(run.history.every(({ metrics }) => metrics.kl !== undefined && metrics.reward !== undefined)).toBe(true);
    expect(run.comparison?.groups.map(({ prompt, samples }) => [prompt, samples.map(({ title }) => title)])).toEqual([
      ["a", ["Trained, step 6", "Before training"]],
      ["b", ["Trained, step 6", "Before training"]],
    ]);
    const tokens = run.comparison?.groups[0]?.samples[0]?.tokens ?? [];
    expect(tokens.length).toBeGreaterThan(0);
    expect(tokens.every(({ refLogp }) => Number.isFinite(refLogp))).toBe(true);
    controller.rename(id, "Vowels");
    expect(runOf(id).name).toBe("Vowels");
    await controller.remove(id);
    expect(runOf(id)).toBeUndefined();
  });

  it("pause after the step, go on, and stop with the model as it is", async () => {
    const { controller, until, handles } = await openStudio(new Map());
    const id = await controller.start({ ...reward, options: { ...reward.options, maxSteps: 10_000 } });
    await until(id, ({ history }) => history.length >= 2);
    controller.pause();
    const paused = await until(id, ({ status }) => status === "paused");
    expect(paused.checkpoint?.step).toBe(paused.history.at(-1)?.step);
    expect([controller.isBusy, controller.liveId]).toEqual([false, id]);
    await controller.resume(id);
    await until(id, ({ history }) => history.length > paused.history.length + 1);
    await controller.stop(id);
    const stopped = await until(id, ({ status }) => status === "stopped");
    expect(stopped.history.length).toBeLessThan(10_000);
    expect(handles.has(stopped.resultId as string)).toBe(true);
  });

  it.each([reward, adapted])("go on after a reload as if nothing had happened: $algorithm", async (setup) => {
    const whole = await openStudio(new Map());
    const uninterrupted = await whole.until(await whole.controller.start(setup), ({ status }) => status === "finished");

    const disk: Disk = new Map();
    const before = await openStudio(disk);
    const id = await before.controller.start(setup);
    await before.until(id, ({ history }) => history.length >= 1);
    before.controller.pause();
    const paused = await before.until(id, ({ status }) => status === "paused" || status === "finished");
    expect(paused.status).toBe("paused");

    const after = await openStudio(disk, [JSON.parse(JSON.stringify(paused)) as StudioRun]);
    await after.controller.resume(id);
    const finished = await after.until(id, ({ status }) => status === "finished");
    expect(losses(finished)).toEqual(losses(uninterrupted));
  });

  it("train an adapter, keep it as PEFT's files, and leave its base free with a merged model beside it", async () => {
    const disk: Disk = new Map();
    const { controller, until, handles, notices } = await openStudio(disk);
    const id = await controller.start(adapted);
    await until(id, ({ history }) => history.length > 0);
    const base = handles.get("base") as EngineModel<string>;
    await expect(base.dispose()).rejects.toThrow(/base of an adapter/);
    const run = await until(id, ({ comparison }) => comparison !== undefined);
    expect(run).toMatchObject({ name: "Imitation (SFT) 1", status: "finished", adapter: `${id}/adapter`, resultId: "Imitation (SFT) 1" });
    const files = disk.get(`${id}/adapter`)?.files;
    expect(JSON.parse(new TextDecoder().decode(files?.get("adapter_config.json")))).toMatchObject({
      peft_type: "LORA",
      r: 2,
      lora_alpha: 4,
    });
    const merged = handles.get("Imitation (SFT) 1") as EngineModel<string>;
    expect([merged.hasAdapter, merged.parameterCount]).toEqual([false, base.parameterCount]);
    const [before, after] = await Promise.all([base, merged].map((model) => model.inspect({ prompt: "a", completion: " are few" })));
    const logp = (tokens: typeof before = []) => tokens.reduce((sum, token) => sum + token.logp, 0);
    expect(logp(after)).toBeGreaterThan(logp(before) + 0.5);
    await base.dispose();
    expect(notices).toEqual([]);
  });

  it("are rewarded by an endpoint, whose key is kept nowhere", async () => {
    const asked: unknown[] = [];
    vi.stubGlobal("fetch", async (url: string, { headers }: RequestInit) => {
      asked.push([url, (headers as Record<string, string>).Authorization ?? (headers as Record<string, string>).authorization]);
      return new Response(JSON.stringify({ choices: [{ message: { content: "Rating: 7" } }] }));
    });
    const judged: RunSetup = {
      ...grpo,
      rewards: [{ endpoint: { baseUrl: "http://judge.test/v1", model: "critic", hasKey: true } }],
      options: { ...grpo.options, maxSteps: 3 },
    };
    const disk: Disk = new Map();
    const before = await openStudio(disk);
    const id = await before.controller.start(judged, "a secret");
    await before.until(id, ({ history }) => history.length >= 1);
    before.controller.pause();
    const paused = await before.until(id, ({ status }) => status === "paused");
    expect(JSON.stringify(paused)).not.toContain("a secret");

    const after = await openStudio(disk, [JSON.parse(JSON.stringify(paused)) as StudioRun]);
    expect([before.controller.needsKey(paused), after.controller.needsKey(paused)]).toEqual([false, true]);
    await expect(after.controller.resume(id)).rejects.toThrow("Enter it again");
    await after.controller.resume(id, "a secret");
    const run = await after.until(id, ({ status }) => status === "finished");
    expect(run.history.map(({ metrics }) => [metrics.reward, metrics["rewards/critic_reward/mean"]])).toEqual(Array(3).fill([7, 7]));
    expect(new Set(asked.map(String))).toEqual(new Set(["http://judge.test/v1/chat/completions,Bearer a secret"]));
  });

  it("leave a paused one paused when another starts, and stop it later with the model of its checkpoint", async () => {
    const { controller, until, runOf, handles } = await openStudio(new Map());
    const long = { ...reward, options: { ...reward.options, maxSteps: 10_000 } };
    const id = await controller.start(long);
    await until(id, ({ history }) => history.length >= 2);
    controller.pause();
    const paused = await until(id, ({ status }) => status === "paused");
    const live = controller.liveId;
    const other = await controller.start(reward);
    expect([live, controller.liveId]).toEqual([id, other]);
    await until(other, ({ margins }) => margins !== undefined);
    expect(runOf(id)).toEqual(paused);

    controller.rename(id, "Renamed");
    await controller.stop(id);
    const stopped = await until(id, ({ margins }) => margins !== undefined);
    expect(stopped).toMatchObject({ name: "Renamed", status: "stopped", history: paused.history });
    const rows = [{ prompt: "a", completion: " are few" }];
    const fresh = await (handles.get("base") as EngineModel<string>).toRewardModel(1);
    const scores = await Promise.all([handles.get("Renamed") as EngineModel<string>, fresh].map((model) => model.score(rows)));
    expect(scores[0]).not.toEqual(scores[1]);
  });

  it("take every option that the form offers", async () => {
    const { controller, until } = await openStudio(new Map());
    const few = { maxSteps: 1, maxCompletionLength: 2, perDeviceTrainBatchSize: 8, learningRate: 0.01 };
    const rows = { sft: pairs.map(({ prompt, chosen }) => ({ prompt, completion: chosen })), prompts: grpo.rows };
    for (const { algorithm, learnsFrom, fields } of TRAINERS) {
      const given = fields.filter(({ optional }) => !optional);
      const asIs = Object.fromEntries([
        ...given.map(({ name, value }) => [name, value] as const),
        ...Object.entries(few).filter(([name]) => given.some((field) => field.name === name)),
      ]);
      const variants = given.flatMap(({ name, choices = [] }) => choices.slice(1).map(([choice]) => ({ [name]: choice })));
      const learned = learnsFrom === "prompts" ? rows.prompts : algorithm === "sft" ? rows.sft : pairs;
      for (const variant of [{}, ...variants]) {
        const options = {
          ...standingOptions(algorithm),
          ...asIs,
          ...variant,
          ...("lossType" in variant && variant.lossType === "robust" ? { labelSmoothing: 0.1 } : {}),
        };
        const id = await controller.start({
          algorithm,
          modelId: "base",
          rewards: learnsFrom === "prompts" ? grpo.rewards : [],
          options,
          rows: learned,
        });
        const run = await until(id, ({ status }) => status === "finished");
        expect([run.name, Object.values(run.history[0]?.metrics ?? {}).every((value) => !Number.isNaN(value))]).toEqual([run.name, true]);
        await until(id, ({ comparison, margins }) => (comparison ?? margins) !== undefined);
      }
    }
  });

  it("are refused with what is wrong, before they are in the session", async () => {
    const { controller, store, handles } = await openStudio(new Map());
    const wide = { ...adapted, adapter: { r: 0, loraAlpha: 4 } };
    await expect(controller.start(wide)).rejects.toThrow("`r` must be a whole number of at least 1, got 0");
    const bad = { ...grpo, options: { ...grpo.options, learningRate: Number.NaN, numGenerations: 3 } };
    await expect(controller.start(bad)).rejects.toThrow(
      /`learningRate` must be .*; `perDeviceTrainBatchSize × stepsPerGeneration` must be/,
    );
    const long = { ...adapted, options: { ...adapted.options, learningRate: -1 } };
    await expect(controller.start(long)).rejects.toThrow("`learningRate` must be");
    await handles.get("base")?.dispose(); // what was made for them is gone
    expect(store.state.session.runs).toEqual([]);
    expect(controller.isBusy).toBe(false);
  });
});
