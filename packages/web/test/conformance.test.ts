/**
 * The conformance suite in Chromium: wasm with threads in full; relaxed wasm, wasm without shared memory and WebGPU on SwiftShader at one size of every
 * case, since Node runs the same code at all of them. The f64 reference that judges them runs in the page as well.
 */
import { type Case, cases, trialsOf } from "@trimtab/kernels/conformance";
import type { DeviceChoice, DeviceInfo, DeviceOptions } from "@trimtab/web";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeBrowser, type WatchedPage } from "./browser";
import { buildPage } from "./built-page";
import type { ConformanceSuite } from "./pages/conformance-worker";
import { type Site, serveSite } from "./site";

interface Setting {
  readonly title: string;
  readonly choice: DeviceChoice;
  readonly options: DeviceOptions;
  readonly isCrossOriginIsolated: boolean;
  readonly info: Partial<DeviceInfo>;
  /** The sizes that are run, as indices of the case's own. */
  readonly sizes: (item: Case) => readonly number[];
}

const everySize = ({ sizes }: Case) => [...sizes.keys()];

/** SwiftShader compiles some pipelines for seconds on an idle machine, and for minutes on a busy one. */
const COMPILING_MS = 400_000;

/**
 * The last size, which leaves nothing out: enough where the same code runs at every size elsewhere. SwiftShader, the one adapter that this Chromium
 * takes, needs 7 s for each of attention's pipelines: those for heads that are no multiple of 4 wide, or wider than 128, are left to lavapipe.
 */
function oneSize({ entry, sizes }: Case): readonly number[] {
  const isQuick = (D: number) => D % 4 === 0 && D <= 128;
  return [sizes.findLastIndex(({ D }) => !entry.name.startsWith("attention_") || isQuick(D as number))];
}

const settings: readonly Setting[] = [
  {
    title: "wasm, strict, 2 threads",
    choice: "wasm",
    options: { relaxed: false, threads: 2 },
    isCrossOriginIsolated: true,
    info: { kind: "wasm", threads: 2, relaxed: false },
    sizes: everySize,
  },
  {
    title: "wasm, strict, on a page that is not cross-origin isolated",
    choice: "wasm",
    options: { relaxed: false },
    isCrossOriginIsolated: false,
    info: { kind: "wasm", threads: 1, relaxed: false },
    sizes: oneSize,
  },
  {
    title: "wasm, relaxed",
    choice: "wasm",
    options: { relaxed: true, threads: 2 },
    isCrossOriginIsolated: true,
    info: { kind: "wasm", threads: 2, relaxed: true },
    sizes: oneSize,
  },
  { title: "webgpu", choice: "webgpu", options: {}, isCrossOriginIsolated: true, info: { kind: "webgpu" }, sizes: oneSize },
];

describeBrowser("conformance in Chromium", (browser) => {
  let files: Awaited<ReturnType<typeof buildPage>>;
  beforeAll(async () => {
    files = await buildPage(new URL("./pages/conformance.ts", import.meta.url));
  });

  for (const { title, choice, options, isCrossOriginIsolated, info, sizes } of settings) {
    describe(`on ${title}`, () => {
      let site: Site;
      let opened: WatchedPage;
      beforeAll(async () => {
        site = await serveSite({ files, isCrossOriginIsolated });
        opened = await browser.open(site.origin);
        await opened.page.waitForFunction(() => "suite" in globalThis);
      });
      afterAll(async () => {
        await opened.page.evaluate(() => suite.close());
        await opened.page.context().close();
        await site.close();
      });

      it("is the device that was asked for", async () => {
        const got = await opened.page.evaluate(([choice, options]) => suite.open(choice, options), [choice, options] as const);
        expect(got).toMatchObject(info);
      });

      for (const [index, item] of cases.entries()) {
        const { entry, name } = item;
        it(name ? `${entry.name} (${name})` : entry.name, { timeout: COMPILING_MS }, async () => {
          const chosen = sizes(item);
          const result = await opened.page.evaluate(([index, chosen]) => suite.run(index, chosen), [index, chosen] as const);
          expect(result).toMatchObject({ entry: entry.name, name, failures: [] });
          expect(result.passed).toBe(trialsOf([{ ...item, sizes: chosen.map((i) => item.sizes[i] as Case["sizes"][number]) }]).length);
          expect(result.passed).toBeGreaterThan(0);
        });
      }

      it("leaves no error behind", () => expect(opened.problems).toEqual([]));
    });
  }
});

/** What the page has. */
declare const suite: ConformanceSuite;
