/**
 * What a person, a model or a file writes never becomes an element or code, and what a person keeps secret is kept nowhere: the feedback elements
 * are tested for markup in feedback/elements.test.ts, engines train under the same policy in training.test.ts; this is the studio, as it is served.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StudioState } from "../studio/store";
import { describeBrowser, openPage, type WatchedPage } from "./browser";
import { type Site, serveSite } from "./site";
import { type StudioSite, serveStudio } from "./studio-site";

const MARKUP =
  '<img src=x onerror="globalThis.injected = 1"><svg onload="globalThis.injected = 1"></svg><script>globalThis.injected = 1</script><b id="injected">b</b>';
const TOKEN = "hf_secretSecretSecret";
const bundledModel = fileURLToPath(new URL("../studio/public/model", import.meta.url));

describeBrowser("the studio's security", (browser) => {
  let studio: StudioSite;
  let hub: Site;
  let watched: WatchedPage;
  let page: Page;
  const authorizations: (string | undefined)[] = [];

  /** Another origin, which lets pages read and wants a token. */
  function allowOthers(request: IncomingMessage, response: ServerResponse): boolean {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "authorization, range");
    response.setHeader("Access-Control-Expose-Headers", "*");
    response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
    if (request.method !== "OPTIONS") {
      authorizations.push(request.headers.authorization);
      return false;
    }
    response.writeHead(204).end();
    return true;
  }

  beforeAll(async () => {
    studio = await serveStudio();
    hub = await serveSite({ directories: { "/model/": bundledModel }, isCrossOriginIsolated: false, intercept: allowOthers });
    watched = await openPage(await browser.newContext(), studio.url);
    page = watched.page;
    page.setDefaultTimeout(60_000);
    await page.locator("studio-device-card b").waitFor();
  });
  afterAll(async () => {
    await hub?.close();
    await studio?.close();
  });

  const go = (view: string) => page.locator(`button[data-view="${view}"]`).click();
  const button = (name: string | RegExp) => page.getByRole("button", { name, exact: typeof name === "string" });

  /** What the markup would have made, through every shadow root. */
  const injected = () =>
    page.evaluate(() => {
      const found: string[] = "injected" in globalThis ? ["its code has run"] : [];
      const search = (root: Document | ShadowRoot) => {
        for (const element of root.querySelectorAll("*")) {
          if (element.matches("img[src=x], [onerror], [onload], #injected, script:not([src])")) found.push(element.outerHTML);
          if (element.shadowRoot) search(element.shadowRoot);
        }
      };
      search(document);
      return found;
    });

  it("is served with a policy without eval, inline code and blobs", async () => {
    const policy = (await fetch(studio.url)).headers.get("Content-Security-Policy") ?? "";
    const rules = Object.fromEntries(policy.split(";").map((rule) => rule.trim().split(/ (.*)/s).slice(0, 2)));
    expect(rules).toMatchObject({ "default-src": "'none'", "script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'" });
    expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|blob:/);
    // In a task of the page's own: what a debugger evaluates may do more.
    const refused = await page.evaluate(
      () =>
        new Promise<string>((resolve) => {
          setTimeout(() => {
            try {
              resolve(String(new Function("return 1")()));
            } catch (error) {
              resolve((error as Error).name);
            }
          });
        }),
    );
    expect(refused).toBe("EvalError");
  });

  it("keeps a token of the hub nowhere", { timeout: 200_000 }, async () => {
    await page.getByLabel("Address, or name on the hub").fill(`${hub.origin}/model/`);
    await page.getByText("It needs a token").click();
    await page.getByLabel("Token").fill(TOKEN);
    await button("Load from there").click();
    await page.locator("[data-model]").first().waitFor();
    expect(new Set(authorizations)).toEqual(new Set([`Bearer ${TOKEN}`]));
    await page.waitForTimeout(600); // longer than the session waits before it is written
    const kept = await page.evaluate(everythingKept);
    expect(kept).toContain(new URL(hub.origin).host);
    expect(kept).not.toContain(TOKEN);
  });

  it("shows prompts, answers and names with markup as text", { timeout: 200_000 }, async () => {
    await go("prompts");
    await page.getByLabel("New prompt").fill(MARKUP);
    await page.keyboard.press("Enter");
    await page.locator("studio-prompts-view input[type=file]").setInputFiles({
      name: `${MARKUP.slice(0, 40)}.jsonl`,
      mimeType: "application/jsonl",
      buffer: Buffer.from(`${JSON.stringify({ prompt: `From a file ${MARKUP}`, topic: MARKUP })}\n`),
    });
    await button("Add them").click();
    const prompts = () =>
      page.evaluate(() =>
        (document.querySelector("trimtab-studio") as unknown as { state: StudioState }).state.session.prompts.slice(0, 2),
      );
    await expect.poll(prompts).toMatchObject([{ prompt: MARKUP }, { prompt: `From a file ${MARKUP}`, columns: { topic: MARKUP } }]);
    expect(await injected()).toEqual([]);
    await go("sample");
    await page.getByLabel("Prompts", { exact: true }).fill("2");
    await page.getByLabel("Longest, in tokens").fill("8");
    await button("Sample").click();
    await page.getByRole("heading", { name: /^\d+ completions$/ }).waitFor();
    expect(await injected()).toEqual([]);
    await go("feedback");
    await button(/^Write/).click();
    await page.getByLabel("Your answer").fill(MARKUP);
    await button(/^Save answer/).click();
    await button(/^Correct/).click();
    await page.getByLabel("The answer as it should be").fill(MARKUP);
    await button(/^Save correction/).click();
    expect(await injected()).toEqual([]);
    for (const view of ["train", "export", "model", "sample"]) {
      await go(view);
      expect(await injected()).toEqual([]);
    }
  });

  it("violates its policy nowhere", () => {
    // The eval above, and files that the other origin does not have.
    const known = (problem: string) => /unsafe-eval|TrustedScript/.test(problem) || problem.includes(`(${hub.origin}/model/`);
    expect(watched.problems.filter((problem) => !known(problem))).toEqual([]);
  });
});

/** Every text in the browser's stores for this origin: storage, databases, caches and files. */
async function everythingKept(): Promise<string> {
  const texts: string[] = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), document.cookie];
  const latin = new TextDecoder("latin1");
  const textOf = (value: unknown): string =>
    JSON.stringify(value, (_, entry) => {
      if (ArrayBuffer.isView(entry) || entry instanceof ArrayBuffer) return latin.decode(entry as ArrayBuffer);
      return entry instanceof Map || entry instanceof Set ? [...entry] : entry;
    }) ?? "";
  const settled = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  for (const { name } of await indexedDB.databases()) {
    const database = await settled(indexedDB.open(name as string));
    for (const store of database.objectStoreNames) {
      const objects = database.transaction(store).objectStore(store);
      texts.push(textOf(await Promise.all([settled(objects.getAllKeys()), settled(objects.getAll())])));
    }
    database.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      texts.push(request.url, textOf([...request.headers]), textOf([...(response?.headers ?? [])]));
    }
  }
  const walk = async (directory: FileSystemDirectoryHandle): Promise<void> => {
    for await (const [name, handle] of directory.entries()) {
      texts.push(name);
      if (handle.kind === "directory") await walk(handle as FileSystemDirectoryHandle);
      else texts.push(latin.decode(await (await (handle as FileSystemFileHandle).getFile()).arrayBuffer()));
    }
  };
  await walk(await navigator.storage.getDirectory());
  return texts.join("\n");
}
