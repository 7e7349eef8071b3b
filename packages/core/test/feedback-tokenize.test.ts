/** Rows of feedback to token ids: masks, ends, truncation, and what is dropped. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sequence } from "../src/data/batch";
import { requireVocabulary } from "../src/data/tokenize";
import { tokenizePreferences, tokenizeRanked, tokenizeRated, tokenizeStepwise, tokenizeUnpaired } from "../src/data/tokenize-feedback";
import { joinCompletion } from "../src/data/truncation";
import { Tokenizer } from "../src/tokenizer/tokenizer";
import { byteTokenizer as tokenizer } from "./trainer-model";

// One token a byte; "$" stands for the end of text.
const text = (tokens: ArrayLike<number>, codec = tokenizer) => codec.decode(tokens).replaceAll("<|endoftext|>", "$");
const show = ({ tokens, mask }: Sequence) => `${text(tokens)} ${mask.join("")}`;

const chat = Tokenizer.fromJSON(tokenizer.toJSON(), {
  ...tokenizer.toConfigJSON(),
  chat_template:
    "{% for m in messages %}[{{ m.role[0] }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}",
});
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

describe("preferences", () => {
  const row = { prompt: "ab", chosen: "cde", rejected: "f", margin: 2, group: 9 };

  test("completions count, their end included; prompts do not", () => {
    const { examples, dropped } = tokenizePreferences([row], { tokenizer });
    expect(dropped).toEqual([]);
    expect(examples).toHaveLength(1);
    const { prompt, chosen, rejected, ...rest } = examples[0]!;
    expect([text(prompt), show(chosen), show(rejected)]).toEqual(["ab", "abcde$ 001111", "abf$ 0011"]);
    expect(rest).toEqual({ line: 1, margin: 2, group: 9 });
  });

  test("conversations, with an implicit prompt", () => {
    const { examples } = tokenizePreferences([{ chosen: [user("q"), assistant("yes")], rejected: [user("q"), assistant("no")] }], {
      tokenizer: chat,
    });
    const { prompt, chosen, rejected } = examples[0]!;
    expect([text(prompt, chat), show(chosen), show(rejected)]).toEqual([
      "[u]q$[a]",
      `[u]q$[a]yes$ ${"0".repeat(8)}1111`,
      `[u]q$[a]no$ ${"0".repeat(8)}111`,
    ]);
  });

  test("a longer row is cut at either end, or dropped whole", () => {
    const long = (truncationMode?: "keep_start" | "keep_end" | "drop") =>
      tokenizePreferences([{ ...row, prompt: "xy" }, row, { prompt: "abcdefgh", chosen: "i", rejected: "j" }], {
        tokenizer,
        maxLength: 5,
        truncationMode,
      });
    const start = long();
    expect(start.examples.map(({ chosen, rejected }) => [show(chosen), show(rejected)])).toEqual([
      ["xycde 00111", "xyf$ 0011"],
      ["abcde 00111", "abf$ 0011"],
    ]);
    expect(start.dropped).toEqual([{ line: 3, reason: "no token of a completion left within maxLength" }]);
    const end = long("keep_end");
    expect(end.dropped).toEqual([]);
    expect(end.examples.map(({ line, chosen, rejected }) => [line, show(chosen), show(rejected)])).toEqual([
      [1, "ycde$ 01111", "xyf$ 0011"],
      [2, "bcde$ 01111", "abf$ 0011"],
      [3, "fghi$ 00011", "fghj$ 00011"],
    ]);
    expect(text(end.examples[2]!.prompt)).toBe("abcdefgh");
    const short = { prompt: "a", chosen: "b", rejected: "c" };
    const dropped = tokenizePreferences([row, short], { tokenizer, maxLength: 5, truncationMode: "drop" });
    expect(dropped.examples.map(({ line }) => line)).toEqual([2]);
    expect(dropped.dropped).toEqual([{ line: 1, reason: "longer than maxLength" }]);
    expect(() => long("drop")).toThrow("at least one row must fit, got 3 of which none does: longer than maxLength. Raise maxLength (5)");
  });

  test("a completion without a token is an error with its line", () => {
    const endless = Tokenizer.fromJSON(tokenizer.toJSON(), {});
    const rows = [row, { ...row, rejected: "" }];
    expect(() => tokenizePreferences(rows, { tokenizer: endless })).toThrow("dataset line 2: every completion must have a token");
    expect(tokenizePreferences(rows, { tokenizer }).examples.map(({ rejected }) => show(rejected))).toEqual(["abf$ 0011", "ab$ 001"]);
  });

  test("malformed rows and no rows are errors", () => {
    expect(() => tokenizePreferences([row, { prompt: "a", chosen: "b" }], { tokenizer })).toThrow("dataset line 2: `rejected`");
    expect(() => tokenizePreferences([], { tokenizer })).toThrow("at least one row");
  });

  test("no sequence is longer than maxLength, kept ends are ends, and every row is accounted for", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 9 });
    const rows = fc.array(fc.record({ prompt: word, chosen: word, rejected: word }), { minLength: 1, maxLength: 4 });
    const modes = fc.constantFrom("keep_start" as const, "keep_end" as const);
    fc.assert(
      fc.property(rows, fc.integer({ min: 11, max: 20 }), modes, (data, maxLength, truncationMode) => {
        const { examples, dropped } = tokenizePreferences(data, { tokenizer, maxLength, truncationMode });
        expect([...examples, ...dropped].map(({ line }) => line).sort()).toEqual(data.map((_, i) => i + 1));
        for (const { line, chosen } of examples) {
          const whole = `${data[line - 1]!.prompt}${data[line - 1]!.chosen}$`;
          const kept = truncationMode === "keep_start" ? whole.slice(0, maxLength) : whole.slice(-maxLength);
          expect(text(chosen.tokens)).toBe(kept);
          expect(chosen.mask.reduce((a, b) => a + b, 0)).toBe(
            truncationMode === "keep_start" ? kept.length - data[line - 1]!.prompt.length : data[line - 1]!.chosen.length + 1,
          );
        }
      }),
      { seed: 4, numRuns: 100 },
    );
  });
});

test("unpaired rows keep the whole completion, to be set after another prompt", () => {
  const rows = [
    { prompt: "ab", completion: "cd", label: true },
    { prompt: "x", completion: "y", label: false },
  ];
  const { examples } = tokenizeUnpaired(rows, { tokenizer, maxLength: 4 });
  expect(examples.map(({ line, completion, sequence, label }) => [line, text(completion), show(sequence), label])).toEqual([
    [1, "cd$", "abcd 0011", true],
    [2, "y$", "xy$ 011", false],
  ]);
  expect(show(joinCompletion(examples[0]!.prompt, examples[1]!.completion))).toBe("aby$ 0011");
});

test("ranked lists: one sequence a completion; one that is too long drops the list", () => {
  const rows = [
    { prompt: "a", completions: ["b", "cd", "e"], ranks: [2, 1, 2] },
    { prompt: "a", completions: ["b", "cdefgh"], ranks: [1, 2] },
  ];
  const { examples, dropped } = tokenizeRanked(rows, { tokenizer, maxLength: 5, truncationMode: "drop" });
  expect(examples.map(({ sequences, ranks }) => [sequences.map(show), ranks])).toEqual([
    [
      ["ab$ 011", "acd$ 0111", "ae$ 011"],
      [2, 1, 2],
    ],
  ]);
  expect(dropped).toEqual([{ line: 2, reason: "longer than maxLength" }]);
});

test("ratings on their scale", () => {
  const row = { prompt: "a", completion: "b", rating: 4, rater: "r" };
  const { examples } = tokenizeRated([row], { tokenizer, scale: [1, 5] });
  expect(examples.map(({ sequence, rating, rater }) => [show(sequence), rating, rater])).toEqual([["ab$ 011", 4, "r"]]);
  expect(() => tokenizeRated([row], { tokenizer, scale: [1, 3] })).toThrow("dataset line 1: `rating`");
});

describe("steps", () => {
  const row = { prompt: "q", completions: ["one", "two2", "3"], labels: [true, false, 0.5] };

  test("the label sits on the last token of the separator; there is no end of text", () => {
    const [example] = tokenizeStepwise([row], { tokenizer }).examples;
    expect(text(example!.tokens)).toBe("qone\ntwo2\n3\n");
    expect([...example!.ends].map((end) => [end, text(example!.tokens.slice(end, end + 1))])).toEqual([
      [4, "\n"],
      [9, "\n"],
      [11, "\n"],
    ]);
    expect(example!.values).toEqual([1, 0, 0.5]);
    const [other] = tokenizeStepwise([row], { tokenizer, stepSeparator: "ки" }).examples;
    expect(text(other!.tokens)).toBe("qoneкиtwo2ки3ки");
    expect([...other!.ends]).toEqual([7, 15, 20]);
  });

  test("only the last step", () => {
    const [example] = tokenizeStepwise([row], { tokenizer, trainOnLastStepOnly: true }).examples;
    expect([text(example!.tokens), [...example!.ends], example!.values]).toEqual(["qone\ntwo2\n3\n", [11], [0.5]]);
  });

  test("steps that do not end within maxLength are left out", () => {
    const [example] = tokenizeStepwise([row], { tokenizer, maxLength: 10 }).examples;
    expect([text(example!.tokens), [...example!.ends], example!.values]).toEqual(["qone\ntwo2\n", [4, 9], [1, 0]]);
    const reason = "no labelled step ends within maxLength";
    const short = { prompt: "q", completions: ["1"], labels: [true] };
    expect(tokenizeStepwise([row, short], { tokenizer, maxLength: 4 }).dropped).toEqual([{ line: 1, reason }]);
    expect(tokenizeStepwise([row, short], { tokenizer, maxLength: 10, trainOnLastStepOnly: true }).dropped).toEqual([{ line: 1, reason }]);
    expect(() => tokenizeStepwise([row], { tokenizer, maxLength: 3 })).toThrow(reason);
    expect(() => tokenizeStepwise([row], { tokenizer, stepSeparator: "" })).toThrow("stepSeparator");
  });

  test("rewards in place of labels", () => {
    const [example] = tokenizeStepwise([{ prompt: "q", completions: ["a", "b"], rewards: [-2, 5] }], { tokenizer }).examples;
    expect([[...example!.ends], example!.values]).toEqual([
      [2, 4],
      [-2, 5],
    ]);
  });
});

test("a token outside the vocabulary is named by the line of its row", () => {
  const rows = [
    { prompt: "abcdefgh", chosen: "i", rejected: "j" },
    { prompt: "a", chosen: "b", rejected: "c" },
  ];
  const { examples } = tokenizePreferences(rows, { tokenizer, maxLength: 5 });
  const sequences = examples.map(({ line, chosen }) => ({ line, tokens: chosen.tokens }));
  expect(() => requireVocabulary(sequences, 10)).toThrow("dataset line 2");
});
