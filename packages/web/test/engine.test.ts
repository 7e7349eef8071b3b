/** The engine of a page: what it does when its worker, its device or its page ends, and what it says when it cannot start. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, openPage, type WatchedPage } from "./browser";
import { type PlainGlobal, plainSite } from "./plain-page";
import { type Site, STRICT_POLICY, serveSite } from "./site";

declare const trimtab: PlainGlobal;

const model = fileURLToPath(new URL("../studio/public/model", import.meta.url));

/** Counts the page's workers, so that a test can stop one as a browser would. */
const keepWorkers = () => {
  const workers: Worker[] = [];
  Object.assign(globalThis, {
    workers,
    Worker: class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        workers.push(this);
      }
    },
  });
};

interface Asked {
  /** Where the run keeps itself; none where it does not. */
  readonly autosave?: string;
  readonly resumeFrom?: string;
  /** Steps after which the worker is stopped, in the middle of the next. */
  readonly stopAfter?: number;
}

/** Trains for six steps of GRPO; the metrics of each, without times. */
const train = async ({ autosave, resumeFrom, stopAfter }: Asked) => {
  const engine = await trimtab.createEngine({ device: "wasm", threads: 1, relaxed: false });
  const { workers } = globalThis as unknown as { readonly workers: Worker[] };
  const model = await engine.newModel({ shape: { hiddenSize: 32, layers: 1, heads: 2 }, texts: ["a few words"], vocabSize: 257, seed: 3 });
  const run = await engine.train(
    "grpo",
    {
      model,
      prompts: [{ prompt: "ab" }, { prompt: "hello" }],
      rewards: ({ completionIds }) => completionIds.map((ids) => (ids[0] as number) % 7),
      learningRate: 0.01,
      perDeviceTrainBatchSize: 8,
      numGenerations: 4,
      maxCompletionLength: 16,
      maxSteps: 6,
      autosave: autosave ? { to: { storage: autosave } } : undefined,
    },
    resumeFrom === undefined ? undefined : { storage: resumeFrom },
  );
  const steps: Record<string, number>[] = [];
  const seen = { steps, error: "", lost: "" };
  try {
    for (;;) {
      const next = run.next();
      if (steps.length === stopAfter) workers.at(-1)?.terminate();
      const { done, value } = await next;
      if (done) break;
      const { step_time: _, ...metrics } = value.metrics;
      steps.push(metrics);
    }
  } catch (error) {
    seen.error = (error as Error).name;
    seen.lost = (await engine.lost).message;
  }
  await engine.close();
  return seen;
};

describeBrowser("the engine of a page", (browser) => {
  let site: Site;
  let watched: WatchedPage;
  beforeAll(async () => {
    site = await serveSite(plainSite({ directories: { "/model/": model } }));
    const context = await browser.newContext();
    await context.addInitScript(keepWorkers);
    watched = await openPage(context, site.origin);
  });
  afterAll(() => site.close());

  it("loses at most one step when its worker is stopped and its page is loaded again", async () => {
    const { page } = watched;
    const whole = await page.evaluate(train, {});
    expect(whole.steps).toHaveLength(6);
    const stopped = await page.evaluate(train, { autosave: "runs/stopped", stopAfter: 3 });
    expect(stopped).toMatchObject({ error: "DeviceError", lost: expect.stringMatching(/the browser stopped it.*resume/) });
    expect(stopped.steps).toEqual(whole.steps.slice(0, 3));
    await page.reload();
    const rest = await page.evaluate(train, { resumeFrom: "runs/stopped" });
    expect([2, 3]).toContain(rest.steps.length);
    expect(rest.steps).toEqual(whole.steps.slice(-rest.steps.length));
    expect(watched.problems).toEqual([]);
  });

  it("loads from an address and from storage, and gives files to download", async () => {
    const seen = await watched.page.evaluate(async (names) => {
      const engine = await trimtab.createEngine({ device: "wasm", threads: 1, relaxed: false });
      const loaded: string[] = [];
      const first = await engine.loadModel({ url: "model", names }, { onProgress: ({ file }) => loaded.push(file) });
      const ask = { prompts: ["a"], temperatures: [0], maxNewTokens: 8 } as const;
      const said = (await first.generate(ask))[0]?.text;
      await first.save({ storage: "models/kept" });
      const second = await engine.loadModel({ storage: "models/kept" });
      const again = (await second.generate(ask))[0]?.text;
      const files = [...(await second.files()).keys()].sort();
      const missing = await engine.loadModel({ storage: "models/none" }).catch((error) => [error.name, error.code, error.message]);
      await engine.close();
      return { loaded: [...new Set(loaded)], said, again, files, missing };
    }, readdirSync(model));
    expect(seen.loaded).toContain("model.safetensors");
    expect(seen.again).toBe(seen.said);
    expect(seen.files).toEqual(["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]);
    expect(seen.missing).toEqual(["CheckpointError", "CHECKPOINT", expect.stringContaining("nothing stored there")]);
    expect(watched.problems).toEqual([]);
  });

  it("says that its device is lost when the GPU's process ends", async () => {
    const { page } = await browser.open(site.origin);
    await page.evaluate(async () => {
      const engine = await trimtab.createEngine({ device: "webgpu" });
      const model = await engine.newModel({ shape: { hiddenSize: 16, layers: 1, heads: 1 }, texts: ["ab"], vocabSize: 257, seed: 1 });
      await model.files();
      Object.assign(globalThis, { engine, model });
    });
    await browser.crashGpu();
    const seen = await page.evaluate(async () => {
      const { engine, model } = globalThis as unknown as {
        engine: Awaited<ReturnType<PlainGlobal["createEngine"]>>;
        model: { files(): Promise<unknown> };
      };
      const error = await model.files().catch((thrown: Error) => thrown.name);
      return [error, (await engine.lost).message];
    });
    expect(seen).toEqual(["DeviceError", expect.stringMatching(/lost/)]);
  });

  it("says what it needs where its worker's file is not served, or may not run", async () => {
    const problems: unknown[] = [];
    const missing = await serveSite(
      plainSite({
        intercept: (request, response) => {
          if (!request.url?.endsWith("engine-worker.js")) return false;
          response.writeHead(404).end();
          return true;
        },
      }),
    );
    const policy = STRICT_POLICY.replace("worker-src 'self'", "worker-src 'none'").replace(
      "script-src 'self'",
      "script-src 'self' 'unsafe-inline'",
    );
    const forbidden = await serveSite(plainSite({ policy }));
    for (const { origin } of [missing, forbidden]) {
      const { page } = await browser.open(origin);
      problems.push(await page.evaluate(() => trimtab.createEngine().catch((error) => [error.name, error.message])));
    }
    const expected = ["DeviceError", expect.stringMatching(/engine-worker\.js must load and run/)];
    expect(problems).toEqual([expected, expected]);
    await missing.close();
    await forbidden.close();
  });
});
