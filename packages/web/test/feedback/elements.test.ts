/** The elements in a real browser under a strict policy: every kind by mouse and by keyboard, accessibility, and how it looks. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { FeedbackAnswer, FeedbackKind, FeedbackSession, feedbackItems } from "../../src/feedback/headless";
import type { TrimtabFeedback } from "../../src/feedback/index";
import { describeBrowser, screenshot, type WatchedPage } from "../browser";
import { bundleForBrowser } from "../bundle";
import { type Site, STRICT_POLICY, serveSite } from "../site";

/** Where pictures are written for people to look at. */
const PICTURES = process.env.SCREENSHOTS ?? join(tmpdir(), "trimtab-screenshots");

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <title>Feedback</title>
    <meta name="viewport" content="width=device-width" />
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/page.css" />
    <script src="/axe.js"></script>
    <script type="module" src="/page.js"></script>
  </head>
  <body>
    <main>
      <h1>Feedback</h1>
      <label>A field of the page's own <input id="own" /></label>
      <trimtab-feedback></trimtab-feedback>
    </main>
  </body>
</html>`;

const STYLES = `
:root { color-scheme: light dark; background: light-dark(#fff, #0e1418); color: light-dark(#15212b, #e8eef1); font-family: sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: clamp(1rem, 4vw, 2.5rem); }
h1, label { position: absolute; clip-path: inset(50%); }`;

const TEXTS = {
  long: "The tide comes in twice a day because the Moon pulls on the water.\n\n  1. The near side bulges towards the Moon.\n  2. The far side bulges away from it.\n\nEarth turns through both bulges every day.",
  wind: "The tide comes in twice a day because of the wind.",
  moon: "The tide comes in twice a day because of the Moon.",
  verse: "Twice a day the sea remembers the shore,\nand walks up the sand to see it once more.",
  markup: '<img src=x onerror="document.title=1"><script>document.title=1</script> &amp; <b>bold</b>\n\ttab  two spaces',
};
const PROMPT = "Why are there two tides a day?\nAnswer for a curious child.";

/** What runs in the page. */
interface PageGlobals {
  readonly axe: { run(context: Document, options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
  readonly FeedbackSession: typeof FeedbackSession;
  readonly feedbackItems: typeof feedbackItems;
  session: FeedbackSession;
  element: TrimtabFeedback;
  events: unknown[];
}
declare const window: PageGlobals;

type Ask = readonly [kind: FeedbackKind, prompt: string, completions: readonly string[]];

/** Puts a session with these items before the reader. */
async function ask(
  page: Page,
  items: readonly Ask[],
  options: { strength?: boolean; shortcuts?: "focus" | "page" | "off" } = {},
): Promise<void> {
  await page.evaluate(
    async ({ items, options }) => {
      const element = document.querySelector("trimtab-feedback") as TrimtabFeedback;
      const session = new window.FeedbackSession({ seed: 3, items: items.flatMap((item) => window.feedbackItems(...item)) });
      Object.assign(window, { session, element, events: [] });
      Object.assign(element, { session, strength: options.strength ?? false, shortcuts: options.shortcuts ?? "focus" });
      await element.updateComplete;
    },
    { items, options },
  );
}

/** Puts the focus where a click on the text of the item would. */
const focusItem = (page: Page) => page.evaluate(() => window.element.focus());

/** What the person's answers come to. */
const answers = (page: Page): Promise<FeedbackAnswer[]> => page.evaluate(() => window.session.feedback.map(({ answer }) => answer));

const textField = (page: Page) => page.locator("trimtab-feedback").getByRole("textbox");

/** The index of the completion shown at a place of the item. */
const shownAt = (page: Page, item: number, place: number) =>
  page.evaluate(
    ([item, place]) => {
      const { session } = window;
      return session.as("person").order(session.items[item as number] as never)[place as number];
    },
    [item, place] as const,
  );

const pairItem: Ask = ["pair", PROMPT, [TEXTS.long, TEXTS.verse]];
const rankingItem: Ask = ["ranking", PROMPT, [TEXTS.wind, TEXTS.long, TEXTS.verse, "I do not know."]];
const thumbsItem: Ask = ["thumbs", PROMPT, [TEXTS.long]];
const starsItem: Ask = ["stars", PROMPT, [TEXTS.verse]];
const correctionItem: Ask = ["correction", PROMPT, [TEXTS.wind]];
const demonstrationItem: Ask = ["demonstration", PROMPT, []];

describeBrowser("the feedback elements", (browser) => {
  let site: Site;
  let watched: WatchedPage;
  let page: Page;

  beforeAll(async () => {
    const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
    site = await serveSite({
      policy: STRICT_POLICY,
      files: {
        "/index.html": PAGE,
        "/page.css": STYLES,
        "/page.js": `import * as feedback from "/feedback.js"; Object.assign(globalThis, feedback, { isReady: true });`,
        "/feedback.js": await bundleForBrowser("web/src/feedback/index.ts"),
        "/axe.js": await readFile(axe, "utf8"),
      },
    });
    watched = await browser.open(site.origin, { viewport: { width: 1000, height: 800 }, reducedMotion: "reduce" });
    page = watched.page;
    page.setDefaultTimeout(15_000);
    await page.waitForFunction("globalThis.isReady");
  });
  afterAll(async () => {
    expect(watched.problems).toEqual([]);
    await site.close();
  });

  it("collects every kind by mouse", async () => {
    await ask(page, [pairItem, pairItem, thumbsItem, starsItem, rankingItem, correctionItem, demonstrationItem]);
    await page.getByRole("button", { name: "B is better" }).click();
    await page.getByRole("button", { name: "About the same" }).click();
    await page.getByRole("button", { name: "Bad" }).click();
    await page.getByRole("button", { name: /Good.*4 of 5/ }).click();
    // The second answer up, the last one tied with the third.
    const [first, second, third, fourth] = await Promise.all([0, 1, 2, 3].map((place) => shownAt(page, 4, place)));
    await page.getByRole("button", { name: "Move answer B up" }).click();
    await page.getByRole("button", { name: "Tie answer D with the one above" }).click();
    await page.getByRole("button", { name: "Save ranking" }).click();
    await textField(page).fill(TEXTS.moon);
    await page.getByRole("button", { name: "Save correction" }).click();
    await textField(page).fill("Because of the Moon.");
    await page.getByRole("button", { name: "Save answer" }).click();
    const ranks: number[] = [];
    for (const [completion, rank] of [
      [second, 1],
      [first, 2],
      [third, 3],
      [fourth, 3],
    ] as const)
      ranks[completion as number] = rank;
    expect(await answers(page)).toEqual([
      { kind: "pair", choice: await shownAt(page, 0, 1) },
      { kind: "pair", choice: "tie" },
      { kind: "thumbs", liked: false },
      { kind: "stars", rating: 4 },
      { kind: "ranking", ranks },
      { kind: "correction", edited: TEXTS.moon },
      { kind: "demonstration", text: "Because of the Moon." },
    ]);
    await page.getByText("All done", { exact: true }).waitFor();
  });

  it("collects every kind by keyboard, going from item to item without a mouse", async () => {
    await ask(page, [pairItem, pairItem, thumbsItem, starsItem, rankingItem, correctionItem, demonstrationItem]);
    await focusItem(page);
    await page.keyboard.press("1");
    await page.keyboard.press("=");
    await page.keyboard.press("1");
    await page.keyboard.press("5");
    // The first answer down twice, then tied with the one it has passed; the focus stays on its handle.
    const order = await Promise.all([0, 1, 2, 3].map((place) => shownAt(page, 4, place)));
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "="]) await page.keyboard.press(key);
    expect(await page.getByRole("status").allTextContents()).toContain("Answer A: rank 2 of 4, tied.");
    // From the handle to the button that saves.
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press("Tab");
      if (await page.getByRole("button", { name: "Save ranking" }).evaluate((button) => button.matches(":focus"))) break;
    }
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Control+End");
    for (let i = 0; i < "wind.".length; i++) await page.keyboard.press("Backspace");
    await page.keyboard.type("Moon.");
    await page.keyboard.press("Control+Enter");
    await page.keyboard.press("Enter");
    await page.keyboard.type("szy12= are letters here.");
    await page.keyboard.press("Control+Enter");
    const ranks: number[] = [];
    for (const [place, rank] of [2, 1, 2, 4].entries()) ranks[order[place] as number] = rank;
    expect(await answers(page)).toEqual([
      { kind: "pair", choice: await shownAt(page, 0, 0) },
      { kind: "pair", choice: "tie" },
      { kind: "thumbs", liked: true },
      { kind: "stars", rating: 5 },
      { kind: "ranking", ranks },
      { kind: "correction", edited: TEXTS.moon },
      { kind: "demonstration", text: "szy12= are letters here." },
    ]);
    expect(await page.getByRole("status").allTextContents()).toContain("Saved. All done.");
  });

  it("asks how much better, by keyboard and by mouse, with a way back", async () => {
    await ask(page, [pairItem, pairItem], { strength: true });
    await focusItem(page);
    for (const key of ["1", "Escape", "2", "4"]) await page.keyboard.press(key);
    await page.getByRole("button", { name: "A is better" }).click();
    await page.getByRole("button", { name: "Slightly" }).click();
    expect(await answers(page)).toEqual([
      { kind: "pair", choice: await shownAt(page, 0, 1), margin: 1 },
      { kind: "pair", choice: await shownAt(page, 1, 0), margin: 1 / 3 },
    ]);
  });

  it("drags a completion to another place, and between two that are tied", async () => {
    await ask(page, [rankingItem]);
    const order = await Promise.all([0, 1, 2, 3].map((place) => shownAt(page, 0, place)));
    await page.getByRole("button", { name: "Tie answer C with the one above" }).click();
    const drag = async (name: string, onto: string) => {
      const [from, to] = await Promise.all(
        [name, onto].map((letter) => page.getByRole("button", { name: `Handle of answer ${letter}` }).boundingBox()),
      );
      if (!from || !to) throw new Error("the handles must be on the page");
      await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
      await page.mouse.down();
      for (let i = 1; i <= 12; i++) await page.mouse.move(to.x + to.width / 2, from.y + from.height / 2 + ((to.y - from.y) * i) / 12);
      await page.waitForTimeout(50);
      await page.mouse.up();
    };
    // D to where A was, then A between B and C, which are tied.
    await drag("D", "A");
    await drag("A", "B");
    await page.getByRole("button", { name: "Save ranking" }).click();
    const ranks: number[] = [];
    for (const [place, rank] of [2, 2, 2, 1].entries()) ranks[order[place] as number] = rank;
    expect(await answers(page)).toEqual([{ kind: "ranking", ranks }]);
  });

  it("skips, takes back and puts back, by mouse and by keyboard; what was written is there again", async () => {
    await ask(page, [demonstrationItem, starsItem, thumbsItem]);
    await textField(page).fill("Because of the Moon.");
    await page.getByRole("button", { name: "Save answer" }).click();
    await page.getByRole("button", { name: "Skip" }).click();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("button", { name: "Redo" }).click();
    expect(await page.evaluate(() => window.session.as("person").progress)).toEqual({ answered: 1, skipped: 1, total: 3 });
    await focusItem(page);
    for (const key of ["s", "z", "z", "z"]) await page.keyboard.press(key);
    expect(await page.evaluate(() => window.session.as("person").progress)).toEqual({ answered: 0, skipped: 0, total: 3 });
    expect(await textField(page).inputValue()).toBe("Because of the Moon.");
    for (const key of ["y", "Z"]) await page.keyboard.press(key);
    expect(await page.evaluate(() => window.session.as("person").progress)).toEqual({ answered: 1, skipped: 1, total: 3 });
  });

  it("takes keys where it may: not while somebody types, not outside unless asked to, not with a modifier", async () => {
    const seen = () => page.evaluate(() => window.session.as("person").records.length);
    await ask(page, [starsItem, starsItem, starsItem]);
    await page.locator("body").press("3");
    expect(await seen()).toBe(0);
    await ask(page, [starsItem, starsItem, starsItem], { shortcuts: "page" });
    await page.locator("#own").focus();
    await page.keyboard.type("3s");
    expect([await page.locator("#own").inputValue(), await seen()]).toEqual(["3s", 0]);
    await page.locator("#own").evaluate((input) => input.blur());
    await page.keyboard.press("Control+3");
    expect(await seen()).toBe(0);
    await page.keyboard.press("3");
    await page.keyboard.press("s");
    expect(await seen()).toBe(2);
    await ask(page, [starsItem], { shortcuts: "off" });
    await focusItem(page);
    await page.keyboard.press("3");
    expect(await seen()).toBe(0);
  });

  it("shows texts as texts, every space of them, whatever they say", async () => {
    await ask(page, [
      ["pair", TEXTS.markup, [TEXTS.markup, TEXTS.long]],
      ["ranking", TEXTS.markup, [TEXTS.markup, "x"]],
    ]);
    const title = await page.title();
    const texts = () =>
      page
        .locator("trimtab-feedback p.text")
        .evaluateAll((all) => all.map((text) => [text.textContent, getComputedStyle(text).whiteSpaceCollapse, text.childElementCount]));
    const shown = (...contents: string[]) => contents.map((content) => [content, "preserve", 0]);
    expect((await texts()).sort()).toEqual(shown(TEXTS.markup, TEXTS.markup, TEXTS.long).sort());
    await focusItem(page);
    await page.keyboard.press("1");
    expect((await texts()).sort()).toEqual(shown(TEXTS.markup, TEXTS.markup, "x").sort());
    expect(await page.title()).toBe(title);
  });

  it("takes a prompt and completions instead of a session, and tells of every answer", async () => {
    const events = await page.evaluate(
      async (texts) => {
        const element = document.createElement("trimtab-feedback");
        const details: unknown[] = [];
        document.body.addEventListener("feedback", (event) => details.push(event.detail));
        document.querySelector("main")?.append(element);
        element.rater = "ann";
        for (const kind of ["pair", "thumbs"] as const) {
          Object.assign(element, { kind, prompt: "p", completions: [...texts] });
          await element.updateComplete;
          const inner = element.shadowRoot?.querySelector<TrimtabFeedback>(".current");
          inner?.press("1");
          await element.updateComplete;
        }
        const order = element.session.as("ann").order(element.session.items[0] as never);
        element.remove();
        return { details, order };
      },
      [TEXTS.wind, TEXTS.verse],
    );
    const completions = [{ content: TEXTS.wind }, { content: TEXTS.verse }];
    expect(events.details).toEqual([
      {
        item: { id: "1", kind: "pair", prompt: "p", completions },
        answer: { kind: "pair", choice: events.order[0] },
        rater: "ann",
        order: events.order,
      },
      {
        item: { id: "2", kind: "thumbs", prompt: "p", completions: [completions[0]] },
        answer: { kind: "thumbs", liked: true },
        rater: "ann",
        order: [0],
      },
    ]);
  });

  const states: readonly (readonly [name: string, items: readonly Ask[], act?: (page: Page) => Promise<unknown>])[] = [
    ["pair", [pairItem, starsItem]],
    ["pair-nearly-the-same", [["pair", PROMPT, [TEXTS.wind, TEXTS.moon]], starsItem]],
    [
      "pair-how-much",
      [pairItem, starsItem],
      async (page) => {
        await page.evaluate(() => Object.assign(window.element, { strength: true }));
        await page.getByRole("button", { name: "B is better" }).click();
      },
    ],
    [
      "ranking",
      [rankingItem, starsItem],
      async (page) => {
        await page.getByRole("button", { name: "Tie answer B with the one above" }).click();
        await page.getByRole("button", { name: "Handle of answer C" }).focus();
        await page.keyboard.press("ArrowDown");
      },
    ],
    ["thumbs", [starsItem, thumbsItem, pairItem], (page) => page.getByRole("button", { name: "Skip" }).click()],
    ["stars", [starsItem, pairItem], (page) => page.getByRole("button", { name: /Fair.*3 of 5/ }).hover()],
    ["correction", [correctionItem, pairItem], (page) => textField(page).fill(TEXTS.moon)],
    ["demonstration", [demonstrationItem, pairItem]],
    [
      "done",
      [starsItem, thumbsItem],
      async (page) => {
        await page.getByRole("button", { name: /Good.*4 of 5/ }).click();
        await page.getByRole("button", { name: "Skip" }).click();
      },
    ],
    ["empty", []],
  ];

  it.each(["light", "dark"] as const)("has no violation that axe finds, in %s, and fits a phone", async (colorScheme) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const found: string[] = [];
    for (const [name, items, act] of states) {
      await page.setViewportSize({ width: 1000, height: 800 });
      await ask(page, items);
      await act?.(page);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const { id, nodes } of violations) found.push(`${name}: ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      await screenshot(page, PICTURES, `feedback-${name}-${colorScheme}`);
      await page.setViewportSize({ width: 360, height: 740 });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) found.push(`${name}: ${overflow} px wider than a phone`);
      if (colorScheme === "light") await screenshot(page, PICTURES, `feedback-${name}-phone`);
    }
    expect(found).toEqual([]);
  });
});
