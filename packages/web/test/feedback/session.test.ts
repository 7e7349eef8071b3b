/** The feedback session: its queue, undo and redo, several raters, agreement, and its state as JSON. */
import { DataError } from "@trimtab/core";
import { FeedbackSession, type FeedbackSessionState, feedbackItems } from "@trimtab/web";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyAnswer, anyItem } from "./arbitraries";

const pair = feedbackItems("pair", "Snow is", [" white.", " green."]);
const stars = feedbackItems("stars", "Snow is", [" white."]);

/** Answers by rater and item, as a plain table that knows nothing of sessions. */
type Table = Record<string, Record<string, unknown>>;

const tableOf = (session: FeedbackSession): Table => {
  const table: Table = {};
  for (const { name, done } of session.toJSON().raters) {
    if (done.length > 0) table[name] = Object.fromEntries(done.map(({ item, answer }) => [item, answer]));
  }
  return table;
};

/** What raters do: answer what comes next, skip it, or go back and forth. */
const deeds = fc.array(
  fc.record({ rater: fc.constantFrom("ann", "bob"), deed: fc.constantFrom("answer", "skip", "undo", "redo"), choice: fc.nat(1_000_000) }),
  { maxLength: 40, size: "max" },
);

function perform(session: FeedbackSession, { rater: name, deed, choice }: { rater: string; deed: string; choice: number }): void {
  const rater = session.as(name);
  const { current } = rater;
  if (deed === "undo") rater.undo();
  else if (deed === "redo") rater.redo();
  else if (!current) return;
  else if (deed === "skip") rater.skip();
  else rater.answer(fc.sample(anyAnswer(current), { numRuns: 1, seed: choice })[0] as never);
}

describe("the queue", () => {
  it("asks for one item after another until none is left", () => {
    const session = new FeedbackSession({ items: [...pair, ...stars] });
    const ann = session.as("ann");
    expect(ann.current?.kind).toBe("pair");
    ann.skip();
    expect(ann.current?.kind).toBe("stars");
    ann.answer({ kind: "stars", rating: 4 });
    expect(ann.current).toBeUndefined();
    expect(ann.progress).toEqual({ answered: 1, skipped: 1, total: 2 });
    expect(session.as("bob").progress).toEqual({ answered: 0, skipped: 0, total: 2 });
    session.add(...pair);
    expect(ann.current?.id).toBe("3");
  });

  it("refuses what does not fit, by name", () => {
    const session = new FeedbackSession({ items: pair });
    const ann = session.as("ann");
    const refused = (act: () => unknown, message: RegExp) => {
      expect(act).toThrow(DataError);
      expect(act).toThrow(message);
    };
    refused(() => ann.answer({ kind: "stars", rating: 4 }), /of the item's kind, pair/);
    refused(() => ann.answer({ kind: "pair", choice: "tie", margin: 1 }), /a tie must have no margin/);
    refused(() => ann.answer({ kind: "pair", choice: 2 as 0 }), /choice must be 0, 1 or "tie"/);
    ann.answer({ kind: "pair", choice: 0 });
    refused(() => ann.skip(), /an item left to answer/);
    refused(() => ann.answer({ kind: "pair", choice: 1 }, session.items[0]), /one record of a rater/);
    refused(
      () => session.add({ kind: "pair", prompt: "Snow is", completions: [{ content: " white." }] }),
      /a pair must have completions: 2/,
    );
    refused(() => session.add({ kind: "thumbs", prompt: "", completions: [{ content: "x" }] }), /prompt must be text or messages/);
    refused(
      () => session.add({ kind: "thumbs", prompt: "x", completions: [{ content: [{ role: "assistant", content: "y" }] }] }),
      /completions must be text where the prompt is/,
    );
    refused(() => session.add({ ...(pair[0] as (typeof pair)[0]), id: "1" }), /id must be unique/);
    expect(session.items.length).toBe(1);
  });

  it("makes items of any number of completions, equal ones once", () => {
    const completions = ["a", "b", "a", { content: "c", temperature: 0.5 }];
    const contents = (kind: "pair" | "ranking" | "thumbs" | "demonstration") =>
      feedbackItems(kind, "p", completions).map((item) => item.completions.map(({ content }) => content).join(""));
    expect(contents("pair")).toEqual(["ab", "ac", "bc"]);
    expect(contents("ranking")).toEqual(["abc"]);
    expect(contents("thumbs")).toEqual(["a", "b", "c"]);
    expect(contents("demonstration")).toEqual([""]);
    expect(feedbackItems("pair", "p", ["a", "a"])).toEqual([]);
  });
});

describe("undo and redo", () => {
  it("redo puts back exactly what undo took, and undo what redo put back", () => {
    fc.assert(
      fc.property(
        fc.array(anyItem, { minLength: 1, maxLength: 6 }),
        deeds,
        fc.nat(10),
        fc.constantFrom("ann", "bob"),
        (items, done, count, name) => {
          const session = new FeedbackSession({ items });
          for (const deed of done) perform(session, deed);
          const before = session.toJSON();
          const rater = session.as(name);
          const joined = session.toJSON();
          let undone = 0;
          while (undone < count && rater.undo()) undone++;
          expect(undone).toBe(Math.min(count, before.raters.find((log) => log.name === name)?.done.length ?? 0));
          for (let i = 0; i < undone; i++) expect(rater.redo()).toBeDefined();
          expect(session.toJSON()).toEqual(joined);
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it("does what a list with a cursor for each rater would do", () => {
    fc.assert(
      fc.property(fc.array(anyItem, { minLength: 1, maxLength: 6 }), deeds, (items, done) => {
        const session = new FeedbackSession({ items });
        const lists: Record<string, { steps: [string, unknown][]; at: number }> = { ann: { steps: [], at: 0 }, bob: { steps: [], at: 0 } };
        for (const deed of done) {
          const list = lists[deed.rater] as (typeof lists)[string];
          if (deed.deed === "undo") list.at = Math.max(0, list.at - 1);
          else if (deed.deed === "redo") list.at = Math.min(list.steps.length, list.at + 1);
          perform(session, deed);
          if (deed.deed !== "answer" && deed.deed !== "skip") continue;
          const last = session.as(deed.rater).records[list.at];
          if (last) list.steps.splice(list.at++, Number.POSITIVE_INFINITY, [last.item, last.answer]);
        }
        const expected: Table = {};
        for (const [name, { steps, at }] of Object.entries(lists)) if (at > 0) expected[name] = Object.fromEntries(steps.slice(0, at));
        expect(tableOf(session)).toEqual(expected);
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it("an answer after an undo forgets what was undone, and what was taken back can be begun with", () => {
    const session = new FeedbackSession({ items: [...stars, ...pair] });
    const ann = session.as("ann");
    ann.answer({ kind: "stars", rating: 2 });
    ann.undo();
    expect(ann.takenBack(session.items[0] as never)).toEqual({ kind: "stars", rating: 2 });
    expect([ann.canUndo, ann.canRedo]).toEqual([false, true]);
    ann.answer({ kind: "stars", rating: 5 });
    expect([ann.canUndo, ann.canRedo, ann.redo()]).toEqual([true, false, undefined]);
    expect(session.feedback.map(({ answer }) => answer)).toEqual([{ kind: "stars", rating: 5 }]);
  });

  it("tells those who watch, until they stop watching", () => {
    const session = new FeedbackSession();
    const seen: string[] = [];
    const stop = session.subscribe(({ type }) => seen.push(type));
    session.add(...stars);
    const ann = session.as("ann");
    ann.answer({ kind: "stars", rating: 2 });
    ann.undo();
    ann.redo();
    ann.undo();
    ann.skip();
    stop();
    ann.undo();
    expect(seen).toEqual(["items", "answer", "undo", "redo", "undo", "skip"]);
  });
});

describe("the order of completions", () => {
  const items = Array.from({ length: 400 }, (_, i) => ({ ...(pair[0] as (typeof pair)[0]), prompt: `Snow ${i} is` }));

  it("is a permutation that the seed, the rater and the item decide, and that the record keeps", () => {
    const orders = (seed: number, rater: string) => {
      const session = new FeedbackSession({ seed, items });
      session.as("ann");
      return session.items.map((item) => session.as(rater).order(item).join(""));
    };
    const ann = orders(7, "ann");
    expect(new Set(ann)).toEqual(new Set(["01", "10"]));
    expect(orders(7, "ann")).toEqual(ann);
    expect(orders(7, "bob")).not.toEqual(ann);
    expect(orders(8, "ann")).not.toEqual(ann);
    // 400 fair coins: 200, give or take 10.
    for (const seen of [ann, orders(7, "bob"), orders(8, "ann")]) {
      expect(Math.abs(seen.filter((order) => order === "10").length - 200)).toBeLessThan(50);
    }
    const session = new FeedbackSession({ seed: 7, items });
    expect(session.as("ann").answer({ kind: "pair", choice: 0 }).order?.join("")).toBe(ann[0]);
  });

  it("shows a bias for the first place", () => {
    const session = new FeedbackSession({ seed: 7, items: items.slice(0, 8) });
    expect(session.positionBias()).toBeNaN();
    const ann = session.as("ann");
    for (const [i, item] of session.items.entries()) {
      if (i === 7) ann.answer({ kind: "pair", choice: "tie" });
      else ann.answer({ kind: "pair", choice: ann.order(item)[i === 0 ? 1 : 0] as 0 | 1 });
    }
    // 6 of 7 choices fell on the first.
    expect(session.positionBias()).toBeCloseTo(6 / 7 - 1 / 2, 12);
  });
});

describe("the state", () => {
  it("comes back exactly from JSON", () => {
    fc.assert(
      fc.property(fc.array(anyItem, { minLength: 1, maxLength: 6 }), deeds, fc.nat(0xffffffff), (items, done, seed) => {
        const session = new FeedbackSession({ seed, items });
        for (const deed of done) perform(session, deed);
        const back = FeedbackSession.fromJSON(JSON.parse(JSON.stringify(session)) as FeedbackSessionState);
        expect(JSON.stringify(back)).toBe(JSON.stringify(session));
        for (const name of ["ann", "bob"]) {
          expect(back.as(name).current?.id).toBe(session.as(name).current?.id);
          for (const [i, item] of session.items.entries()) {
            if (session.raters.includes(name)) expect(back.as(name).order(back.items[i] as never)).toEqual(session.as(name).order(item));
          }
        }
      }),
      { numRuns: 60, seed: 3 },
    );
  });

  it("is checked when it comes back", () => {
    const state = new FeedbackSession({ items: pair }).toJSON();
    const withRecord = (record: object) => ({ ...state, raters: [{ name: "ann", done: [{ rater: "ann", ...record }], undone: [] }] });
    expect(() => FeedbackSession.fromJSON({ ...state, version: 2 as 1 })).toThrow(/version must be 1/);
    expect(() => FeedbackSession.fromJSON(withRecord({ item: "9", answer: null }) as never)).toThrow(/one of the items/);
    expect(() => FeedbackSession.fromJSON(withRecord({ item: "1", answer: { kind: "pair", choice: 3 } }) as never)).toThrow(
      /choice must be/,
    );
    expect(() => FeedbackSession.fromJSON({ ...state, seed: -1 })).toThrow(/seed must be a whole number/);
  });
});

describe("agreement", () => {
  it("equals what is worked out by hand for two raters of 50 items", () => {
    const session = new FeedbackSession({ items: Array.from({ length: 50 }, (_, i) => feedbackItems("thumbs", `p${i}`, ["x"])).flat() });
    // Both like 20, ann alone 5, bob alone 10, neither 15: kappa = (0.7 - 0.5) / 0.5; alpha = 1 - 0.3 / (2 · 55 · 45 / (100 · 99)).
    for (let i = 0; i < 50; i++) {
      session.as("ann").answer({ kind: "thumbs", liked: i < 25 });
      session.as("bob").answer({ kind: "thumbs", liked: i < 20 || (i >= 25 && i < 35) });
    }
    const { units, percent, alpha, kappas } = session.agreement("thumbs");
    expect([units, percent]).toEqual([50, 0.7]);
    expect(alpha).toBeCloseTo(0.4, 12);
    expect(kappas.map(({ raters, units }) => [...raters, units])).toEqual([["ann", "bob", 50]]);
    expect(kappas[0]?.kappa).toBeCloseTo(0.4, 12);
  });

  it("compares rankings two completions at a time, and leaves out what one rater only judged", () => {
    const session = new FeedbackSession({ items: ["p", "q"].flatMap((prompt) => feedbackItems("ranking", prompt, ["a", "b", "c"])) });
    session.as("ann").answer({ kind: "ranking", ranks: [1, 2, 3] });
    session.as("ann").answer({ kind: "ranking", ranks: [1, 2, 3] });
    session.as("bob").answer({ kind: "ranking", ranks: [1, 3, 2] });
    session.as("bob").skip();
    expect(session.agreement("ranking")).toMatchObject({ units: 3, percent: 2 / 3 });
    expect(session.agreement("pair")).toEqual({ units: 0, percent: Number.NaN, alpha: Number.NaN, kappas: [] });
  });

  it("weighs how far stars differ", () => {
    const session = new FeedbackSession({ items: ["p", "q", "r"].flatMap((prompt) => feedbackItems("stars", prompt, ["a"])) });
    for (const [a, b] of [
      [1, 2],
      [3, 3],
      [5, 4],
    ] as const) {
      session.as("ann").answer({ kind: "stars", rating: a });
      session.as("bob").answer({ kind: "stars", rating: b });
    }
    // Squares: observed 2 / 3; expected over 1, 3, 5 × 2, 3, 4: (1 + 4 + 9 + 1 + 0 + 1 + 9 + 4 + 1) / 9 = 30 / 9.
    expect(session.agreement("stars").kappas[0]?.kappa).toBeCloseTo(1 - 2 / 3 / (30 / 9), 12);
  });
});
