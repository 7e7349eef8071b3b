/** The engine on a worker thread: the caller's event loop stays free, files are real, a killed thread rejects what is waited for. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import { afterAll, expect, it } from "vitest";
import { ConfigError, createDevice, createEngine, DeviceError, type Engine, grpo, loadModel, type RewardFunction } from "../src/index";

/** Every worker thread that was started, the engine's first. */
const workers: Worker[] = [];
const keep = (worker: Worker) => void workers.push(worker);
process.on("worker", keep);
afterAll(() => void process.off("worker", keep));

const folder = mkdtempSync(join(tmpdir(), "trimtab-engine-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

const strict = { device: "wasm", threads: 1, relaxed: false } as const;
const tiny = { shape: { hiddenSize: 32, layers: 1, heads: 2, maxPositions: 64 }, texts: ["a few words"], vocabSize: 257, seed: 3 } as const;

/** Any spread of rewards. */
const spread: RewardFunction = ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7);
const options = {
  prompts: [{ prompt: "ab" }, { prompt: "hello" }],
  rewards: spread,
  learningRate: 0.01,
  perDeviceTrainBatchSize: 8,
  numGenerations: 4,
  maxCompletionLength: 16,
  maxSteps: 4,
} as const;

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

async function withEngine<T>(use: (engine: Engine<string>) => Promise<T>): Promise<T> {
  const engine = await createEngine(strict);
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** The metrics that do not depend on a clock. */
const timeless = ({ step_time: _, ...metrics }: Record<string, number>) => metrics;

it("trains as the library does, to the bit, while timers keep ticking", async () => {
  const [taken, ticks, again] = await withEngine(async (engine) => {
    expect(engine.info.device).toMatchObject({ kind: "wasm", threads: 1, relaxed: false });
    const model = await engine.newModel(tiny);
    await model.save(at("model"));
    const run = await engine.train("grpo", { ...options, model });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const taken = [];
    for await (const { metrics } of run) taken.push(metrics);
    clearInterval(timer);
    await model.save(at("trained"));
    return [taken, ticks, await model.files()] as const;
  });
  // On this thread a step would let none of them through.
  expect(ticks).toBeGreaterThan(4 * taken.length);

  const device = await createDevice("wasm", strict);
  const model = await loadModel(at("model"), { device });
  const expected = [];
  for await (const { metrics } of grpo({ ...options, model })) expected.push(metrics);
  expect(taken.map(timeless)).toEqual(expected);
  const trained = await loadModel(at("trained"), { device });
  const embedding = ({ decoder }: typeof model) => device.read(decoder.parameters.get("embedding").value);
  expect(await embedding(trained)).toEqual(await embedding(model));
  expect([...again.keys()].sort()).toEqual(readdirSync(at("trained")).sort());
  await device.destroy();
});

it("loses at most one step when its thread is killed", async () => {
  const begin = async (engine: Engine<string>, more: object, resumeFrom?: string) => {
    const model = await engine.newModel(tiny);
    return engine.train("grpo", { ...options, model, ...more }, resumeFrom);
  };
  const whole = await withEngine(async (engine) => {
    const metrics = [];
    for await (const step of await begin(engine, {})) metrics.push(timeless(step.metrics));
    return metrics;
  });

  const engine = await createEngine(strict);
  const worker = workers.at(-1) as Worker;
  const run = await begin(engine, { autosave: { to: at("autosave") } });
  await run.next();
  await run.next();
  const waiting = thrownBy(run.next());
  await worker.terminate();
  expect(await waiting).toBeInstanceOf(DeviceError);
  expect((await engine.lost).message).toMatch(/exited with code 1/);
  await engine.close();

  const rest = await withEngine(async (engine) => {
    const metrics = [];
    for await (const step of await begin(engine, {}, at("autosave"))) metrics.push(timeless(step.metrics));
    return metrics;
  });
  expect(rest.length === 2 || rest.length === 1).toBe(true);
  expect(rest).toEqual(whole.slice(-rest.length));
});

it("rejects what cannot be opened", async () => {
  expect(await thrownBy(createEngine({ device: "abacus" as "wasm" }))).toBeInstanceOf(ConfigError);
  expect(await thrownBy(createEngine({ device: "wasm", threads: 0 }))).toBeInstanceOf(ConfigError);
});

it("lets its process end once it is closed", async () => {
  const program = at("program.mjs");
  const entry = new URL("../dist/index.js", import.meta.url);
  writeFileSync(
    program,
    `
import { createEngine } from ${JSON.stringify(entry.href)};
const engine = await createEngine({ device: "wasm", threads: 2 });
const model = await engine.newModel(${JSON.stringify(tiny)});
const run = await engine.train("sft", { model, dataset: [{ text: "a few words" }], maxSteps: 2 });
const { value } = await run.next();
const waiting = run.next().catch((error) => error.name);
await engine.close();
console.log(value.step, await waiting);
`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL(`file://${program}`))]);
  expect(stdout).toMatch(/^1 (DeviceError|\{)/);
});
