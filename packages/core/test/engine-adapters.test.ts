/** Adapters on the engine: they share a base, are trained alone, are written as PEFT's files and merged. */
import { describe, expect, it } from "vitest";
import { ConfigError, type EngineModel, loadLanguageModel, OutOfMemoryError, withAdapterFrom } from "../src";
import { inspectCompletion } from "../src/evaluation/inspect-completion";
import { type Disk, engineOpener, type TestEngine, thrownBy, tiny } from "./engine-host";

const start = engineOpener();

const adapter = { r: 4, loraAlpha: 16, targetModules: "all-linear", seed: 5 } as const;
const text = { prompt: "a few", completion: " words are enough" } as const;
const logps = async (model: EngineModel<string>) => (await model.inspect(text)).map(({ logp }) => logp);

async function train({ engine }: TestEngine, model: EngineModel<string>, steps = 3): Promise<void> {
  const run = await engine.train("sft", { model, dataset: [text], maxSteps: steps, learningRate: 0.05 });
  for await (const _ of run);
}

async function refused(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await thrownBy(promise);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toMatch(message);
}

describe("an engine's adapter", () => {
  it("learns and leaves its base alone; a clone learns apart from it", async () => {
    const test = await start();
    const base = await test.engine.newModel(tiny);
    const model = await base.withAdapter(adapter);
    expect([base.hasAdapter, model.hasAdapter]).toEqual([false, true]);
    const before = await logps(base);
    expect(await logps(model)).toEqual(before);
    const apart = await model.clone();
    await train(test, model);
    expect(await logps(base)).toEqual(before);
    expect(await logps(apart)).toEqual(before);
    const after = await logps(model);
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    expect(sum(after)).toBeGreaterThan(sum(before) + 0.5);
  });

  it("is planned for before it is trained, and a budget that is too small is refused", async () => {
    const { engine, device } = await start();
    const model = await (await engine.newModel(tiny)).withAdapter(adapter);
    const options = { model, dataset: [text], maxSteps: 2 };
    const { plan } = await engine.planMemory("sft", options);
    expect(plan.parts.map(({ what }) => what)).toEqual(expect.arrayContaining(["weights of model", "adapter of model", "gradients"]));
    for await (const _ of await engine.train("sft", options));
    expect(device.memory().peakBytes / plan.peakBytes).toBeGreaterThan(0.9);
    expect(device.memory().peakBytes / plan.peakBytes).toBeLessThan(1.1);
    const never = () => {
      throw new Error("a reward was asked for");
    };
    const sampled = { model, prompts: [{ prompt: "a" }], rewards: never, maxCompletionLength: 4 };
    expect((await engine.planMemory("grpo", sampled, { fit: true })).options).toEqual({});
    expect(await thrownBy(engine.planMemory("sft", options, { memoryBudget: 1_100_000, fit: true }))).toBeInstanceOf(OutOfMemoryError);
  });

  it("is written as PEFT writes it, and is the same when it is read", async () => {
    const disk: Disk = new Map();
    const test = await start(disk);
    const base = await test.engine.newModel(tiny);
    const model = await base.withAdapter(adapter);
    await train(test, model);
    await base.save("base");
    await model.save("adapter");
    const files = await model.files();
    expect([...files.keys()].sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(JSON.parse(new TextDecoder().decode(files.get("adapter_config.json")))).toMatchObject({
      peft_type: "LORA",
      r: 4,
      lora_alpha: 16,
    });
    expect(files).toEqual(new Map([...(disk.get("adapter")?.files ?? [])].map(([name, bytes]) => [name, new Uint8Array(bytes)])));
    const loaded = await withAdapterFrom(await loadLanguageModel(test.device, disk.get("base") as never), disk.get("adapter") as never);
    expect(await logps(model)).toEqual([...(await inspectCompletion({ model: loaded, ...text })).logps]);
  });

  it("is loaded with the base that it names, which goes with the last model on it", async () => {
    const disk: Disk = new Map();
    const test = await start(disk);
    const base = await test.engine.newModel(tiny);
    const model = await base.withAdapter({ ...adapter, baseModelNameOrPath: "base" });
    await train(test, model);
    await base.save("base");
    await model.save("adapter");
    const held = test.device.counters.liveBytes;
    const loaded = await test.engine.loadModel("adapter");
    expect(loaded.hasAdapter).toBe(true);
    expect(await logps(loaded)).toEqual(await logps(model));
    const copy = await loaded.clone();
    await loaded.dispose();
    expect(await logps(copy)).toEqual(await logps(model));
    await copy.dispose();
    expect(test.device.counters.liveBytes).toBe(held);
  });

  it("learns on a base in 4 bits, which alone is refused, and merges into float32", async () => {
    const test = await start(new Map());
    await (await test.engine.newModel(tiny)).save("base");
    await refused(test.engine.loadModel("base", { dtype: "fp4" as "nf4" }), /`dtype` must be one of float32/);
    const base = await test.engine.loadModel("base", { dtype: "nf4" });
    const whole = await test.engine.loadModel("base");
    expect(await logps(base)).not.toEqual(await logps(whole));
    const options = { dataset: [text], maxSteps: 1, learningRate: 0.05 };
    await refused(test.engine.train("sft", { model: base, ...options }), /must be in float32 to be trained whole, got nf4/);
    const model = await base.withAdapter(adapter);
    const before = await logps(model);
    expect(before).toEqual(await logps(base));
    await train(test, model);
    const after = await logps(model);
    expect(after).not.toEqual(before);
    (await logps(await model.merge())).forEach((logp, i) => {
      expect(logp).toBeCloseTo(after[i] as number, 4);
    });
  });

  it("merges into a model of its own", async () => {
    const test = await start();
    const base = await test.engine.newModel(tiny);
    const before = await logps(base);
    const model = await base.withAdapter(adapter);
    await train(test, model);
    const merged = await model.merge();
    expect([merged.hasAdapter, merged.parameterCount]).toEqual([false, base.parameterCount]);
    const adapted = await logps(model);
    (await logps(merged)).forEach((logp, i) => {
      expect(logp).toBeCloseTo(adapted[i] as number, 4);
    });
    expect(await logps(base)).toEqual(before);
    const greedy = { prompts: ["a few", "are"], temperatures: [0], maxNewTokens: 12 } as const;
    const expected = await model.generate(greedy);
    expect(expected).not.toEqual(await base.generate(greedy));
    await model.dispose();
    await base.dispose();
    expect(await merged.generate(greedy)).toEqual(expected);
    expect((await merged.files()).has("model.safetensors")).toBe(true);
  });

  it("keeps its base from being freed or trained, and frees what is its own", async () => {
    const test = await start();
    const empty = test.device.counters.liveBytes;
    const base = await test.engine.newModel(tiny);
    const alone = test.device.counters.liveBytes;
    const model = await base.withAdapter(adapter);
    const copy = await model.clone();
    await refused(base.dispose(), /base of an adapter/);
    await refused(train(test, base), /base of an adapter/);
    await refused(model.withAdapter(), /must not have an adapter/);
    await refused(model.toRewardModel(1), /must be whole/);
    await refused(base.merge(), /must have an adapter/);
    await refused(base.withAdapter({ r: 0 }), /`r` must be/);
    await model.dispose();
    await refused(base.dispose(), /base of an adapter/);
    await logps(copy);
    await copy.dispose();
    expect(test.device.counters.liveBytes).toBe(alone);
    const run = await test.engine.train("sft", { model: base, dataset: [text], maxSteps: 2 });
    await refused(base.withAdapter(), /must not be in training/);
    await run.return();
    await base.dispose();
    expect(test.device.counters.liveBytes).toBe(empty);
  });

  it("goes on from a saved run as if it had never stopped", async () => {
    const test = await start();
    const base = await test.engine.newModel(tiny);
    const [whole, cut, later] = [await base.withAdapter(adapter), await base.withAdapter(adapter), await base.withAdapter(adapter)];
    await train(test, whole, 4);
    const options = { dataset: [text], maxSteps: 4, learningRate: 0.05 };
    const run = await test.engine.train("sft", { ...options, model: cut });
    await run.next();
    await run.next();
    await run.save("half");
    await run.return();
    for await (const _ of await test.engine.train("sft", { ...options, model: later }, "half"));
    expect(await logps(later)).toEqual(await logps(whole));
  });
});
