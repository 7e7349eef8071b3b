/**
 * Training in Chromium against training in Node: the same bits on strict wasm, with threads and without; the same to within rounding elsewhere. The
 * page trains through an engine, Node by the library's calls.
 */
import { createWasmDevice } from "@trimtab/kernels/wasm";
import type { EngineOptions } from "@trimtab/web";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeBrowser, type WatchedPage } from "./browser";
import { buildPage } from "./built-page";
import type { EnginePage } from "./pages/engine";
import { type Site, STRICT_POLICY, serveSite } from "./site";
import { RUNS, type RunName, type RunRecord, runOnDevice } from "./training-runs";

interface Setting {
  readonly title: string;
  readonly options: EngineOptions;
  readonly isCrossOriginIsolated: boolean;
  readonly threads: number;
  readonly isExact: boolean;
}

const settings: readonly Setting[] = [
  {
    title: "strict wasm, 2 threads",
    options: { device: "wasm", relaxed: false, threads: 2 },
    isCrossOriginIsolated: true,
    threads: 2,
    isExact: true,
  },
  {
    title: "strict wasm, on a page that is not cross-origin isolated",
    options: { device: "wasm", relaxed: false },
    isCrossOriginIsolated: false,
    threads: 1,
    isExact: true,
  },
  { title: "webgpu", options: { device: "webgpu" }, isCrossOriginIsolated: true, threads: 1, isExact: false },
];

/** Losses of f32 runs that round in another order: the first step differs by rounding, later ones by what that has grown to. */
const TOLERANCE = 2e-4;

/** SwiftShader compiles for 20 s on an idle machine, and for minutes on a busy one. */
const COMPILING_MS = 400_000;

describeBrowser("training in Chromium", (browser) => {
  let files: Awaited<ReturnType<typeof buildPage>>;
  const inNode = new Map<RunName, RunRecord>();
  beforeAll(async () => {
    files = await buildPage(new URL("./pages/engine.ts", import.meta.url));
    const device = await createWasmDevice({ relaxed: false });
    for (const name of RUNS) inNode.set(name, await runOnDevice(device, name));
    await device.destroy();
  });

  for (const { title, options, isCrossOriginIsolated, threads, isExact } of settings) {
    describe(`on ${title}`, () => {
      let site: Site;
      let opened: WatchedPage;
      beforeAll(async () => {
        site = await serveSite({ files, isCrossOriginIsolated, policy: STRICT_POLICY });
        opened = await browser.open(site.origin);
        await opened.page.waitForFunction(() => "training" in globalThis);
      });
      afterAll(async () => {
        await opened.page.context().close();
        await site.close();
      });

      it("opens its device", async () => {
        const { device } = await opened.page.evaluate((options) => training.open(options), options);
        // What loading the page took is not what training takes.
        await opened.page.evaluate(() => longTasks.splice(0));
        expect(device).toMatchObject({ kind: options.device, threads, relaxed: false });
      });

      for (const name of RUNS) {
        it(`${name} equals Node's`, { timeout: COMPILING_MS }, async () => {
          const got = await opened.page.evaluate((name) => training.run(name), name);
          const expected = inNode.get(name) as RunRecord;
          expect(got.metrics.length).toBeGreaterThan(2);
          expect(new Set(got.metrics.map(({ loss }) => loss)).size).toBe(got.metrics.length);
          if (isExact) {
            expect(got).toEqual(expected);
          } else {
            for (const [i, metrics] of expected.metrics.entries()) {
              expect(Math.abs((got.metrics[i]?.loss as number) - (metrics.loss as number))).toBeLessThan(TOLERANCE);
            }
            expect(got.completions).toEqual(expected.completions);
            expect(got.files["tokenizer.json"]).toBe(expected.files["tokenizer.json"]);
          }
        });
      }

      it("leaves the page free, and no error behind", async () => {
        await opened.page.evaluate(() => training.close());
        const longest = await opened.longestTaskMs();
        console.log(
          `the longest task of the main thread while training on ${title}: ${longest === 0 ? "below 50" : Math.round(longest)} ms`,
        );
        expect(longest).toBeLessThan(200);
        expect(opened.problems).toEqual([]);
      });
    });
  }
});

/** What the page has. */
declare const training: EnginePage;
declare const longTasks: number[];
