/// <reference types="node" />
/** Runs that are saved, lost and resumed: going on equals never having stopped, to the bit, on strict wasm. */
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { describe, expect, it } from "vitest";
import { CheckpointError, ConfigError, DeviceError, type Engine, type EngineRun, type EngineStep, type RewardFunction } from "../src";
import { type Disk, engineOpener, MemoryPlace, thrownBy, tiny } from "./engine-host";

const start = engineOpener();

const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);
const sampling = {
  prompts: [{ prompt: "ab" }, { prompt: "hello" }, { prompt: "x" }],
  rewards: spread,
  learningRate: 0.01,
  perDeviceTrainBatchSize: 4,
  numGenerations: 4,
  maxCompletionLength: 4,
  maxSteps: 4,
} as const;
const preferences = [
  { prompt: "a", chosen: "few", rejected: "words" },
  { prompt: "are", chosen: "enough", rejected: "ab" },
];
const learning = { learningRate: 0.01, perDeviceTrainBatchSize: 1, maxSteps: 4 } as const;

/** Opens a run of each kind on a fresh engine's models; the fourth step is the last. */
type Open = (
  engine: Engine<string>,
  more: object,
  resumeFrom?: string,
) => Promise<{ run: EngineRun<string>; weights: () => Promise<unknown> }>;
const kinds: Record<string, Open> = {
  async grpo(engine, more, resumeFrom) {
    const model = await engine.newModel(tiny);
    // In the middle of a round, at which a save must keep the rollout.
    const run = await engine.train("grpo", { ...sampling, model, beta: 0.1, numIterations: 4, ...more }, resumeFrom);
    return { run, weights: () => model.files() };
  },
  async ppo(engine, more, resumeFrom) {
    const model = await engine.newModel(tiny);
    const scorer = await model.toRewardModel(1);
    const run = await engine.train(
      "ppo",
      { ...sampling, model, valueModel: scorer, rewards: [spread, { model: scorer }], ...more },
      resumeFrom,
    );
    return { run, weights: () => model.files() };
  },
  async dpo(engine, more, resumeFrom) {
    const model = await engine.newModel(tiny);
    const run = await engine.train(
      "dpo",
      { ...learning, model, dataset: preferences, syncRefModel: true, refModelSyncSteps: 2, ...more },
      resumeFrom,
    );
    return { run, weights: () => model.files() };
  },
  async reward(engine, more, resumeFrom) {
    const model = await (await engine.newModel(tiny)).toRewardModel(1);
    const run = await engine.train("reward", { ...learning, model, dataset: preferences, ...more }, resumeFrom);
    return { run, weights: () => model.files() };
  },
};

const stepOf = async (run: EngineRun<string>): Promise<EngineStep> => {
  const { value } = await run.next();
  if (!value) throw new Error("the run has ended");
  return value;
};

/** Steps 3 and 4, and the weights after them, of a run that was never interrupted. */
async function uninterrupted(open: Open) {
  const { engine } = await start();
  const { run, weights } = await open(engine, {});
  await stepOf(run);
  await stepOf(run);
  return { steps: [await stepOf(run), await stepOf(run)], weights: await weights() };
}

async function rest({ run, weights }: Awaited<ReturnType<Open>>) {
  const steps = [await stepOf(run), await stepOf(run)];
  expect(await run.next()).toEqual({ done: true, value: undefined });
  return { steps, weights: await weights() };
}

describe("a saved run", () => {
  for (const [name, open] of Object.entries(kinds)) {
    it(`of ${name} goes on as if it had never stopped`, async () => {
      const expected = await uninterrupted(open);
      const disk: Disk = new Map();
      const { engine } = await start(disk);
      const { run } = await open(engine, {});
      expect(await thrownBy(run.save("saved"))).toBeInstanceOf(CheckpointError);
      await stepOf(run);
      await stepOf(run);
      await run.save("saved");
      await stepOf(run);
      await run.return();
      expect(await thrownBy(run.save("saved"))).toBeInstanceOf(ConfigError);

      const again = await start(disk);
      expect(await rest(await open(again.engine, {}, "saved"))).toEqual(expected);
      const saved = await again.engine.loadModel("saved");
      expect(saved.parameterCount).toBeGreaterThan(0);
    });

    it(`of ${name} goes on from its autosave when its engine is killed or loses its device`, async () => {
      const expected = await uninterrupted(open);
      const disk: Disk = new Map();
      const one = await start(disk);
      const { run } = await open(one.engine, { autosave: { to: "autosave" } });
      await stepOf(run);
      await stepOf(run);
      const waiting = thrownBy(run.next());
      if (name === "dpo" || name === "ppo") await one.device.destroy();
      else one.kill(new Error("out of memory"));
      expect(await waiting).toBeInstanceOf(DeviceError);
      expect(await one.engine.lost).toBeInstanceOf(DeviceError);
      expect(await thrownBy(run.next())).toBeUndefined();
      expect(await thrownBy(one.engine.newModel(tiny))).toBeInstanceOf(DeviceError);

      const again = await start(disk);
      expect(await rest(await open(again.engine, { autosave: { to: "autosave" } }, "autosave"))).toEqual(expected);
    });
  }

  it("keeps the latest step as often as it is told to, and the last one", async () => {
    const disk: Disk = new Map();
    const { engine } = await start(disk);
    const { run } = await (kinds.dpo as Open)(engine, { maxSteps: 5, autosave: { to: "autosave", everySteps: 2 } });
    const kept: (readonly string[])[] = [];
    for await (const _ of run) kept.push(await (disk.get("autosave") as MemoryPlace).list());
    expect(kept).toEqual([[], ["checkpoint-2"], ["checkpoint-2"], ["checkpoint-4"], ["checkpoint-5"]]);
  });

  it("goes on learning where a step cannot be saved, and says why", async () => {
    const disk: Disk = new Map();
    const full = new MemoryPlace([], "full");
    full.child = () => {
      throw new CheckpointError("full: there must be room, got none.");
    };
    disk.set("full", full);
    const { engine } = await start(disk);
    const { run } = await (kinds.dpo as Open)(engine, { autosave: { to: "full" } });
    for (let i = 0; i < 4; i++) expect((await stepOf(run)).autosaveError).toBeInstanceOf(CheckpointError);
  });

  it("is refused where it does not fit", async () => {
    const disk: Disk = new Map();
    const { engine, device } = await start(disk);
    const { run } = await (kinds.dpo as Open)(engine, {});
    await stepOf(run);
    await run.save("saved");
    await run.return();
    const model = await engine.newModel(tiny);
    const before = device.counters.liveBytes;
    const other = engine.train("orpo", { ...learning, model, dataset: preferences }, "saved");
    expect(await thrownBy(other)).toBeInstanceOf(CheckpointError);
    expect(await thrownBy(engine.train("orpo", { ...learning, model, dataset: preferences }, "nowhere"))).toBeInstanceOf(CheckpointError);
    const bad = engine.train("orpo", { ...learning, model, dataset: preferences, autosave: { to: "a", everySteps: 0 } });
    expect(await thrownBy(bad)).toBeInstanceOf(ConfigError);
    expect(device.counters.liveBytes).toBe(before);
  });
});

it("an engine hears of the loss of its device while it is idle", async () => {
  let lose: (reason: DeviceError) => void = () => {};
  const lost = new Promise<DeviceError>((resolve) => {
    lose = resolve;
  });
  const { engine } = await start(new Map(), async () => Object.assign(await createWasmDevice({ threads: 1, relaxed: false }), { lost }));
  lose(new DeviceError("the GPU was reset."));
  const reason = await engine.lost;
  expect(reason).toBeInstanceOf(DeviceError);
  expect(reason.message).toMatch(/the GPU was reset/);
  expect(await thrownBy(engine.newModel(tiny))).toBe(reason);
});
