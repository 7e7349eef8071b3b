/** Converters of feedback: worked rows, counts and orders that must hold, and real files. */
/// <reference types="node" />
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Conversion, countReasons } from "../src/data/conversion";
import { convertRows } from "../src/data/convert";
import { maybeConvertToChatml } from "../src/data/converters/chatml";
import { correctionsToDemonstrations, correctionsToPreferences } from "../src/data/converters/corrections";
import { hhRlhfToPreferences } from "../src/data/converters/hh-rlhf";
import {
  explicitPreferences,
  preferencesToDemonstrations,
  preferencesToRanked,
  unpairPreferences,
} from "../src/data/converters/preferences";
import { rankedToDemonstrations, rankedToPreferences } from "../src/data/converters/ranked";
import { normalizeRatings, ratingsToPreferences, ratingsToRanked, ratingsToUnpaired } from "../src/data/converters/ratings";
import { stepwiseToProcessRewards } from "../src/data/converters/stepwise";
import { summarizeAxesToRated, summarizeComparisonsToPreferences } from "../src/data/converters/summarize-from-feedback";
import { thumbsToUnpaired, unpairedToDemonstrations } from "../src/data/converters/unpaired";
import { readPreference, readRanked, readUnpaired } from "../src/data/feedback";
import type { Message } from "../src/data/formats";
import { type DatasetRow, parseJsonl } from "../src/data/jsonl";
import { at } from "./fixture-files";

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const reasons = ({ dropped }: Conversion) => Object.fromEntries(countReasons(dropped));

describe("ranked lists", () => {
  const row = { prompt: "p", completions: ["c", "a", "b", "b2"], ranks: [4, 1, 2, 2], by: "me" };

  test("all pairs but ties, best first, in one group", () => {
    const result = rankedToPreferences([{ ...row, prompt: "o", completions: ["x", "y"], ranks: [1, 1] }, row]);
    expect(result.rows.map(({ chosen, rejected }) => `${chosen}>${rejected}`)).toEqual(["a>b", "a>b2", "a>c", "b>c", "b2>c"]);
    expect(result.rows[0]).toEqual({ group: 2, by: "me", prompt: "p", chosen: "a", rejected: "b" });
    expect([...result.lines]).toEqual([2, 2, 2, 2, 2]);
    expect(result.dropped).toEqual([
      { line: 1, reason: "pair of equal rank" },
      { line: 2, reason: "pair of equal rank" },
    ]);
    expect(rankedToPreferences([{ ...row, group: "g7" }]).rows[0]).toMatchObject({ group: "g7" });
  });

  test("laws: C(K, 2) pairs less the ties, every pair in the order of its ranks, each once", () => {
    const lists = fc.integer({ min: 2, max: 7 }).chain((k) => fc.array(fc.integer({ min: 1, max: 4 }), { minLength: k, maxLength: k }));
    fc.assert(
      fc.property(fc.array(lists, { minLength: 1, maxLength: 3 }), (data) => {
        const ranked = data.map((ranks) => ranks.map((rank) => rank - Math.min(...ranks) + 1));
        const rows = ranked.map((ranks) => ({ prompt: "p", completions: ranks.map((_, i) => `${i}`), ranks }));
        const { rows: pairs, lines, dropped } = rankedToPreferences(rows);
        ranked.forEach((ranks, n) => {
          const mine = pairs.filter(({ group }) => group === n + 1);
          const ties = dropped.filter(({ line }) => line === n + 1).length;
          expect(mine.length + ties).toBe((ranks.length * (ranks.length - 1)) / 2);
          expect(ties).toBe(ranks.flatMap((r, i) => ranks.slice(i + 1).filter((other) => other === r)).length);
          for (const { chosen, rejected } of mine) expect(ranks[Number(chosen)]!).toBeLessThan(ranks[Number(rejected)]!);
          expect(new Set(mine.map(({ chosen, rejected }) => `${chosen} ${rejected}`)).size).toBe(mine.length);
        });
        expect([...lines].sort((a, b) => a - b)).toEqual(lines);
      }),
      { seed: 5, numRuns: 100 },
    );
  });

  test("pairs become lists of two again, and the best become demonstrations", () => {
    const pairs = rankedToPreferences([{ prompt: "p", completions: ["worse", "better"], ranks: [2, 1] }]);
    expect(preferencesToRanked(pairs.rows).rows).toEqual([{ prompt: "p", completions: ["better", "worse"], ranks: [1, 2] }]);
    const best = rankedToDemonstrations([row, { ...row, ranks: [2, 1, 1, 3] }]);
    expect(best.rows.map(({ completion }) => completion)).toEqual(["a", "a", "b"]);
  });
});

describe("ratings", () => {
  const rated = (prompt: string, completion: string, rating: number, rater?: string): DatasetRow => ({
    prompt,
    completion,
    rating,
    ...(rater ? { rater } : {}),
  });
  const rows = [
    rated("p", "a", 5, "mild"),
    rated("p", "b", 4, "mild"),
    rated("q", "a", 1, "mild"),
    rated("p", "a", 3, "strict"),
    rated("p", "c", 1, "strict"),
    rated("p", "b", 3, "strict"),
  ];
  const pairs = ({ rows }: Conversion) => rows.map(({ chosen, rejected, margin, group }) => `${chosen}>${rejected} ${margin} of ${group}`);

  test("pairs of one rater, with the difference as margin", () => {
    const result = ratingsToPreferences(rows);
    expect(pairs(result)).toEqual(["a>b 1 of 1", "a>c 2 of 4", "b>c 2 of 4"]);
    expect(result.rows[1]).toMatchObject({ rater: "strict", prompt: "p" });
    expect(reasons(result)).toEqual({ "no other completion to compare with": 1, "pair of equal rating": 1 });
    expect(pairs(ratingsToPreferences(rows, { minMargin: 2 }))).toEqual(["a>c 2 of 4", "b>c 2 of 4"]);
  });

  test("pooled: means over the raters", () => {
    const result = ratingsToPreferences(rows, { pooling: "pooled" });
    expect(pairs(result)).toEqual(["a>b 0.5 of 1", "a>c 3 of 1", "b>c 2.5 of 1"]);
    expect(result.rows[0]).not.toHaveProperty("rater");
    expect(ratingsToRanked(rows, { pooling: "pooled" }).rows).toEqual([{ prompt: "p", completions: ["a", "b", "c"], ranks: [1, 2, 3] }]);
    expect(ratingsToRanked(rows).rows.map(({ ranks }) => ranks)).toEqual([
      [1, 2],
      [1, 1, 3],
    ]);
  });

  test("laws: margins are positive, and rating to list to pairs is rating to pairs", () => {
    const data = fc.array(
      fc.tuple(fc.constantFrom("p", "q"), fc.constantFrom("a", "b", "c", "d"), fc.integer({ min: 1, max: 3 }), fc.constantFrom("r", "s")),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(data, (tuples) => {
        const all = tuples.map((tuple) => rated(...tuple));
        const direct = ratingsToPreferences(all).rows;
        for (const { margin } of direct) expect(margin as number).toBeGreaterThan(0);
        const name = ({ prompt, chosen, rejected, rater }: DatasetRow) => `${prompt} ${chosen} ${rejected} ${rater}`;
        expect(rankedToPreferences(ratingsToRanked(all).rows).rows.map(name).sort()).toEqual(direct.map(name).sort());
      }),
      { seed: 6, numRuns: 100 },
    );
  });

  test("liked or not, at a threshold", () => {
    const result = ratingsToUnpaired(rows, { scale: [1, 5] });
    expect(result.rows.map(({ completion, label }) => `${completion} ${label}`)).toEqual(["a true", "b true", "a false", "c false"]);
    expect(reasons(result)).toEqual({ "rating at the threshold": 2 });
    expect(ratingsToUnpaired(rows, { threshold: 4.5 }).rows.filter(({ label }) => label)).toEqual([
      { prompt: "p", completion: "a", label: true, rater: "mild" },
    ]);
    expect(() => ratingsToUnpaired(rows)).toThrow("a threshold or a scale");
  });

  test("targets of a regression, by scale and by rater", () => {
    expect(normalizeRatings(rows, { by: "scale", scale: [1, 5] }).rows.map(({ rating }) => rating)).toEqual([1, 0.75, 0, 0.5, 0, 0.5]);
    const z = normalizeRatings([rated("p", "a", 2, "r"), rated("p", "b", 4, "r"), rated("p", "c", 3, "s")], { by: "rater" });
    expect(z.rows.map(({ rating, rater }) => [rating, rater])).toEqual([
      [-1, "r"],
      [1, "r"],
      [0, "s"],
    ]);
    const tenths = [0.1, 0.1, 0.1].map((rating) => rated("p", "a", rating));
    expect(normalizeRatings(tenths, { by: "rater" }).rows.map(({ rating }) => rating)).toEqual([0, 0, 0]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 2, maxLength: 20 }), (values) => {
        const scores = normalizeRatings(
          values.map((v, i) => rated("p", `${i}`, v)),
          { by: "rater" },
        ).rows.map((row) => row.rating as number);
        const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
        expect(sum(scores)).toBeCloseTo(0, 9);
        if (new Set(values).size > 1) expect(sum(scores.map((s) => s * s))).toBeCloseTo(values.length, 9);
      }),
      { seed: 7, numRuns: 100 },
    );
  });

  test("scales that are none are errors, and so are ratings off the scale", () => {
    expect(() => normalizeRatings(rows, { by: "scale" })).toThrow("two rising numbers, got none");
    expect(() => ratingsToPreferences(rows, { scale: [5, 1] })).toThrow("two rising numbers, got 5 and 1");
    expect(() => ratingsToPreferences(rows, { minMargin: -1 })).toThrow("minMargin");
    expect(() => ratingsToRanked(rows, { scale: [1, 4] })).toThrow("dataset line 1: `rating` must be on the scale from 1 to 4, got 5");
  });
});

describe("preferences", () => {
  test("prompts and margins are written out; equal completions are dropped", () => {
    const result = explicitPreferences([
      { chosen: "Snow is white.", rejected: "Snow is green.", strength: "better", source: "x" },
      { prompt: "a", chosen: "b", rejected: "b" },
      { chosen: "same", rejected: "same" },
    ]);
    expect(result.rows).toEqual([{ source: "x", prompt: "Snow is", chosen: " white.", rejected: " green.", margin: 2 / 3 }]);
    expect(reasons(result)).toEqual({ "equal completions": 2 });
    expect(() => explicitPreferences([{ prompt: "a" }])).toThrow("`chosen`");
  });

  test("unpaired: all chosen ones, then all rejected ones", () => {
    const rows = [
      { prompt: "Snow is", chosen: " white.", rejected: " green.", id: 1 },
      { prompt: "Grass is", chosen: " green.", rejected: " white.", id: 2 },
    ];
    const result = unpairPreferences(rows);
    expect(result.rows).toEqual([
      { id: 1, prompt: "Snow is", completion: " white.", label: true },
      { id: 2, prompt: "Grass is", completion: " green.", label: true },
      { id: 1, prompt: "Snow is", completion: " green.", label: false },
      { id: 2, prompt: "Grass is", completion: " white.", label: false },
    ]);
    expect([...result.lines]).toEqual([1, 2, 1, 2]);
    result.rows.forEach((row, i) => void readUnpaired(row, i + 1));
  });

  test("demonstrations come once", () => {
    const pair = { prompt: "p", chosen: "a" };
    const result = preferencesToDemonstrations([
      { ...pair, rejected: "b" },
      { ...pair, rejected: "c" },
    ]);
    expect(result.rows).toEqual([{ prompt: "p", completion: "a" }]);
    expect(reasons(result)).toEqual({ "the same demonstration again": 1 });
  });

  test("reading what was written gives the same example", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", " "), minLength: 1, maxLength: 8 });
    const row = fc.record(
      { prompt: word, chosen: word, rejected: word, margin: fc.integer({ min: -3, max: 3 }), group: fc.nat(9), tag: word },
      { requiredKeys: ["prompt", "chosen", "rejected"] },
    );
    fc.assert(
      fc.property(row, (given) => {
        const [written] = explicitPreferences([given]).rows;
        if (written) expect(readPreference(written, 1)).toEqual(readPreference(given, 1));
        else expect(given.chosen).toBe(given.rejected);
      }),
      { seed: 8, numRuns: 100 },
    );
  });
});

test("thumbs and liked completions", () => {
  const row = { prompt: "p", completion: "c" };
  const result = thumbsToUnpaired(["up", "👎", true, -1, null].map((thumb) => ({ ...row, thumb })));
  expect(result.rows.map(({ label }) => label)).toEqual([true, false, true, false]);
  expect(result.dropped).toEqual([{ line: 5, reason: "no vote" }]);
  expect(() => thumbsToUnpaired([{ ...row, thumb: 0 }])).toThrow("dataset line 1: `thumb`");
  const liked = unpairedToDemonstrations(result.rows);
  expect([liked.rows, reasons(liked)]).toEqual([[row, row], { "not liked": 2 }]);
});

test("corrections: the edited completion is better, and is what to say; an edit that changes nothing is neither", () => {
  const rows = [
    { prompt: "p", completion: "teh", edited: "the", editor: "e" },
    { prompt: "p", completion: "fine", edited: "fine" },
  ];
  const pairs = correctionsToPreferences(rows);
  expect(pairs.rows).toEqual([{ editor: "e", prompt: "p", chosen: "the", rejected: "teh" }]);
  expect(pairs.dropped).toEqual([{ line: 2, reason: "edit that changes nothing" }]);
  expect(correctionsToDemonstrations(rows).rows).toEqual([{ editor: "e", prompt: "p", completion: "the" }]);
  const talk = { prompt: [user("q")], completion: [assistant("a")], edited: [{ content: "a", role: "assistant" }] };
  expect(correctionsToPreferences([talk]).rows).toEqual([]);
});

test("labels of steps to rewards of steps", () => {
  const row = { prompt: "q", completions: ["a", "b", "c"], labels: [true, false, 0.75], id: 4 };
  expect(stepwiseToProcessRewards([row]).rows).toEqual([{ id: 4, prompt: "q", completions: ["a", "b", "c"], rewards: [1, -1, 0.5] }]);
  expect(stepwiseToProcessRewards([row], { rightReward: 10, wrongReward: 0 }).rows[0]?.rewards).toEqual([10, 0, 7.5]);
  expect(() => stepwiseToProcessRewards([row], { rightReward: Number.NaN })).toThrow("rightReward and wrongReward");
});

test("from and value become role and content", () => {
  const row = {
    conversations: [
      { from: "human", value: "Is snow white?", weight: 0 },
      { from: "gpt", value: "It is." },
      { from: "user", value: "Sure?" },
    ],
    completions: [[{ from: "assistant", value: "Yes." }]],
    text: "from",
  };
  const before = structuredClone(row);
  expect(maybeConvertToChatml(row)).toEqual({
    messages: [{ role: "user", content: "Is snow white?", weight: 0 }, assistant("It is."), user("Sure?")],
    completions: [[assistant("Yes.")]],
    text: "from",
  });
  expect(row).toEqual(before);
  const plain = { prompt: "p", messages: [user("q")] };
  expect(maybeConvertToChatml(plain)).toEqual(plain);
});

describe("summarize-from-feedback", () => {
  const info = { id: "t3_x", subreddit: "askaway", title: "Of cats", post: "They sleep." };
  const comparison = {
    info,
    summaries: [
      { text: " cats sleep", policy: "sup1", note: null },
      { text: " dogs sleep", policy: "ref", note: "n" },
    ],
    choice: 1,
    worker: "w1",
    batch: "batch3",
    split: "train",
    extra: { confidence: 8 },
  };

  test("comparisons", () => {
    const result = summarizeComparisonsToPreferences([comparison, { ...comparison, choice: 0, extra: {}, split: "valid1" }]);
    const prompt = "SUBREDDIT: r/askaway\n\nTITLE: Of cats\n\nPOST: They sleep.\n\nTL;DR:";
    const provenance = { id: "t3_x", worker: "w1", batch: "batch3" };
    expect(result.rows).toEqual([
      {
        ...provenance,
        split: "train",
        policies: ["ref", "sup1"],
        confidence: 8,
        prompt,
        chosen: " dogs sleep",
        rejected: " cats sleep",
      },
      { ...provenance, split: "valid1", policies: ["sup1", "ref"], prompt, chosen: " cats sleep", rejected: " dogs sleep" },
    ]);
    const valid = summarizeComparisonsToPreferences([comparison], { split: "valid2" });
    expect([valid.rows, reasons(valid)]).toEqual([[], { "of another split": 1 }]);
  });

  test("axis evaluations", () => {
    const row = {
      info: { id: "a1", site: "s", title: "t", article: "It rained." },
      split: "test",
      summary: { text: "Rain.", policy: "ref", note: "", axes: { overall: 3, accuracy: 5, coverage: null } },
      worker: "w2",
      batch: "cnndm1",
    };
    const rest = { id: "a1", batch: "cnndm1", split: "test", policy: "ref", rater: "w2" };
    const prompt = "Article:\nIt rained.\n\nTL;DR:\n";
    expect(summarizeAxesToRated([row]).rows).toEqual([{ ...rest, prompt, completion: "Rain.", rating: 3 }]);
    expect(summarizeAxesToRated([row], { axis: "accuracy" }).rows[0]).toMatchObject({ rating: 5 });
    expect(reasons(summarizeAxesToRated([row], { axis: "coverage" }))).toEqual({ "no mark on the axis coverage": 1 });
  });

  test.each<[DatasetRow, string]>([
    [{ ...comparison, choice: 2 }, "choice"],
    [{ ...comparison, summaries: [comparison.summaries[0]] }, "summaries"],
    [{ ...comparison, summaries: [...comparison.summaries, comparison.summaries[0]] }, "summaries"],
    [{ ...comparison, summaries: [comparison.summaries[0], { policy: "x" }] }, "summaries[1].text"],
    [{ ...comparison, info: { ...info, post: null } }, "info.post"],
  ])("malformed row %#", (row, field) => {
    expect(() => summarizeComparisonsToPreferences([comparison, row])).toThrow(expect.objectContaining({ code: "DATA", line: 2, field }));
  });
});

describe("hh-rlhf", () => {
  const opening = "\n\nHuman: hi\n\nAssistant: yo\n\nHuman: and?";
  const row = { chosen: `${opening}\n\nAssistant: Nothing.`, rejected: `${opening}\n\nAssistant: Notes.`, id: 3 };

  test("text: the prompt ends with the header, wherever the answers begin to differ", () => {
    expect(hhRlhfToPreferences([row]).rows).toEqual([
      { id: 3, prompt: `${opening}\n\nAssistant:`, chosen: " Nothing.", rejected: " Notes." },
    ]);
  });

  test("messages", () => {
    expect(hhRlhfToPreferences([row], { conversational: true }).rows).toEqual([
      { id: 3, prompt: [user("hi"), assistant("yo"), user("and?")], chosen: [assistant("Nothing.")], rejected: [assistant("Notes.")] },
    ]);
  });

  test("dialogues that part earlier keep all their turns", () => {
    const rejected = "\n\nHuman: hi\n\nAssistant: no";
    const [text] = hhRlhfToPreferences([{ ...row, rejected }]).rows;
    expect(text).toMatchObject({ prompt: "\n\nHuman: hi\n\nAssistant:", chosen: row.chosen.slice(23), rejected: " no" });
    const [talk] = hhRlhfToPreferences([{ ...row, rejected }], { conversational: true }).rows;
    expect(talk).toMatchObject({ chosen: [assistant("yo"), user("and?"), assistant("Nothing.")] });
  });

  test.each([
    [{ ...row, rejected: row.chosen }, "equal dialogues"],
    [{ ...row, rejected: "\n\nHuman: hi\n\nAssistant: yo" }, "one dialogue is the beginning of the other"],
    [{ ...row, rejected: "\n\nHuman: hi\n\nAssistant: yo\n\nHuman: what?" }, "dialogues that part in a turn of the human"],
    [{ chosen: "\n\nAssistant: a", rejected: "\n\nAssistant: b" }, "no turn in common"],
  ])("dropped %#", (bad, reason) => {
    expect(hhRlhfToPreferences([bad]).dropped).toEqual([{ line: 1, reason }]);
  });

  test("other texts are errors", () => {
    expect(() => hhRlhfToPreferences([row, { ...row, rejected: `Human: hi${opening}` }])).toThrow(
      expect.objectContaining({ line: 2, field: "rejected" }),
    );
    expect(() => hhRlhfToPreferences([{ chosen: row.chosen }])).toThrow("`rejected` must be a string, got nothing");
  });

  const path = at("../shared/data/prefs/hh-rlhf_harmless-base_test.jsonl.gz");
  const present = existsSync(path);
  test.skipIf(!present)(
    `all rows of harmless-base's test file${present ? "" : " (skipped: ../shared/data/prefs is not on this machine)"}`,
    () => {
      const rows = parseJsonl(gunzipSync(readFileSync(path)).toString("utf8"));
      expect(rows).toHaveLength(2312);
      const text = convertRows(rows, { to: "preference" });
      expect([text.from, text.rows.length, text.dropped]).toEqual(["hh-rlhf", 2312, []]);
      const talk = convertRows(rows, { to: "preference", conversational: true });
      const header = (role: string) => (role === "user" ? "\n\nHuman:" : "\n\nAssistant:");
      let insideAnswers = 0;
      rows.forEach((row, i) => {
        const { prompt, chosen, rejected } = text.rows[i] as Record<string, string>;
        expect(`${prompt}${chosen}`).toBe(row.chosen);
        expect(`${prompt}${rejected}`).toBe(row.rejected);
        expect(prompt?.endsWith("\n\nAssistant:")).toBe(true);
        const messages = talk.rows[i] as Record<string, Message[]>;
        expect(messages.prompt?.at(-1)?.role).toBe("user");
        const written = [...messages.prompt!, ...messages.rejected!].map(({ role, content }) => `${header(role)} ${content}`).join("");
        expect(written).toBe(row.rejected);
        // TRL's characters in common go on into the answers where these begin alike.
        if ((readPreference(row, i + 1).prompt as string).length > prompt!.length) insideAnswers++;
      });
      expect(insideAnswers).toBe(445);
      expect(unpairPreferences(text.rows).rows).toHaveLength(2 * 2312);
    },
  );
});

describe("convertRows", () => {
  const list = { prompt: "p", completions: ["a", "b", "c"], ranks: [1, 2, 2] };

  test("one step after another; what is dropped has the line of the file", () => {
    const result = convertRows([{ ...list, ranks: [1, 1, 1] }, list], { to: "unpaired" });
    expect(result.from).toBe("ranked");
    expect(result.rows.map(({ completion, label }) => `${completion} ${label}`)).toEqual(["a true", "a true", "b false", "c false"]);
    expect([...result.lines]).toEqual([2, 2, 2, 2]);
    expect(result.dropped.map(({ line }) => line)).toEqual([1, 1, 1, 2]);
    const sft = convertRows(
      [
        { prompt: "p", completion: "a", rating: 5 },
        { prompt: "p", completion: "b", rating: 1 },
      ],
      { to: "sft", scale: [1, 5] },
    );
    expect([sft.rows, reasons(sft)]).toEqual([[{ prompt: "p", completion: "a" }], { "not liked": 1 }]);
  });

  test("equal completions of a list are dropped as pairs", () => {
    expect(reasons(convertRows([{ ...list, completions: ["a", "a", "b"] }], { to: "preference" }))).toEqual({
      "pair of equal rank": 1,
      "equal completions": 1,
    });
  });

  test("regression by scale where there is one, else by rater; prompts once", () => {
    const rows = [1, 3].map((rating) => ({ prompt: "p", completion: `${rating}`, rating }));
    const ratings = (scale?: [number, number]) => convertRows(rows, { to: "regression", scale }).rows.map(({ rating }) => rating);
    expect([ratings([1, 5]), ratings()]).toEqual([
      [0, 0.5],
      [-1, 1],
    ]);
    expect(convertRows(rows, { to: "prompt-only" }).rows).toEqual([{ prompt: "p" }]);
  });

  test("every possible conversion gives rows of its target", () => {
    const pair = { prompt: "p", chosen: "a", rejected: "b" };
    const talk = [{ from: "human", value: "q" }];
    expect(convertRows([{ conversations: talk }], { to: "messages" }).rows).toEqual([{ messages: [user("q")] }]);
    const rows: DatasetRow[] = [pair, list, { prompt: "p", completion: "a", edited: "b" }];
    for (const row of rows) {
      readPreference(convertRows([row], { to: "preference" }).rows[0]!, 1);
      readRanked(convertRows([row], { to: "ranked" }).rows[0]!, 1);
      readUnpaired(convertRows([row], { to: "unpaired" }).rows[0]!, 1);
      expect(Object.keys(convertRows([row], { to: "sft" }).rows[0]!)).toEqual(["prompt", "completion"]);
    }
    expect(convertRows([{ prompt: "p", completion: "a", thumb: null }], { to: "unpaired" }).dropped).toHaveLength(1);
  });

  test("what cannot be is said, with what can", () => {
    expect(() => convertRows([list], { to: "regression" })).toThrow(
      "got ranked, which can become: preference, unpaired, ranked, sft, prompt-only",
    );
    expect(() => convertRows([{ text: "a" }], { to: "sft" })).toThrow("got text, which can become: nothing");
    expect(() => convertRows([{ prompt: "p", completions: ["a"] }], { to: "preference" })).toThrow("Add `ranks` (ranked)");
    expect(() => convertRows([list], { to: "preference", from: "rated" })).toThrow("dataset line 1: `completion` ");
    expect(() => convertRows([list, { prompt: "p" }], { to: "preference" })).toThrow("dataset line 2: `completions`");
  });
});
