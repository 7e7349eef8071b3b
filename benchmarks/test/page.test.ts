/** The benchmarks' page as a visitor has it: it measures, shows a table, and gives the numbers away as JSON. Speeds are no affair of tests. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, screenshot, type WatchedPage } from "../../packages/web/test/browser";
import { type Site, STRICT_POLICY, serveSite } from "../../packages/web/test/site";
import type { PlatformReport } from "../src/measure/platform";
import { readingCount } from "../src/measure/readings";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

describeBrowser("the benchmarks' page", (browser) => {
  let site: Site;
  let opened: WatchedPage;
  beforeAll(async () => {
    site = await serveSite({ directories: { "/": at("../dist/page") }, policy: STRICT_POLICY });
    opened = await browser.open(`${site.origin}/?run=wasm-single&quick`);
  });
  afterAll(() => site?.close());

  it("measures what its address asks for", async () => {
    await opened.page.waitForFunction(() => "trimtabReport" in globalThis, undefined, { timeout: 110_000 });
    const report = await opened.page.evaluate(() => trimtabReport);
    expect(report).toMatchObject({ schema: "trimtab-platforms/1", quick: true, missing: [] });
    expect(Date.parse(report.measuredAt)).toBeGreaterThan(0);
    expect(report.machine.cores).toBeGreaterThan(0);
    const [platform] = report.platforms;
    expect(platform).toMatchObject({ device: { kind: "wasm", threads: 1, relaxed: true }, notes: [] });
    expect(platform?.ceilingGflops).toBeGreaterThan(0);
    expect(platform?.readings).toHaveLength(readingCount(true));
    for (const { name, value, note } of platform?.readings ?? []) expect(value, `${name}: ${note}`).toBeGreaterThan(0);
  });

  it("shows them in a table that anybody can read", async () => {
    const { page } = opened;
    expect(await page.locator("#table tbody tr").count()).toBe(readingCount(true) + 1);
    await page.evaluate(await readFile(at("../../node_modules/axe-core/axe.min.js"), "utf8"));
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      const { violations } = await page.evaluate(() => axe.run(document));
      expect(violations.map(({ id, help }) => `${colorScheme}: ${id}: ${help}`)).toEqual([]);
    }
    await screenshot(page, at("../build"), "page");
  });

  it("gives them away as JSON", async () => {
    const [download] = await Promise.all([opened.page.waitForEvent("download"), opened.page.click("#download")]);
    expect(download.suggestedFilename()).toMatch(/^trimtab-benchmarks-\d{4}-\d\d-\d\d\.json$/);
    const written = JSON.parse(await readFile(await download.path(), "utf8")) as PlatformReport;
    expect(written.platforms).toEqual((await opened.page.evaluate(() => trimtabReport)).platforms);
    expect(opened.problems).toEqual([]);
  });
});

/** What the page has, and what the test puts there. */
declare const trimtabReport: PlatformReport;
declare const axe: typeof import("axe-core");
