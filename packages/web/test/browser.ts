/**
 * Debian's Chromium for suites that need a real browser. REQUIRE_DEVICES naming `browser` turns its absence into a failure; else it is a skip
 * with its reason.
 *
 * WebGPU is SwiftShader here: Chromium takes no other adapter that runs on the CPU, lavapipe included, whatever its flags.
 */
import { existsSync } from "node:fs";
import { access, constants, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, it } from "vitest";

/** The headless build opens pages three times as fast, on a machine of two cores, as the one with windows; CHROMIUM names another. */
const EXECUTABLE =
  process.env.CHROMIUM ?? ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find(existsSync) ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu"];

export interface BrowserOptions {
  /** More flags, e.g. `--disable-features=WebGPU`. */
  readonly args?: readonly string[];
}

/** A page and what went wrong on it. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors on the console and uncaught ones, of the page and its workers; a test ends with `expect(problems).toEqual([])`. */
  readonly problems: readonly string[];
  /** Milliseconds of the longest task on the main thread that began after `since` (of `performance.now`, default 0); 0 where none took 50 or more. */
  longestTaskMs(since?: number): Promise<number>;
}

interface LongTask {
  readonly startTime: number;
  readonly duration: number;
}

/** The browser of a suite; ready in hooks and tests, not before. */
export interface TestBrowser {
  /** Opens a page in a profile of its own: empty storage, nothing shared. It closes with the suite. */
  open(url: string, options?: Parameters<Browser["newContext"]>[0]): Promise<WatchedPage>;
  /** A profile, for tests that open several pages or reload with storage kept. */
  newContext(options?: Parameters<Browser["newContext"]>[0]): Promise<BrowserContext>;
  /** Ends the GPU's process, as a driver's failure does: every WebGPU device is lost. */
  crashGpu(): Promise<void>;
}

/** Registers `suite` with a browser that is started before it and closed after it. Call it at the top level of a test file. */
export function describeBrowser(title: string, suite: (browser: TestBrowser) => void, options: BrowserOptions = {}): void {
  describe(title, async () => {
    const missing = await reasonMissing();
    if (missing === undefined) {
      let running: Browser | undefined;
      const browser = () => {
        if (!running) throw new Error("describeBrowser: the browser is ready in hooks and tests only, got a call before them.");
        return running;
      };
      beforeAll(async () => {
        running = await chromium.launch({ executablePath: EXECUTABLE, args: [...FLAGS, ...(options.args ?? [])] });
      });
      afterAll(() => running?.close());
      suite({
        open: async (url, contextOptions) => openPage(await browser().newContext(contextOptions), url),
        newContext: (contextOptions) => browser().newContext(contextOptions),
        crashGpu: async () => {
          const session = await browser().newBrowserCDPSession();
          await session.send("Browser.crashGpuProcess");
          await session.detach();
        },
      });
    } else if (isRequired()) {
      it("has its browser", () => {
        throw new Error(`REQUIRE_DEVICES: browser must be available, got none: ${missing}.`);
      });
    } else {
      console.warn(`skipped: ${title}: ${missing}`);
      it.skip(`the browser is missing: ${missing}`, () => {});
    }
  });
}

/** Opens `url` in a profile and watches it. */
export async function openPage(context: BrowserContext, url: string): Promise<WatchedPage> {
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.stack ?? error.message}`));
  page.on("crash", () => problems.push("the page crashed"));
  await page.addInitScript(() => {
    const longTasks: LongTask[] = [];
    Object.assign(globalThis, { longTasks });
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) longTasks.push({ startTime, duration });
    }).observe({ type: "longtask", buffered: true });
  });
  await page.goto(url);
  return {
    page,
    problems,
    longestTaskMs: (since = 0) =>
      page.evaluate((from) => {
        const { longTasks } = globalThis as unknown as { readonly longTasks: readonly LongTask[] };
        return Math.max(0, ...longTasks.filter(({ startTime }) => startTime >= from).map(({ duration }) => duration));
      }, since),
  };
}

/** Writes `<folder>/<name>.png`: the whole page, with animations at their end. */
export async function screenshot(page: Page, folder: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, animations: "disabled" });
}

async function reasonMissing(): Promise<string | undefined> {
  try {
    await access(EXECUTABLE, constants.X_OK);
    return undefined;
  } catch {
    return `${EXECUTABLE} is no executable (.ci/install-system-packages installs Chromium; CHROMIUM names another one)`;
  }
}

function isRequired(): boolean {
  return (process.env.REQUIRE_DEVICES ?? "").split(",").some((entry) => entry.trim() === "browser");
}
