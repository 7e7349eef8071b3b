/** The training views in a real browser, with recorded runs: what they draw, how the keyboard works them, and what axe-core finds. */
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { StudioRun } from "../../studio/store";
import { violations } from "../axe";
import { describeBrowser, screenshot } from "../browser";
import type { Site } from "../site";
import { serveGallery } from "./gallery-site";
import recordedRuns from "./recorded-runs.json" with { type: "json" };

/** Where screenshots go for review; none are written without it. */
const SCREENSHOTS = process.env.SCREENSHOTS;
const WIDE = { width: 1180, height: 900 };

interface Gallery {
  readonly events: readonly { readonly type: string; readonly detail: unknown }[];
  readonly exhibits: readonly string[];
  show(name: string): Promise<void>;
}

describeBrowser("training views", (browser) => {
  let site: Site;
  let page: Page;
  let problems: readonly string[];
  beforeAll(async () => {
    site = await serveGallery();
    ({ page, problems } = await browser.open(site.origin, { viewport: WIDE, reducedMotion: "reduce" }));
  });
  afterEach(() => expect(problems).toEqual([]));
  afterAll(() => site?.close());

  /** Shows an exhibit from the beginning. */
  async function show(exhibit: string): Promise<void> {
    await page.evaluate((name) => (globalThis as unknown as Gallery).show(name), exhibit);
    expect(await page.evaluate(() => [...document.querySelectorAll("main :not(:defined)")].map(({ localName }) => localName))).toEqual([]);
  }

  const exhibits = () => page.evaluate(() => (globalThis as unknown as Gallery).exhibits);
  const events = () => page.evaluate(() => (globalThis as unknown as Gallery).events);

  it("have no accessibility problems", async () => {
    for (const name of await exhibits()) {
      await show(name);
      expect(await violations(page, "main"), name).toEqual([]);
      if (!SCREENSHOTS) continue;
      for (const colorScheme of ["dark", "light"] as const) {
        await page.emulateMedia({ colorScheme });
        await screenshot(page, SCREENSHOTS, `${name}-${colorScheme}`);
      }
    }
  });

  it("fit a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const name of await exhibits()) {
      await show(name);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(360);
      if (SCREENSHOTS) await screenshot(page, SCREENSHOTS, `${name}-phone`);
    }
    await page.setViewportSize(WIDE);
  });

  it("draw curves, say their values at each step, and show them as numbers", async () => {
    await show("grpo");
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
    const last = recorded("GRPO 1").history[41] as { metrics: Record<string, number> };
    await expect.poll(() => slider.getAttribute("aria-valuetext")).toBe(`step 42: reward ${said(last.metrics.reward as number)}`);
    await slider.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => slider.getAttribute("aria-valuetext")).toBe(`step 2: reward ${said(metrics.reward as number)}`);
    await page.getByRole("switch", { name: "Show numbers" }).click();
    await expect.poll(() => reward.locator("tbody tr").count()).toBe(42);
    expect(await reward.locator("tbody tr").nth(1).locator("td").allTextContents()).toEqual(["2", said(metrics.reward as number)]);
  });

  it("draw what is out of sight when it is printed", async () => {
    await page.setViewportSize({ width: WIDE.width, height: 200 });
    await show("grpo");
    const charts = page.locator("studio-chart .plot");
    await expect.poll(() => charts.locator("canvas").count()).toBeGreaterThan(0);
    expect(await charts.locator("canvas").count()).toBeLessThan(await charts.count());
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    expect(await charts.locator("canvas").count()).toBe(await charts.count());
    await page.setViewportSize(WIDE);
  });

  it("go through a completion token by token, by keys and by pointer", async () => {
    await show("samples");
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
  });

  it("keep text readable on every shade", async () => {
    await show("samples");
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
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

  it("take a trainer's options by keyboard, and show what was refused beside them", async () => {
    await show("form");
    await page.getByRole("radio", { name: /^GRPO/ }).focus();
    await page.keyboard.press("Space");
    expect(await page.getByRole("button", { name: "Start training" }).isDisabled()).toBe(true);
    await page.getByRole("checkbox", { name: "Matches a pattern" }).check();
    await page.getByRole("checkbox", { name: "My taste" }).check();
    await page.getByLabel("Pattern (a regular expression)").fill("lovely");
    await page.getByRole("checkbox", { name: "A model at an endpoint" }).check();
    await page.getByLabel("Model at the endpoint").fill("a-critic");
    await page.getByLabel("API key").fill("a secret");
    await page.getByRole("radio", { name: /^An adapter/ }).check();
    await page.getByLabel("Rank", { exact: true }).fill("4");
    await page.getByLabel("Steps", { exact: true }).fill("7");
    await page.getByLabel("Temperature").fill("0,8");
    await page.keyboard.press("Enter");
    expect(await events()).toMatchObject([
      {
        type: "run-start",
        detail: {
          setup: {
            algorithm: "grpo",
            modelId: "base",
            adapter: { r: 4, loraAlpha: 32, targetModules: "all-linear" },
            rewards: [
              { rule: "format", options: { pattern: "lovely" } },
              { modelId: "judge", name: "My taste" },
              { endpoint: { baseUrl: "http://localhost:11434/v1", model: "a-critic", hasKey: true } },
            ],
            options: { maxSteps: 7, temperature: 0.8, learningRate: 2.5e-3, logKl: true, numGenerations: 8 },
            rows: [{ prompt: "Today I feel" }, { prompt: "The weather is" }, { prompt: "This soup is" }],
          },
          apiKey: "a secret",
        },
      },
    ]);
    await show("form-grpo");
    const field = page.locator("studio-trainer-form").getByLabel("Learning rate");
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    const describedBy = (await field.getAttribute("aria-describedby")) as string;
    expect(await page.locator(`#${describedBy.split(" ")[1]}`).textContent()).toBe("It must be a number at least 0, got -1.");
  });

  it("rename and, once sure, forget a run", async () => {
    await show("comparison");
    await page.getByRole("button", { name: "Rename GRPO 2" }).click();
    await page.keyboard.type("Cheerful");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Delete DPO 1" }).click();
    await page.keyboard.press("Enter");
    expect(await events()).toEqual([
      { type: "run-rename", detail: { id: "run-2", name: "Cheerful" } },
      { type: "run-remove", detail: "run-3" },
    ]);
    const charts = await page.locator("studio-chart").count();
    await page.getByRole("checkbox", { name: "Show DPO 1 in the charts" }).uncheck();
    await expect.poll(() => page.locator("studio-chart").count()).toBeLessThan(charts);
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
