/** Feedback as rows of datasets: what each answer becomes, and that what goes out comes in again. */
import { ConfigError, canonicalJson, DataError, type DatasetRow, parseJsonl } from "@trimtab/core";
import { FEEDBACK_FORMATS, type FeedbackFormat, type FeedbackKind, FeedbackSession, feedbackItems } from "@trimtab/web";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyAnswer, anyItem } from "./arbitraries";

/** A session in which ann answers everything; each kind once, with two tied completions in the ranking. */
function answered(): FeedbackSession {
  const completion = (content: string, temperature: number) => ({ content, temperature, source: "base" });
  const session = new FeedbackSession({
    seed: 1,
    items: [
      ...feedbackItems("pair", "Snow is", [completion(" white.", 0.3), completion(" green.", 1)], { topic: "snow" }),
      ...feedbackItems("pair", "Coal is", [" black.", " dark."]),
      ...feedbackItems("ranking", "Grass is", [" green.", " blue.", " soft."]),
      ...feedbackItems("thumbs", "Milk is", [completion(" white.", 0.3)]),
      ...feedbackItems("stars", "Tea is", [" hot."]),
      ...feedbackItems("stars", "Tea is", [" a fish."]),
      ...feedbackItems("correction", "Ink is", [" blu."]),
      ...feedbackItems("demonstration", [{ role: "user", content: "Hello" }], []),
    ],
  });
  const ann = session.as("ann");
  ann.answer({ kind: "pair", choice: 0, margin: 1 });
  ann.answer({ kind: "pair", choice: "tie" });
  ann.answer({ kind: "ranking", ranks: [1, 3, 1] });
  ann.answer({ kind: "thumbs", liked: true });
  ann.answer({ kind: "stars", rating: 5 });
  ann.answer({ kind: "stars", rating: 1 });
  ann.answer({ kind: "correction", edited: " blue." });
  ann.answer({ kind: "demonstration", text: "Good morning." });
  return session;
}

/** Rows without the places, which a seed decides. */
const plain = (rows: readonly DatasetRow[]) => rows.map(({ positions: _, ...row }) => row);

describe("what answers become", () => {
  it("is what each format says", () => {
    const session = answered();
    const origin = { temperatures: [0.3, 1], sources: ["base", "base"] };
    const snow = { rater: "ann", topic: "snow", prompt: "Snow is", chosen: " white.", rejected: " green.", margin: 1, ...origin };
    const ink = { rater: "ann", prompt: "Ink is" };
    expect(plain(session.rows("preference"))).toEqual([
      snow,
      { rater: "ann", prompt: "Grass is", chosen: " green.", rejected: " blue.", group: "ranking 1" },
      { rater: "ann", prompt: "Grass is", chosen: " soft.", rejected: " blue.", group: "ranking 1" },
      { ...ink, chosen: " blue.", rejected: " blu." },
    ]);
    expect(plain(session.rows("ranked"))).toEqual([
      { rater: "ann", prompt: "Grass is", completions: [" green.", " blue.", " soft."], ranks: [1, 3, 1] },
      { rater: "ann", topic: "snow", prompt: "Snow is", completions: [" white.", " green."], ranks: [1, 2], ...origin },
      { rater: "ann", prompt: "Coal is", completions: [" black.", " dark."], ranks: [1, 1] },
    ]);
    expect(session.rows("unpaired")).toEqual([
      { rater: "ann", prompt: "Milk is", completion: " white.", label: true, temperature: 0.3, source: "base" },
    ]);
    expect(session.rows("rated").map(({ completion, rating }) => [completion, rating])).toEqual([
      [" hot.", 5],
      [" a fish.", 1],
    ]);
    expect(session.rows("correction")).toEqual([{ ...ink, completion: " blu.", edited: " blue." }]);
    expect(session.rows("sft")).toEqual([
      { rater: "ann", prompt: [{ role: "user", content: "Hello" }], completion: [{ role: "assistant", content: "Good morning." }] },
      { ...ink, completion: " blue." },
    ]);
  });

  it("is inferred from other kinds on request only", () => {
    const session = answered();
    expect(plain(session.rows("preference", { kinds: ["stars"] }))).toEqual([
      { rater: "ann", prompt: "Tea is", chosen: " hot.", rejected: " a fish.", margin: 4, group: "stars 1" },
    ]);
    expect(session.rows("unpaired", { kinds: ["pair"] }).map(({ completion, label }) => [completion, label])).toEqual([
      [" white.", true],
      [" green.", false],
    ]);
    expect(session.rows("sft", { kinds: "all" }).map(({ completion }) => completion)).toContain(" hot.");
    expect(() => session.rows("rated", { kinds: ["pair"] })).toThrow(ConfigError);
  });

  it("says at which place each completion was shown", () => {
    const session = answered();
    const [first] = session.rows("preference");
    const order = session.as("ann").order(session.items[0] as never);
    expect(first?.positions).toEqual([order.indexOf(0) + 1, order.indexOf(1) + 1]);
  });
});

/** The kind whose answers a format writes down as they are. */
const natives: Readonly<Record<FeedbackFormat, FeedbackKind>> = {
  preference: "pair",
  unpaired: "thumbs",
  ranked: "ranking",
  rated: "stars",
  correction: "correction",
  sft: "demonstration",
};

const sorted = (rows: readonly DatasetRow[]) => rows.map(canonicalJson).sort();
const asLines = (rows: readonly DatasetRow[]) => parseJsonl(rows.map((row) => JSON.stringify(row)).join("\n"));

describe("export and import", () => {
  it.each(FEEDBACK_FORMATS)("%s rows come out of a session as they went in", (format) => {
    const kinds = [natives[format]];
    fc.assert(
      fc.property(fc.array(anyItem, { minLength: 1, maxLength: 8 }), fc.nat(1_000_000), (items, seed) => {
        const session = new FeedbackSession({ seed, items });
        for (const name of ["ann", "bob"]) {
          for (const item of session.items)
            session.as(name).answer(fc.sample(anyAnswer(item), { numRuns: 1, seed: seed + item.id.length })[0] as never, item);
        }
        const rows = session.rows(format, { kinds });
        fc.pre(rows.length > 0);
        const back = new FeedbackSession();
        const { dropped } = back.import(asLines(rows));
        expect(dropped).toEqual([]);
        expect(sorted(back.rows(format, { kinds }))).toEqual(sorted(rows));
      }),
      { numRuns: 60, seed: 4 },
    );
  });

  it("what raters said of the same completions meets in one item, in whatever order they were", () => {
    const session = new FeedbackSession();
    const row = { prompt: "Snow is", chosen: " white.", rejected: " green." };
    const found = session.import([
      { ...row, rater: "ann", positions: [1, 2] },
      { ...row, chosen: " green.", rejected: " white.", rater: "bob", positions: [1, 2] },
      { ...row, rater: "ann" },
      { ...row },
    ]);
    expect([found.items.length, found.answers]).toEqual([2, 4]);
    expect(
      session.feedback.map(({ item, rater, answer, order }) => [item.id, rater, answer.kind === "pair" && answer.choice, order]),
    ).toEqual([
      ["1", "ann", 0, [0, 1]],
      ["1", "bob", 1, [1, 0]],
      ["1", "imported", 0, undefined],
      ["2", "ann", 0, undefined],
    ]);
    expect(session.agreement("pair").kappas.map(({ raters }) => raters.join(" "))).toContain("ann bob");
  });

  it("reads what others write: implicit prompts, strengths, thumbs, prompts to answer", () => {
    const session = new FeedbackSession();
    session.import([{ prompt: "Snow is", chosen: " white.", rejected: " green.", strength: "slightly better" }]);
    session.import([{ chosen: "Snow is white.", rejected: "Snow is green." }]);
    session.import([{ prompt: "Milk is", completion: " white.", thumb: "up" }], { rater: "ann" });
    session.import([{ prompt: "Tea is", topic: "tea" }]);
    expect(session.rows("preference")).toEqual([
      { rater: "imported", prompt: "Snow is", chosen: " white.", rejected: " green.", margin: 1 / 3 },
      { rater: "imported", prompt: "Snow is", chosen: " white.", rejected: " green." },
    ]);
    expect(session.rows("unpaired")).toEqual([{ rater: "ann", prompt: "Milk is", completion: " white.", label: true }]);
    expect(session.as("ann").current).toMatchObject({ kind: "pair" });
    expect(session.items.at(-1)).toMatchObject({ kind: "demonstration", prompt: "Tea is", completions: [], columns: { topic: "tea" } });
  });

  it("names the line of a bad row and leaves the session as it was", () => {
    const session = new FeedbackSession();
    const good = { prompt: "Tea is", completion: " hot.", rating: 4 };
    expect(() => session.import([good, { ...good, rating: 6 }])).toThrow(/line 2.*scale from 1 to 5/);
    expect(() => session.import([good, { ...good, rating: 2.5 }])).toThrow(/line 2.*whole number from 1 to 5/);
    expect(() => session.import([{ prompt: "Snow is", chosen: "a", rejected: "b", positions: [1, 1] }])).toThrow(DataError);
    expect(() => session.import([{ text: "Snow is white." }])).toThrow(ConfigError);
    expect(session.items).toEqual([]);
  });

  it("says which rows cannot be answers", () => {
    const messages = [
      { role: "assistant", content: "a" },
      { role: "user", content: "b" },
      { role: "assistant", content: "c" },
    ];
    const found = new FeedbackSession().import([
      { prompt: "Tea is", completion: " hot." },
      { prompt: [{ role: "user", content: "Tea?" }], completion: messages },
    ]);
    expect([found.answers, found.dropped]).toEqual([1, [{ line: 2, reason: "demonstration that is not one message of the assistant" }]]);
  });
});
