/** The browser harness itself: what a page gets from a site's headers, and that its errors are seen. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { describeBrowser, screenshot } from "./browser";
import { type Site, type SiteOptions, STRICT_POLICY, serveSite } from "./site";

describeBrowser("the browser harness", (browser) => {
  const sites: Site[] = [];
  const serve = async (options: SiteOptions) => {
    const site = await serveSite({ files: { "/index.html": "<!doctype html><title>Test</title><link rel=icon href=data:,>" }, ...options });
    sites.push(site);
    return site;
  };
  afterEach(async () => {
    for (const site of sites.splice(0)) await site.close();
  });

  it("offers WebGPU and, with the headers, cross-origin isolation", async () => {
    const isolated = await browser.open((await serve({})).origin);
    expect(await isolated.page.evaluate(() => [crossOriginIsolated, navigator.gpu !== undefined])).toEqual([true, true]);
    const plain = await browser.open((await serve({ isCrossOriginIsolated: false })).origin);
    expect(await plain.page.evaluate(() => [crossOriginIsolated, typeof SharedArrayBuffer])).toEqual([false, "undefined"]);
    expect([...isolated.problems, ...plain.problems]).toEqual([]);
  });

  it("answers ranges, or ignores them", async () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, index) => index);
    const files = { "/data.bin": bytes };
    const fetchPart = async (site: Site, range: string) => {
      const response = await fetch(`${site.origin}/data.bin`, { headers: { Range: range } });
      const got = new Uint8Array(await response.arrayBuffer());
      return [response.status, response.headers.get("Content-Range"), got[0], got.length];
    };
    const site = await serve({ files });
    expect(await fetchPart(site, "bytes=10-19")).toEqual([206, "bytes 10-19/100", 10, 10]);
    expect(await fetchPart(site, "bytes=90-")).toEqual([206, "bytes 90-99/100", 90, 10]);
    expect(await fetchPart(site, "bytes=-5")).toEqual([206, "bytes 95-99/100", 95, 5]);
    expect(site.requests.map(({ range }) => range)).toContain("bytes=-5");
    expect(await fetchPart(await serve({ files, hasRanges: false }), "bytes=10-19")).toEqual([200, null, 0, 100]);
  });

  it("sees console errors, uncaught errors and what a policy forbids", async () => {
    const files = {
      "/index.html": "<!doctype html><link rel=icon href=data:,><script>inline()</script><script type=module src=/page.js></script>",
      "/page.js": 'console.error("said"); setTimeout(() => { throw new Error("thrown"); });',
    };
    const { page, problems } = await browser.open((await serve({ files, policy: STRICT_POLICY })).origin);
    await page.waitForTimeout(50);
    expect(problems.filter((problem) => problem.includes("Content Security Policy"))).toHaveLength(1);
    expect(problems.filter((problem) => problem.includes("said"))).toHaveLength(1);
    expect(problems.filter((problem) => problem.includes("thrown"))).toHaveLength(1);
    expect(problems).toHaveLength(3);
  });

  it("reports the longest task", async () => {
    const { page, longestTaskMs } = await browser.open((await serve({})).origin);
    await page.evaluate(async () => {
      await new Promise((resolve) => setTimeout(resolve));
      const end = performance.now() + 120;
      while (performance.now() < end);
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    expect(await longestTaskMs()).toBeGreaterThanOrEqual(120);
  });

  it("writes screenshots", async () => {
    const folder = await mkdtemp(join(tmpdir(), "trimtab-screenshots-"));
    const { page } = await browser.open((await serve({})).origin);
    await screenshot(page, folder, "empty");
    expect((await readFile(join(folder, "empty.png"))).subarray(1, 4).toString()).toBe("PNG");
    await rm(folder, { recursive: true });
  });
});
