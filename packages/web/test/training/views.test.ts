/** The training views in a real browser, with recorded runs: what they draw, how the keyboard works them, and what axe-core finds. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StudioRun } from "../../studio/store";
import { describeBrowser, screenshot, type WatchedPage } from "../browser";
import type { Site } from "../site";
import { serveGallery } from "./gallery-site";
import recordedRuns from "./recorded-runs.json" with { type: "json" };

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

  it("draws curves, says their values at each step, and shows them as numbers", async () => {
    const { page, problems } = await open("grpo");
    const reward = page.locator("studio-chart").first();
    // drawn: not all of the canvas is empty
    const painted = await reward.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const { data } = (canvas.getContext("2d") as CanvasRenderingContext2D).getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value > 0);
    });
    expect(painted).toBe(true);
    const slider = reward.getByRole("slider", { name: "Reward: reward by step" });
    expect(await slider.getAttribute("aria-valuenow")).toBe("42");
    await slider.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => slider.getAttribute("aria-valuenow")).toBe("2");
    const { step, metrics } = recorded("GRPO 1").history[1] as { step: number; metrics: Record<string, number> };
    expect(step).toBe(2);
    await page.getByRole("switch", { name: "Smooth the curves" }).click();
    await slider.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => slider.getAttribute("aria-valuetext")).toBe(`step 2: reward ${said(metrics.reward as number)}`);
    await page.getByRole("switch", { name: "Show numbers" }).click();
    await expect.poll(() => reward.locator("tbody tr").count()).toBe(42);
    expect(await reward.locator("tbody tr").nth(1).locator("td").allTextContents()).toEqual(["2", said(metrics.reward as number)]);
    expect(problems).toEqual([]);
  });

  it("goes through a completion token by token, by keys and by pointer", async () => {
    const { page, problems } = await open("samples");
    const text = page.getByRole("listbox").nth(1);
    await text.focus();
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => text.getAttribute("aria-activedescendant")).toBe("token-1");
    const name = await text.getByRole("option").nth(1).getAttribute("aria-label");
    expect(name).toMatch(/probability .* %, log-probability .*, in the reference .*, log-ratio .*, advantage .*, entropy .* nats/);
    expect(await page.locator(".tip").textContent()).toContain("log-ratio");
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator(".tip").count()).toBe(0);
    await page.getByRole("radio", { name: "KL to the reference" }).focus();
    await page.keyboard.press("ArrowLeft");
    await expect.poll(() => page.getByRole("radio", { name: "Advantage" }).getAttribute("aria-checked")).toBe("true");
    await expect.poll(() => page.locator("[role=option].shade--5").count()).toBeGreaterThan(0);
    expect(problems).toEqual([]);
  });

  it("keeps text readable on every shade", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const { page } = await open("samples", { colorScheme });
      const ratios = await page.evaluate(() => {
        const host = document.querySelector("studio-samples")?.shadowRoot?.querySelector("studio-token-text")?.shadowRoot as ShadowRoot;
        const [canvas, probe] = [document.createElement("canvas"), document.createElement("span")];
        const context = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
        host.append(probe);
        const luminance = (colours: readonly string[]) => {
          for (const colour of colours) {
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
          }
          const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((v) =>
            v <= 10 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4,
          );
          return 0.2126 * (r as number) + 0.7152 * (g as number) + 0.0722 * (b as number);
        };
        const surface = getComputedStyle(
          document.querySelector("studio-samples")?.shadowRoot?.querySelector(".card") as Element,
        ).backgroundColor;
        return ["shade-", "shade--", "tint-"].flatMap((kind) =>
          [1, 2, 3, 4, 5].map((shade) => {
            probe.className = `${kind}${shade}`;
            const { color, backgroundColor } = getComputedStyle(probe);
            const [ink, ground] = [luminance([color]), luminance([surface, backgroundColor])];
            return [(Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05), `${kind}${shade}`] as const;
          }),
        );
      });
      expect(new Set(ratios.map(([ratio]) => ratio)).size).toBe(15);
      expect(ratios.filter(([ratio]) => ratio < 4.5)).toEqual([]);
    }
  });

  it("takes a trainer's options by keyboard, and shows what was refused beside them", async () => {
    const watched = await open("form");
    const { page, problems } = watched;
    await page.getByRole("radio", { name: /^GRPO/ }).focus();
    await page.keyboard.press("Space");
    expect(await page.getByRole("button", { name: "Start training" }).isDisabled()).toBe(true);
    await page.getByRole("checkbox", { name: "Matches a pattern" }).check();
    await page.getByRole("checkbox", { name: "My taste" }).check();
    await page.getByLabel("Pattern (a regular expression)").fill("lovely");
    await page.getByLabel("Steps", { exact: true }).fill("7");
    await page.getByLabel("Temperature").fill("0,8");
    await page.keyboard.press("Enter");
    const started = await page.evaluate(() => (globalThis as unknown as Gallery).events);
    expect(started).toMatchObject([
      {
        type: "run-start",
        detail: {
          algorithm: "grpo",
          modelId: "base",
          rewards: [
            { rule: "format", options: { pattern: "lovely" } },
            { modelId: "judge", name: "My taste" },
          ],
          options: { maxSteps: 7, temperature: 0.8, learningRate: 5e-4, logKl: true, numGenerations: 8 },
          rows: [{ prompt: "Today I feel" }, { prompt: "The weather is" }, { prompt: "This soup is" }],
        },
      },
    ]);
    await show(watched, "form-grpo");
    const field = page.locator("studio-trainer-form").getByLabel("Learning rate");
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    const describedBy = (await field.getAttribute("aria-describedby")) as string;
    expect(await page.locator(`#${describedBy.split(" ")[1]}`).textContent()).toBe("It must be a number at least 0, got -1.");
    expect(problems).toEqual([]);
  });

  it("renames and, once sure, forgets a run", async () => {
    const { page, problems } = await open("comparison");
    await page.getByRole("button", { name: "Rename GRPO 2" }).click();
    await page.keyboard.type("Cheerful");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Delete DPO 1" }).click();
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => (globalThis as unknown as Gallery).events)).toEqual([
      { type: "run-rename", detail: { id: "run-2", name: "Cheerful" } },
      { type: "run-remove", detail: "run-3" },
    ]);
    const charts = await page.locator("studio-chart").count();
    await page.getByRole("checkbox", { name: "Show DPO 1 in the charts" }).uncheck();
    await expect.poll(() => page.locator("studio-chart").count()).toBeLessThan(charts);
    expect(problems).toEqual([]);
  });
});

/** A recorded run. */
function recorded(name: string): StudioRun {
  return (recordedRuns.runs as unknown as readonly StudioRun[]).find((run) => run.name === name) as StudioRun;
}

/** A value as the views write it, for values between 0.001 and 1 or so. */
function said(value: number): string {
  return String(Number(value.toPrecision(Math.abs(value) < 1 ? 3 : 4))).replace("-", "−");
}
