/** The training views in a real browser, with recorded runs: what they draw, how the keyboard works them, and what axe-core finds. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, screenshot, type WatchedPage } from "../browser";
import type { Site } from "../site";
import { serveGallery } from "./gallery-site";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Where screenshots go for review; none are written without it. */
const SCREENSHOTS = process.env.SCREENSHOTS;
const WIDE = { width: 1180, height: 900 };

interface Gallery {
  readonly events: readonly { readonly type: string; readonly detail: unknown }[];
  readonly exhibits: readonly string[];
  show(name: string): void;
}

describeBrowser("training views", (browser) => {
  let site: Site;
  beforeAll(async () => {
    site = await serveGallery();
  });
  afterAll(() => site?.close());

  async function open(exhibit: string, options: Parameters<typeof browser.open>[1] = {}): Promise<WatchedPage> {
    const watched = await browser.open(site.origin, { viewport: WIDE, reducedMotion: "reduce", bypassCSP: false, ...options });
    await show(watched, exhibit);
    return watched;
  }

  async function show({ page }: WatchedPage, exhibit: string): Promise<void> {
    await page.evaluate((name) => (globalThis as unknown as Gallery).show(name), exhibit);
    await page.waitForTimeout(150);
    expect(await page.evaluate(() => [...document.querySelectorAll("main :not(:defined)")].map(({ localName }) => localName))).toEqual([]);
  }

  for (const colorScheme of ["light", "dark"] as const) {
    it(`has no accessibility problems in ${colorScheme}`, async () => {
      // axe's own script is added past the policy; everything else of the page stays under it
      const watched = await open("grpo", { colorScheme, bypassCSP: true });
      await watched.page.addScriptTag({ content: AXE });
      for (const name of await watched.page.evaluate(() => (globalThis as unknown as Gallery).exhibits)) {
        await show(watched, name);
        // what does not depend on colours is looked at once
        const found = await watched.page.evaluate(
          async (rules) => {
            const { violations } = await (globalThis as unknown as { axe: typeof import("axe-core") }).axe.run("main", rules);
            return violations.map(
              ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`,
            );
          },
          colorScheme === "dark" ? { runOnly: ["color-contrast"] } : {},
        );
        expect(found, name).toEqual([]);
        if (SCREENSHOTS) await screenshot(watched.page, SCREENSHOTS, `${name}-${colorScheme}`);
      }
      expect(watched.problems).toEqual([]);
    });
  }

  it("fits a phone", async () => {
    const watched = await open("grpo", { viewport: { width: 360, height: 740 } });
    for (const name of await watched.page.evaluate(() => (globalThis as unknown as Gallery).exhibits)) {
      await show(watched, name);
      expect(await watched.page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(360);
      if (SCREENSHOTS) await screenshot(watched.page, SCREENSHOTS, `${name}-phone`);
    }
    expect(watched.problems).toEqual([]);
  });
});
