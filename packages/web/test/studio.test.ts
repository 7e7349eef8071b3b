/**
 * The studio as a person uses it, from nothing to an exported model: feedback of every kind by mouse and by keyboard, a reward model trained on it,
 * GRPO to a higher reward with a reload in the middle, and exports that load in Node. With STUDIO_PICTURES, pictures of every state are written there
 * (docs/images has some of them).
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { detectFormat, inspectCompletion, loadLanguageModel, parseJsonl, withAdapterFrom } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { unzipSync } from "fflate";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { droppedDirectory } from "../src/files/dropped-files";
import type { Session, StudioState } from "../studio/store";
import { violations as axeViolations } from "./axe";
import { describeBrowser, openPage, type WatchedPage } from "./browser";
import { serveSite } from "./site";
import { type StudioSite, serveStudio } from "./studio-site";

const bundledModel = fileURLToPath(new URL("../studio/public/model", import.meta.url));
/** Where pictures go for review; none are made without it. */
const PICTURES = process.env.STUDIO_PICTURES;

describeBrowser("the studio", (browser) => {
  let site: StudioSite;
  let context: BrowserContext;
  let watched: WatchedPage;
  let page: Page;

  beforeAll(async () => {
    site = await serveStudio();
    context = await browser.newContext({ viewport: { width: 1280, height: 860 }, acceptDownloads: true });
    watched = await openPage(context, site.url);
    page = watched.page;
    page.setDefaultTimeout(60_000);
  });

  afterAll(async () => {
    await site?.close();
  });

  const session = () => page.evaluate(() => (document.querySelector("trimtab-studio") as unknown as { state: StudioState }).state.session);
  const go = (view: Session["view"]) => page.locator(`button[data-view="${view}"]`).click();
  const button = (name: string | RegExp) => page.getByRole("button", { name, exact: typeof name === "string" });
  /** What went well goes by itself; another message may still be there. */
  const dismiss = (text: string | RegExp) =>
    page.locator(".notice").filter({ hasText: text }).getByRole("button", { name: "Dismiss" }).click();
  const picture = async (name: string) => {
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, animations: "disabled" });
  };

  let longestMs = 0;
  /** Takes the longest task so far into account and forgets all: what the test itself does to the page does not count. */
  async function settleTasks(counts: boolean): Promise<void> {
    await page.waitForTimeout(60); // the observer hears of tasks after they ended
    const longest = await watched.longestTaskMs();
    if (counts) longestMs = Math.max(longestMs, longest);
    await page.evaluate(() => {
      (globalThis as unknown as { longTasks: number[] }).longTasks.length = 0;
    });
  }

  /** What axe finds on the page as it stands. */
  async function violations(): Promise<string[]> {
    await settleTasks(true);
    const found = await axeViolations(page);
    await settleTasks(false);
    return found;
  }

  const download = async (start: () => Promise<void>): Promise<Buffer> => {
    const [file] = await Promise.all([page.waitForEvent("download"), start()]);
    return readFile(await file.path());
  };

  it("opens with what it runs on, and loads the model that it brings along", async () => {
    await page.locator("studio-device-card b").waitFor();
    await picture("studio-start");
    expect(await violations()).toEqual([]);
    await button("Load Speeches").click();
    await page.locator('[data-model="Speeches"]').waitFor();
    expect((await session()).models).toMatchObject([{ name: "Speeches", kind: "lm", parameterCount: 430752 }]);
    await picture("studio-model");
  });

  it("takes prompts from the keyboard, from those that are bundled, and from a file", async () => {
    await button("Next: prompts").click();
    await picture("studio-prompts-empty");
    expect(await violations()).toEqual([]);
    await page.getByLabel("New prompt").fill("We the people");
    await page.keyboard.press("Enter");
    await page.locator("studio-prompts-view input[type=file]").setInputFiles({
      name: "more.jsonl",
      mimeType: "application/jsonl",
      buffer: Buffer.from('{"prompt": "Our schools", "topic": "education"}\n{"prompt": "The <b>law</b>"}\n'),
    });
    await button("Add them").click();
    const { prompts } = await session();
    expect(prompts.slice(0, 3)).toMatchObject([
      { prompt: "We the people", columns: {} },
      { prompt: "Our schools", columns: { topic: "education" } },
      { prompt: "The <b>law</b>" },
    ]);
    expect(prompts).toHaveLength(27);
    expect(await violations()).toEqual([]);
    await picture("studio-prompts");
  });

  it("samples at several temperatures", async () => {
    await go("sample");
    await page.getByLabel("Prompts", { exact: true }).fill("10");
    await page.getByLabel("Longest, in tokens").fill("24");
    await button("Sample").click();
    await page.getByRole("heading", { name: "40 completions" }).waitFor();
    const { completions } = await session();
    expect(new Set(completions.map(({ temperature }) => temperature))).toEqual(new Set([0.7, 1]));
    expect(completions.filter(({ text }) => /[a-z]{3}/.test(text)).length).toBeGreaterThan(30);
    expect(await violations()).toEqual([]);
    await picture("studio-sample");
  });

  const answers = async (kind: keyof Session["feedback"], rater = "me") =>
    (await session()).feedback[kind].raters.find(({ name }) => name === rater)?.done.map(({ answer }) => answer) ?? [];

  it("takes a choice between two, by mouse and by keys, with ties, skips and undo", async () => {
    await go("feedback");
    await picture("studio-feedback");
    await button(/^A is better/).click();
    await page.keyboard.press("2");
    await page.keyboard.press("=");
    await page.keyboard.press("s");
    await page.keyboard.press("1");
    await page.keyboard.press("z");
    await button(/^About the same/).click();
    const choices = (await answers("pair")).map((answer) => (answer?.kind === "pair" ? answer.choice : answer));
    expect(choices).toEqual([expect.any(Number), expect.any(Number), "tie", null, "tie"]);
    expect(await violations()).toEqual([]);
  });

  it("takes rankings, by dragging and by keys", async () => {
    await button(/^Rank/).click();
    const handles = page.getByRole("button", { name: /^Handle of answer/ });
    const [from, to] = [await handles.nth(0).boundingBox(), await handles.nth(2).boundingBox()];
    if (!from || !to) throw new Error("the ranking must show its handles");
    const first = await handles.nth(0).getAttribute("aria-label");
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(from.x + from.width / 2, from.y + 40, { steps: 4 });
    await page.mouse.move(to.x + to.width / 2, to.y + to.height, { steps: 8 });
    await page.mouse.up();
    await expect.poll(() => handles.nth(0).getAttribute("aria-label")).not.toBe(first);
    await picture("studio-feedback-ranking");
    await button(/^Save ranking/).click();
    await handles.nth(0).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("=");
    await button(/^Save ranking/).press("Enter");
    const [dragged, typed] = await answers("ranking");
    expect(dragged?.kind === "ranking" && [...dragged.ranks].sort()).toEqual([1, 2, 3, 4]);
    expect(typed?.kind === "ranking" && new Set(typed.ranks).size).toBe(3);
    expect(await violations()).toEqual([]);
  });

  it("takes thumbs and stars, by mouse and by keys", async () => {
    await button(/^Thumbs/).click();
    await button(/^Good/).click();
    await page.keyboard.press("2");
    expect(await answers("thumbs")).toMatchObject([{ liked: true }, { liked: false }]);
    expect(await violations()).toEqual([]);
    await button(/^Stars/).click();
    await button(/, 4 of 5/).click();
    await page.keyboard.press("2");
    expect(await answers("stars")).toMatchObject([{ rating: 4 }, { rating: 2 }]);
    expect(await violations()).toEqual([]);
    await picture("studio-feedback-stars");
  });

  it("takes corrections and demonstrations, by mouse and by keys", async () => {
    await button(/^Correct/).click();
    const answer = page.getByLabel("The answer as it should be");
    await answer.fill(" hold these truths.");
    await button(/^Save correction/).click();
    await answer.fill(" work together.");
    await page.keyboard.press("Control+Enter");
    expect(await answers("correction")).toMatchObject([{ edited: " hold these truths." }, { edited: " work together." }]);
    expect(await violations()).toEqual([]);
    await button(/^Write/).click();
    await page.getByLabel("Your answer").fill(" do ordain.");
    await button(/^Save answer/).click();
    await page.getByLabel("Your answer").fill(" teach.");
    await page.keyboard.press("Control+Enter");
    expect(await answers("demonstration")).toMatchObject([{ text: " do ordain." }, { text: " teach." }]);
    expect(await violations()).toEqual([]);
  });

  it("lets a rule answer, and says how far two raters agree", async () => {
    await button(/^Compare/).click();
    await page.getByText("Or let a rule or a judge answer").click();
    await page.getByLabel("Best number of words").fill("6");
    await button("Let it judge").click();
    await page.getByText(/near a length \(6 words\): \d+ answers/).waitFor();
    await dismiss("near a length");
    await page.getByRole("table").filter({ hasText: "Agreement" }).scrollIntoViewIfNeeded();
    expect(await violations()).toEqual([]);
    await picture("studio-agreement");
  });

  it("lets a model at an endpoint answer", async () => {
    const keys = new Set<string | undefined>();
    const endpoint = await serveSite({
      intercept({ method, url, headers }, response) {
        response.setHeader("Access-Control-Allow-Origin", "*");
        response.setHeader("Access-Control-Allow-Headers", "authorization, content-type");
        if (method === "POST") keys.add(`${url} ${headers.authorization}`);
        response.end(method === "POST" ? JSON.stringify({ choices: [{ message: { content: "Rating: 7" } }] }) : "");
        return true;
      },
    });
    await button(/^Stars/).click();
    await page.getByLabel("Who judges").selectOption("A model at an endpoint");
    await page.getByLabel("Address, up to its version").fill(`${endpoint.origin}/v1`);
    await page.getByLabel("Model", { exact: true }).fill("a-critic");
    await page.getByLabel("API key").fill("secret-of-a-critic");
    await button("Let it judge").click();
    await page.getByText(/a-critic: \d+ answers/).waitFor();
    await endpoint.close();
    // seven on a scale from one to ten
    expect(new Set((await answers("stars", "a-critic")).map((answer) => answer?.kind === "stars" && answer.rating))).toEqual(new Set([4]));
    expect(keys).toEqual(new Set(["/v1/chat/completions Bearer secret-of-a-critic"]));
    expect(JSON.stringify(await session())).not.toContain("secret-of-a-critic");
    await dismiss("a-critic");
  });

  const runs = async () => (await session()).runs;
  const statusOf = (index: number) => expect.poll(async () => (await runs())[index]?.status, { timeout: 90_000, interval: 250 });

  it("trains a reward model on it", async () => {
    await go("train");
    await picture("studio-train");
    expect(await violations()).toEqual([]);
    await page.getByRole("textbox", { name: "Steps" }).fill("12");
    await button("Start training").click();
    await statusOf(0).toBe("finished");
    const { models, runs: done } = await session();
    expect(models.find(({ id }) => id === done[0]?.resultId)?.kind).toBe("score");
    const accuracies = done[0]?.history.map(({ metrics }) => metrics.accuracy as number) ?? [];
    expect(accuracies.at(-1)).toBeGreaterThan(0.6);
    expect(await violations()).toEqual([]);
    await picture("studio-reward-model");
  });

  it("begins to train an adapter on it with GRPO, and after a reload goes on from the step that was kept", async () => {
    await page.getByText("New run", { exact: true }).click();
    await page.getByRole("radio", { name: /^GRPO/ }).check();
    await page.getByRole("radio", { name: /^An adapter/ }).check();
    await page.getByRole("checkbox", { name: /^Reward model 1/ }).check();
    await page.getByRole("textbox", { name: "Steps" }).fill("12");
    await page.getByRole("textbox", { name: "Completion length" }).fill("16");
    await picture("studio-adapter");
    await button("Start training").click();
    await expect.poll(async () => (await runs())[1]?.history.length ?? 0, { timeout: 90_000 }).toBeGreaterThan(2);
    await button("Pause").click();
    await statusOf(1).toBe("paused");
    const before = (await runs())[1];
    await page.waitForTimeout(600); // longer than the session waits before it is written
    await settleTasks(true);
    await page.reload();
    await page.locator("studio-device-card b").waitFor();
    const after = (await runs())[1];
    expect(after).toMatchObject({ status: "paused", checkpoint: before?.checkpoint });
    expect(after?.history).toEqual(before?.history);
    await picture("studio-reloaded");
    await go("model");
    await button("Remove Speeches").click();
    await page.getByText("Speeches stays: GRPO 1 needs it.").waitFor();
    await dismiss("Speeches stays");
    await go("train");
    await button("Go on").click();
    await statusOf(1).toBe("finished");
  });

  it("ends with a higher reward", async () => {
    const history = (await runs())[1]?.history ?? [];
    expect(history.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    const rewards = history.map(({ metrics }) => metrics.reward as number);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    console.info(
      `GRPO: reward ${mean(rewards.slice(0, 3)).toFixed(2)} in the first three steps, ${mean(rewards.slice(-3)).toFixed(2)} in the last three`,
    );
    expect(mean(rewards.slice(-3))).toBeGreaterThan(mean(rewards.slice(0, 3)) + 0.1);
    expect(await violations()).toEqual([]);
    await picture("studio-grpo");
    await page.getByText("What it learned from", { exact: true }).click();
    await picture("studio-samples");
    expect(await violations()).toEqual([]);
    await page.getByText("Reward and KL", { exact: true }).click();
    await picture("studio-frontier");
    expect(await violations()).toEqual([]);
  });

  it("exports models and adapters that load in Node, rows that TRL reads, reports and the session", async () => {
    await go("export");
    await picture("studio-export");
    expect(await violations()).toEqual([]);
    const directory = async (name: string) => {
      const zip = unzipSync(new Uint8Array(await download(() => button(`Download ${name} as a zip file`).click())));
      return droppedDirectory(
        new Map(Object.entries(zip).map(([path, bytes]) => [path.replace(/^.*\//, ""), new Blob([new Uint8Array(bytes)])])),
      );
    };
    const device = createReferenceDevice();
    const merged = await loadLanguageModel(device, await directory("GRPO 1"));
    expect([merged.decoder.parameters.count, merged.decoder.adapter]).toEqual([430752, undefined]);
    const base = await loadLanguageModel(device, await directory("Speeches"));
    const adapted = await withAdapterFrom(base, await directory("adapter of GRPO 1"));
    const text = { prompt: "We the people", completion: " of the United States have work to do." };
    const [ofBase, ofAdapted, ofMerged] = await Promise.all(
      [base, adapted, merged].map(async (model) => (await inspectCompletion({ model, ...text })).logps),
    );
    expect(ofAdapted?.length).toBeGreaterThan(5);
    expect(distance(ofAdapted, ofMerged)).toBeLessThan(1e-4);
    expect(distance(ofAdapted, ofBase)).toBeGreaterThan(0.05);
    for (const { decoder } of [adapted, base, merged]) decoder.dispose();
    await device.destroy();

    // a directory that a person picks, as the browser hands it out
    await page.evaluate(() => {
      const picked = async () => (await navigator.storage.getDirectory()).getDirectoryHandle("picked", { create: true });
      Object.assign(globalThis, { showDirectoryPicker: picked });
    });
    await button("Save in a directory: adapter of GRPO 1").click();
    await page.getByText("Adapter of GRPO 1 is saved.").waitFor();
    const saved = await page.evaluate(async () => {
      const directory = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked");
      const names: string[] = [];
      for await (const name of (directory as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
      const config = await (await directory.getFileHandle("adapter_config.json")).getFile();
      return { names: names.sort(), config: JSON.parse(await config.text()) };
    });
    expect(saved.names).toEqual(["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"]);
    expect(saved.config).toMatchObject({ peft_type: "LORA", r: 16, lora_alpha: 32, base_model_name_or_path: null });

    const preferences = parseJsonl((await download(() => button("Download preference.jsonl").click())).toString());
    expect(preferences.length).toBeGreaterThan(10);
    expect(new Set(preferences.map((row) => detectFormat(row)))).toEqual(new Set(["preference"]));
    const stars = parseJsonl((await download(() => button("Download rated.jsonl").click())).toString());
    expect(stars.filter(({ rater }) => rater === "me")).toMatchObject([{ rating: 4 }, { rating: 2 }]);

    const report = (await download(() => button("Report on GRPO 1").click())).toString();
    expect(report).toMatch(/^<!doctype html>/i);
    expect(report).toContain("GRPO 1");
    const kept = JSON.parse((await download(() => button("Export the session").click())).toString());
    expect(kept.session.prompts).toHaveLength(27);

    await page.locator("studio-export-view input[type=file]").setInputFiles({
      name: "session.json",
      mimeType: "application/json",
      buffer: Buffer.from(JSON.stringify({ ...kept, session: { ...kept.session, name: "The same again" } })),
    });
    await expect.poll(async () => (await session()).name).toBe("The same again");
    expect((await session()).feedback).toEqual(kept.session.feedback);
  });

  it("opens a session in one tab at a time, and hands it over", async () => {
    const other = await openPage(context, site.url);
    await other.page.getByRole("heading", { name: "Open in another tab" }).waitFor();
    if (PICTURES) await other.page.screenshot({ path: `${PICTURES}/studio-elsewhere.png` });
    expect(await axeViolations(other.page)).toEqual([]);
    await other.page.getByRole("button", { name: "Go on here" }).click();
    await page.getByRole("heading", { name: "Open in another tab" }).waitFor();
    await other.page.getByRole("heading", { name: "Take it along" }).waitFor();
    const read = (tab: Page) =>
      tab.evaluate(() => (document.querySelector("trimtab-studio") as unknown as { state: StudioState }).state.session);
    expect(await read(other.page)).toEqual(await session());
    await other.page.getByRole("button", { name: /^Session:/ }).click();
    await other.page.getByLabel("Name of this session").fill("Written there");
    await other.page.getByLabel("Name of this session").blur();
    await expect.poll(async () => (await read(other.page)).name).toBe("Written there");
    await other.page.waitForTimeout(600); // longer than the session waits before it is written
    await other.page.close();
    await page.getByRole("heading", { name: "Take it along" }).waitFor();
    expect((await session()).name).toBe("Written there");
    expect(other.problems).toEqual([]);
  });

  it("deletes a session with its files", async () => {
    const stored = () =>
      page.evaluate(async () => {
        const names: string[] = [];
        const root = await navigator.storage.getDirectory();
        for await (const name of (root as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
        const studio = await root.getDirectoryHandle("studio");
        for await (const name of (studio as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(`studio/${name}`);
        return names;
      });
    const first = (
      await page.evaluate(() => (document.querySelector("trimtab-studio") as unknown as { state: StudioState }).state.sessions)
    ).find(({ name }) => name === "First session");
    expect(await stored()).toContain(`studio/${first?.id}`);
    await button(/^Session:/).click();
    await picture("studio-sessions");
    await button("Delete First session").click();
    await button("Really delete").click();
    await expect.poll(stored).not.toContain(`studio/${first?.id}`);
    await button("Close").click();
  });

  it("loads a model from a directory that is chosen, and from one that is dropped", async () => {
    await go("model");
    await page.locator("studio-model-view input[type=file]").setInputFiles(bundledModel);
    await page.locator('[data-model="model"]').first().waitFor();
    const drop = page.locator("studio-model-view studio-file-drop");
    await drop.scrollIntoViewIfNeeded();
    const zone = await drop.boundingBox();
    if (!zone) throw new Error("the place to drop a directory must be in sight");
    const debug = await context.newCDPSession(page);
    const at = { x: zone.x + zone.width / 2, y: zone.y + 20, data: { items: [], files: [bundledModel], dragOperationsMask: 1 } };
    for (const type of ["dragEnter", "dragOver", "drop"] as const) await debug.send("Input.dispatchDragEvent", { type, ...at });
    await page.locator('[data-model="model"]').nth(1).waitFor();
    const loaded = (await session()).models.filter(({ name }) => name === "model");
    for (const model of loaded) {
      expect(model).toMatchObject({ parameterCount: 430752, origin: "from a directory", place: { storage: expect.any(String) } });
    }
  });

  it("fits a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const view of ["model", "prompts", "sample", "feedback", "train", "export"] as const) {
      await go(view);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow, view).toBeLessThanOrEqual(0);
      await picture(`studio-phone-${view}`);
    }
    expect(await violations()).toEqual([]);
  });

  it("has had no errors on the console", async () => {
    console.info(`the studio's longest task on the main thread: ${longestMs} ms (0: none of 50 or more)`);
    expect(watched.problems).toEqual([]);
  });
});

/** The largest difference between two lists of numbers. */
function distance(a: Float32Array = new Float32Array(), b: Float32Array = new Float32Array()): number {
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))));
}
