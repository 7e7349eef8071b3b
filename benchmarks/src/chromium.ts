/** Measures Chromium through the benchmarks' own page: what a visitor would see. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import type { MissingPlatform, PlatformReport, PlatformResult } from "./measure/platform";
import { servePage } from "./page-server";

/** CHROMIUM names another one. SwiftShader needs the flag on WebGPU. */
const executablePath =
  process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-headless-shell"].find(existsSync) ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu"];

export interface ChromiumOptions {
  readonly quick: boolean;
  readonly onProgress: (line: string) => void;
}

export interface ChromiumResults {
  readonly platforms: readonly PlatformResult[];
  readonly missing: readonly MissingPlatform[];
}

/** With threads on a cross-origin isolated page, strict and relaxed; with one thread on a page that is not; on WebGPU. */
export async function measureInChromium({ quick, onProgress }: ChromiumOptions): Promise<ChromiumResults> {
  if (!existsSync(executablePath)) {
    const missing = `${executablePath} must be there, got no such file. Install chromium, or name another one in CHROMIUM`;
    return { platforms: [], missing: [{ name: "Chromium", missing }] };
  }
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const isolated = await runPage(browser, { isCrossOriginIsolated: true, run: "wasm-strict,wasm-relaxed,webgpu", quick, onProgress });
    const single = await runPage(browser, { isCrossOriginIsolated: false, run: "wasm-relaxed", quick, onProgress });
    // Headless, it goes by another name on its pages.
    const runtime = { name: "Chromium", version: browser.version() };
    return {
      platforms: [...isolated.platforms, ...single.platforms].map((platform) => ({ ...platform, runtime })),
      missing: [...isolated.missing, ...single.missing],
    };
  } finally {
    await browser.close();
  }
}

interface PageRun extends ChromiumOptions {
  readonly isCrossOriginIsolated: boolean;
  /** Ids of the page's choices. */
  readonly run: string;
}

async function runPage(browser: Browser, { isCrossOriginIsolated, run, quick, onProgress }: PageRun): Promise<PlatformReport> {
  const server = await servePage({ isCrossOriginIsolated });
  const page = await browser.newPage();
  try {
    page.on("pageerror", (error) => onProgress(`Chromium: ${error.message}`));
    await page.goto(`${server.url}?run=${run}${quick ? "&quick" : ""}`);
    const timer = setInterval(async () => onProgress(`Chromium: ${await page.textContent("#status").catch(() => "closing")}`), 500);
    try {
      await page.waitForFunction(() => "trimtabReport" in globalThis, undefined, { timeout: 0, polling: 200 });
    } finally {
      clearInterval(timer);
    }
    return await page.evaluate(() => (globalThis as unknown as { readonly trimtabReport: PlatformReport }).trimtabReport);
  } finally {
    await page.close();
    server.close();
  }
}
