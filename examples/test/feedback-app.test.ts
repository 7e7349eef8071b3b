/** The feedback app as a person uses it, in a real browser: choices, and a model that learns from them meanwhile. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, screenshot } from "../../packages/web/test/browser";
import { type Site, serveSite } from "../../packages/web/test/site";

const APP = fileURLToPath(new URL("../feedback-app", import.meta.url));

it("is less than 60 lines, all of its own code together", async () => {
  const files = await Promise.all(["index.html", "main.ts", "vite.config.ts"].map((file) => readFile(join(APP, file), "utf8")));
  expect(files.join("").trimEnd().split("\n").length).toBeLessThan(60);
});

describeBrowser("the feedback app", (browser) => {
  let folder: string;
  let site: Site;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "trimtab-feedback-app-"));
    await build({ root: APP, logLevel: "warn", build: { outDir: folder, emptyOutDir: true } });
    site = await serveSite({ directories: { "/": folder } });
  });
  afterAll(async () => {
    await site?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("asks for choices and trains on every four of them", async () => {
    const { page, problems } = await browser.open(site.origin, { colorScheme: "light" });
    page.setDefaultTimeout(60_000);
    for (let chosen = 0; chosen < 4; chosen++) {
      await page.getByRole("button", { name: "A is better" }).waitFor();
      if (chosen === 0) await screenshot(page, process.env.SCREENSHOTS ?? join(tmpdir(), "trimtab-screenshots"), "feedback-app");
      await page.keyboard.press(chosen % 2 ? "2" : "1");
    }
    await page.getByText("round 1, step 1 of 1").waitFor();
    expect(problems).toEqual([]);
  });
});
