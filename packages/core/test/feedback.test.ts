/** Rows of feedback: what each format means, what is wrong with a row, and which format it is in. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { detectFormat, isConversational } from "../src/data/detect-format";
import { readCorrection, readPreference, readRanked, readRated, readStepwise, readUnpaired } from "../src/data/feedback";
import type { Message } from "../src/data/formats";
import { extractPrompt } from "../src/data/implicit-prompt";
import { DataError } from "../src/errors";

type Row = Record<string, unknown>;

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

/** The DataError of a call. */
function failure(call: () => unknown): DataError {
  try {
    call();
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("readers", () => {
  test("preference with an explicit prompt, margin, group and other columns", () => {
    const row = { prompt: "Two and two is", chosen: " four.", rejected: " five.", margin: 2.5, group: "a", source: "exam" };
    expect(readPreference(row, 1)).toEqual({
      prompt: "Two and two is",
      chosen: " four.",
      rejected: " five.",
      margin: 2.5,
      group: "a",
      columns: { source: "exam" },
    });
  });

  test("preference with an implicit prompt, as text and as messages", () => {
    const text = readPreference({ chosen: "Snow is white.", rejected: "Snow is green." }, 1);
    expect([text.prompt, text.chosen, text.rejected]).toEqual(["Snow is", " white.", " green."]);
    const question = user("What colour is snow?");
    const row = { chosen: [question, assistant("White.")], rejected: [question, assistant("Green.")] };
    const talk = readPreference(row, 1);
    expect([talk.prompt, talk.chosen, talk.rejected]).toEqual([[question], [assistant("White.")], [assistant("Green.")]]);
    // A text prompt beside conversations repeats what they begin with.
    expect(readPreference({ ...row, prompt: "What colour is snow?" }, 1)).toEqual({ ...talk, columns: {} });
  });

  test("strength is a margin in numbers or in words", () => {
    const pair = { prompt: "a", chosen: "b", rejected: "c" };
    expect(readPreference({ ...pair, strength: 3 }, 1).margin).toBe(3);
    expect(readPreference({ ...pair, strength: "slightly better" }, 1).margin).toBe(1 / 3);
    expect(readPreference({ ...pair, strength: "clearly" }, 1, { strengths: { clearly: 7 } }).margin).toBe(7);
    expect(readPreference({ ...pair, strength: null }, 1).margin).toBeUndefined();
  });

  test("unpaired, rated and corrected completions", () => {
    const row = { prompt: [user("hi")], completion: [assistant("yo")], lang: "en" };
    const parts = { prompt: row.prompt, completion: row.completion, columns: { lang: "en" } };
    expect(readUnpaired({ ...row, label: false }, 1)).toEqual({ ...parts, label: false });
    expect(readRated({ ...row, rating: 4, rater: 7 }, 1, { scale: [1, 5] })).toEqual({ ...parts, rating: 4, rater: 7 });
    expect(readRated({ ...row, rating: -100 }, 1)).toEqual({ ...parts, rating: -100, rater: undefined });
    expect(readCorrection({ ...row, edited: [assistant("Hello.")] }, 1)).toEqual({ ...parts, edited: [assistant("Hello.")] });
  });

  test("ranked lists, with ties and gaps", () => {
    const row = { prompt: "p", completions: ["x", "y", "z"], ranks: [3, 1, 1], by: "me" };
    expect(readRanked(row, 1)).toEqual({ prompt: "p", completions: ["x", "y", "z"], ranks: [3, 1, 1], columns: { by: "me" } });
  });

  test("steps with labels, probabilities or rewards", () => {
    const row = { prompt: "Which is larger, 9.8 or 9.11?", completions: ["11 is more than 8.", "So 9.11."] };
    expect(readStepwise({ ...row, labels: [true, false] }, 1).values).toEqual([1, 0]);
    expect(readStepwise({ ...row, labels: [0.25, true] }, 1).values).toEqual([0.25, 1]);
    expect(readStepwise({ ...row, rewards: [-3, 8] }, 1).values).toEqual([-3, 8]);
  });

  const pair = { prompt: "a", chosen: "b", rejected: "c" };
  const talk = [user("hi"), assistant("yo")];
  const list = { prompt: "a", completions: ["b", "c"], ranks: [1, 2] };
  const step = { prompt: "a", completions: ["b"], labels: [true] };
  test.each<[string, (row: Row, line: number) => unknown, Row, string, string]>([
    ["no rejected", readPreference, { prompt: "a", chosen: "b" }, "rejected", "nothing"],
    ["null", readPreference, { ...pair, chosen: null }, "chosen", "null"],
    ["empty prompt", readPreference, { ...pair, prompt: "" }, "prompt", "empty"],
    ["mixed", readPreference, { ...pair, rejected: [assistant("c")] }, "rejected", "text where the prompt is text"],
    ["mixed, implicit", readPreference, { chosen: "b", rejected: talk }, "rejected", "text where `chosen` is text"],
    ["messages as prompt of text", readPreference, { ...pair, prompt: talk }, "chosen", "messages where it is messages"],
    ["malformed message", readPreference, { ...pair, prompt: [user("q"), { role: "user" }] }, "prompt[1]", "`role` and a `content`"],
    ["margin", readPreference, { ...pair, margin: "2" }, "margin", "finite number"],
    ["strength", readPreference, { ...pair, strength: "much" }, "strength", '"slightly better"'],
    ["margin and strength", readPreference, { ...pair, margin: 1, strength: 1 }, "strength", "beside `margin`"],
    ["group", readPreference, { ...pair, group: [] }, "group", "string or a number"],
    ["implicit: nothing in common", readPreference, { chosen: "yes", rejected: "no" }, "rejected", "begin as `chosen` does"],
    ["implicit: equal", readPreference, { chosen: "yes", rejected: "yes" }, "rejected", "differ"],
    ["implicit: no answer", readPreference, { chosen: [user("hi")], rejected: talk }, "chosen", "a message after"],
    ["implicit: no answer", readPreference, { chosen: talk, rejected: [user("hi")] }, "rejected", "a message after"],
    [
      "text prompt, nothing in common",
      readPreference,
      { ...pair, chosen: [assistant("b")], rejected: [assistant("c")] },
      "rejected",
      "same kind",
    ],
    ["label", readUnpaired, { prompt: "a", completion: "b", label: 1 }, "label", "true or false"],
    ["no prompt", readUnpaired, { completion: "b", label: true }, "prompt", "nothing"],
    ["rating", readRated, { prompt: "a", completion: "b", rating: "good" }, "rating", "finite number"],
    [
      "off the scale",
      (row, line) => readRated(row, line, { scale: [1, 5] }),
      { prompt: "a", completion: "b", rating: 6 },
      "rating",
      "1 to 5",
    ],
    ["rater", readRated, { prompt: "a", completion: "b", rating: 1, rater: true }, "rater", "string or a number"],
    ["edited", readCorrection, { prompt: "a", completion: "b", edited: talk }, "edited", "text where the prompt is text"],
    ["one completion", readRanked, { ...list, completions: ["b"] }, "completions", "at least 2"],
    ["ranks", readRanked, { ...list, ranks: [1, 2, 3] }, "ranks", "each of the 2"],
    ["rank 0", readRanked, { ...list, ranks: [0, 1] }, "ranks[0]", "whole number"],
    ["rank 1.5", readRanked, { ...list, ranks: [1, 1.5] }, "ranks[1]", "whole number"],
    ["no best", readRanked, { ...list, ranks: [2, 3] }, "ranks", "a 1"],
    ["mixed list", readRanked, { ...list, completions: ["b", [assistant("c")]] }, "completions[1]", "text where the prompt is text"],
    ["labels", readStepwise, { ...step, labels: [] }, "labels", "at least 1"],
    ["label of a step", readStepwise, { ...step, labels: [2] }, "labels[0]", "probability"],
    ["no labels", readStepwise, { prompt: "a", completions: ["b"] }, "labels", "nothing"],
    ["too few labels", readStepwise, { ...step, completions: ["b", "c"] }, "labels", "each of the 2"],
    ["step", readStepwise, { ...step, completions: [7] }, "completions[0]", "string"],
    ["prompt of steps", readStepwise, { ...step, prompt: talk }, "prompt", "string"],
    ["empty prompt of steps", readStepwise, { ...step, prompt: "" }, "prompt", "empty"],
    ["rewards", readStepwise, { prompt: "a", completions: ["b"], rewards: ["x"] }, "rewards[0]", "finite number"],
  ])("%s is a DataError at line 7", (_, read, row, field, text) => {
    const error = failure(() => read(row, 7));
    expect(error).toMatchObject({ code: "DATA", line: 7, field });
    expect(error.message).toContain("dataset line 7: `");
    expect(error.message).toContain(text);
  });

  test("all bad columns of a row are named at once, and only those", () => {
    const error = failure(() => readPreference({ prompt: "", chosen: 3, rejected: "c", margin: "x" }, 4));
    expect(error.message).toBe(
      'dataset line 4: `chosen` must be a string or a list of messages, got 3; `margin` must be a finite number, got "x"; ' +
        '`prompt` must not be empty, got "". Correct the row.',
    );
  });
});

describe("implicit prompts", () => {
  // Few letters, so that beginnings are often shared; a space and a pair of surrogates among them.
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "𝛼", "𝛽"), maxLength: 12 });

  test("text: prompt + completion is what it was, and no longer prompt does that", () => {
    fc.assert(
      fc.property(text, text, (chosen, rejected) => {
        const parts = extractPrompt(chosen, rejected) as { prompt: string; chosen: string; rejected: string };
        expect(parts.prompt + parts.chosen).toBe(chosen);
        expect(parts.prompt + parts.rejected).toBe(rejected);
        expect(/[\ud800-\udbff]$/.test(parts.prompt)).toBe(false);
        const [a, b] = [[...parts.chosen], [...parts.rejected]];
        const canGrow = a.length > 0 && a[0] === b[0];
        // Only one space may be left to the completions, and only at their border.
        expect(canGrow && !(a[0] === " " && (a.length === 1 || a[1] !== b[1]))).toBe(false);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  test("text: worked", () => {
    expect(extractPrompt("It is blue", "It is black")).toEqual({ prompt: "It is bl", chosen: "ue", rejected: "ack" });
    expect(extractPrompt("Go on", "Go on then")).toEqual({ prompt: "Go on", chosen: "", rejected: " then" });
    expect(extractPrompt(" a", "b")).toEqual({ prompt: "", chosen: " a", rejected: "b" });
    // The first halves of both characters are equal.
    expect(extractPrompt("x𝛼", "x𝛽")).toEqual({ prompt: "x", chosen: "𝛼", rejected: "𝛽" });
  });

  test("messages: whole turns, whatever the order of their keys", () => {
    const message = fc.record({ role: fc.constantFrom("user", "assistant"), content: fc.constantFrom("x", "y") });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(message, { maxLength: 6 }), (chosen, rejected) => {
        const parts = extractPrompt(chosen, rejected) as { prompt: Message[]; chosen: Message[]; rejected: Message[] };
        expect([...parts.prompt, ...parts.chosen]).toEqual(chosen);
        expect([...parts.prompt, ...parts.rejected]).toEqual(rejected);
        if (parts.chosen.length > 0 && parts.rejected.length > 0) expect(parts.chosen[0]).not.toEqual(parts.rejected[0]);
      }),
      { seed: 2, numRuns: 300 },
    );
    const turned = { content: "hi", role: "user" };
    expect(extractPrompt([user("hi"), assistant("a")], [turned, assistant("b")]).prompt).toEqual([user("hi")]);
  });
});

describe("detectFormat", () => {
  const dialogue = "\n\nHuman: hi\n\nAssistant: yo";
  test.each<[string, Row]>([
    ["text", { text: "a" }],
    ["messages", { messages: [] }],
    ["prompt-only", { prompt: "a", answer: 4 }],
    ["prompt-completion", { prompt: "a", completion: "b", rating: null }],
    ["preference", { prompt: "a", chosen: "b", rejected: "c" }],
    ["implicit-preference", { chosen: "ab", rejected: "ac" }],
    ["implicit-preference", { chosen: dialogue, rejected: "ac" }],
    ["hh-rlhf", { chosen: dialogue, rejected: dialogue }],
    ["preference", { prompt: "a", chosen: dialogue, rejected: dialogue }],
    ["unpaired", { prompt: "a", completion: "b", label: false }],
    ["rated", { prompt: "a", completion: "b", rating: 0, rater: "x" }],
    ["thumbs", { prompt: "a", completion: "b", thumb: null }],
    ["correction", { prompt: "a", completion: "b", edited: "c" }],
    ["ranked", { prompt: "a", completions: ["b"], ranks: [1], temperatures: [1] }],
    ["stepwise", { prompt: "a", completions: ["b"], labels: [true] }],
    ["process-rewards", { prompt: "a", completions: ["b"], rewards: [1] }],
    ["summarize-comparison", { info: {}, summaries: [], choice: 0, worker: "w" }],
    ["summarize-axes", { info: {}, summary: {}, worker: "w" }],
  ])("%s", (format, row) => {
    expect(detectFormat(row)).toBe(format);
  });

  test.each<[Row, string]>([
    [{ prompt: "a", chosen: "b" }, "Add `rejected` (preference)"],
    [{ prompt: "a", completions: ["b"] }, "Add `ranks` (ranked) or `labels` (stepwise) or `rewards` (process-rewards)"],
    [{ completion: "a" }, "Add `prompt` (prompt-completion)"],
    [{ body: "a" }, "got `body`. Name them"],
    [{ text: null }, "got none"],
  ])("%j is none, and what is missing is said", (row, text) => {
    const error = failure(() => detectFormat(row, 3));
    expect(error).toMatchObject({ line: 3 });
    expect(error.message).toContain(text);
  });

  test("conversational or standard", () => {
    expect(isConversational({ prompt: [user("hi")] })).toBe(true);
    expect(isConversational({ completions: [[assistant("hi")]] })).toBe(true);
    expect(isConversational({ prompt: "hi", completions: ["yo"] })).toBe(false);
  });
});
