/**
 * The packed packages as an application gets them: installed into an empty Vite app (built, and on the development server) and into a page with an
 * import map, under strict policies and without any configuration. In each an engine starts, and a tiny model learns.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build, createServer } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, type WatchedPage } from "./browser";
import { IMPORT_MAP } from "./plain-page";
import { STRICT_POLICY, serveSite } from "./site";

/** What the page's script says of its training. */
interface Report {
  readonly device: string;
  readonly losses: readonly number[];
  readonly rewards: readonly number[];
  /** When the engine had started, in milliseconds of the page. */
  readonly startedAt: number;
  readonly problem?: string;
}

const SCRIPT = `
import { createEngine } from "@trimtab/web";

async function train() {
  const engine = await createEngine({ device: "wasm", threads: 2, relaxed: false });
  const startedAt = performance.now();
  const texts = ["abababababab"];
  const model = await engine.newModel({ shape: { hiddenSize: 32, layers: 1, heads: 2 }, texts, vocabSize: 257, seed: 1 });
  const losses = [];
  const dataset = texts.map((text) => ({ text }));
  for await (const { metrics } of await engine.train("sft", { model, dataset, maxSteps: 8, learningRate: 0.01 })) losses.push(metrics.loss);
  const rewards = [];
  const grpo = await engine.train("grpo", {
    model,
    prompts: [{ prompt: "ab" }],
    rewards: ({ completions }) => completions.map((text) => text.split("a").length),
    maxSteps: 6,
    learningRate: 0.01,
    perDeviceTrainBatchSize: 8,
    numGenerations: 8,
    maxCompletionLength: 8,
  });
  for await (const { metrics } of grpo) rewards.push(metrics.reward);
  await engine.close();
  return { device: engine.info.device.name, losses, rewards, startedAt };
}

globalThis.report = train().catch((error) => ({ problem: String(error.stack) }));
`;

const PAGE = (head: string) => `<!doctype html>
<html lang="en">
<head><title>Empty app</title><link rel="icon" href="data:,">${head}</head>
<body><script type="module" src="/main.js"></script></body>
</html>`;

const run = promisify(execFile);
const repository = fileURLToPath(new URL("../../..", import.meta.url));

describeBrowser("the packed packages", (browser) => {
  let app: string;
  beforeAll(async () => {
    app = await mkdtemp(join(tmpdir(), "trimtab-app-"));
    const packages = ["kernels", "core", "web"].map((name) => join(repository, "packages", name));
    const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", app, ...packages]);
    const packed: { readonly name: string; readonly filename: string }[] = JSON.parse(stdout);
    const dependencies = Object.fromEntries(packed.map(({ name, filename }) => [name, `file:${filename}`]));
    await writeFile(join(app, "package.json"), JSON.stringify({ name: "empty-app", private: true, type: "module", dependencies }));
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"], { cwd: app });
    await writeFile(join(app, "index.html"), PAGE(""));
    await writeFile(join(app, "main.js"), SCRIPT);
    await mkdir(join(app, "plain"));
    await writeFile(join(app, "plain", "index.html"), PAGE(`<script type="importmap">${IMPORT_MAP}</script>`));
  });
  afterAll(() => rm(app, { recursive: true }));

  const expectTraining = async ({ page, problems, longestTaskMs }: WatchedPage, where: string) => {
    const report = await page.evaluate(() => (globalThis as unknown as { readonly report: Promise<Report> }).report);
    expect(report).toMatchObject({ device: "wasm (strict SIMD, 2 threads)" });
    const { losses, rewards, startedAt } = report;
    expect(losses).toHaveLength(8);
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] as number));
    expect(rewards).toHaveLength(6);
    expect(rewards.at(-1)).toBeGreaterThan(rewards[0] as number);
    expect(problems).toEqual([]);
    const [whole, training] = [await longestTaskMs(), await longestTaskMs(startedAt)];
    console.info(`${where}: the main thread's longest task took ${Math.round(whole)} ms, and while it trained ${Math.round(training)} ms`);
  };

  it("train in a page with an import map", async () => {
    const hash = createHash("sha256").update(IMPORT_MAP).digest("base64");
    const policy = STRICT_POLICY.replace("script-src 'self'", `script-src 'self' 'sha256-${hash}'`);
    const site = await serveSite({ directories: { "/": app, "/plain/": join(app, "plain") }, policy });
    await expectTraining(await browser.open(`${site.origin}/plain/`), "a page with an import map");
    await site.close();
  });

  it("train in a Vite app that was built", async () => {
    await build({ root: app, configFile: false, logLevel: "error" });
    const site = await serveSite({ directories: { "/": join(app, "dist") }, policy: STRICT_POLICY });
    await expectTraining(await browser.open(site.origin), "a Vite app, built");
    await site.close();
  });

  it("train on Vite's development server", async () => {
    const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
    const server = await createServer({ root: app, configFile: false, logLevel: "error", server: { headers, host: "127.0.0.1" } });
    await server.listen(0);
    await expectTraining(await browser.open(server.resolvedUrls?.local[0] as string), "a Vite app, in development");
    await server.close();
  });
});
