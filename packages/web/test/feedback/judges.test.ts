/** Judges and rules that answer in a person's place. */
import { ConfigError, DataError, pairwiseJudge, type RankingJudge, ratingJudge, sumStatistics } from "@trimtab/core";
import { askJudge, FeedbackSession, feedbackItems } from "@trimtab/web";
import { describe, expect, it } from "vitest";

const length = (text: unknown) => (text as string).length;
const longer = pairwiseJudge("longer", (pairs) =>
  pairs.map(({ a, b }) => (length(a) === length(b) ? 0.5 : length(a) > length(b) ? 0.9 : 0.2)),
);
const byLength = ratingJudge("length", (items) => items.map(({ completion }) => length(completion)));
const answers = (session: FeedbackSession) => session.feedback.map(({ answer, rater }) => ({ rater, ...answer }));

describe("askJudge", () => {
  it("a pairwise judge chooses the same completion wherever it is shown", async () => {
    const items = Array.from({ length: 20 }, (_, i) => feedbackItems("pair", `${i}`, i % 2 ? ["a", "bbb"] : ["bbb", "a"])).flat();
    const session = new FeedbackSession({ seed: 5, items: [...items, ...feedbackItems("pair", "p", ["a", "b"])] });
    session.add(...feedbackItems("thumbs", "p", ["a"]));
    expect(await askJudge(session, longer)).toBe(21);
    const orders = new Set(session.feedback.map(({ order }) => order?.join("")));
    expect(orders).toEqual(new Set(["01", "10"]));
    const choices = session.feedback.map(({ answer }) => answer.kind === "pair" && answer.choice);
    expect(choices).toEqual([...Array.from({ length: 20 }, (_, i) => (i % 2 ? 1 : 0)), "tie"]);
    // Nothing is left for it, and it does as people do.
    expect(await askJudge(session, longer)).toBe(0);
    expect(session.as("longer").undo()?.item).toBe("21");
  });

  it("a rating judge compares, ranks, likes and marks", async () => {
    const session = new FeedbackSession({
      items: [
        ...feedbackItems("pair", "p", ["a", "bbb"]),
        ...feedbackItems("ranking", "p", ["aa", "bbbb", "cc", "d"]),
        ...feedbackItems("thumbs", "p", ["aaaa", "b"]),
        ...feedbackItems("stars", "p", ["aaaa", "bbbbbbb", "ccccc"]),
      ],
    });
    await askJudge(session, byLength, { scale: [0, 8] });
    const rater = "length";
    expect(answers(session)).toEqual([
      { rater, kind: "pair", choice: 1 },
      { rater, kind: "ranking", ranks: [2, 1, 2, 4] },
      { rater, kind: "thumbs", liked: true },
      { rater, kind: "thumbs", liked: false },
      // 1 + 4 · length / 8, to the nearest.
      { rater, kind: "stars", rating: 3 },
      { rater, kind: "stars", rating: 5 },
      { rater, kind: "stars", rating: 4 },
    ]);
  });

  it("a ranking judge's ranks go with the completions, and what it leaves open is skipped", async () => {
    const session = new FeedbackSession({
      seed: 3,
      items: ["p", "q", "r"].flatMap((prompt) => feedbackItems("ranking", prompt, ["ccc", "a", "bb"])),
    });
    const shortest: RankingJudge = {
      name: "shortest",
      rank: async (items) => ({
        values: items.map(({ prompt, completions }) => (prompt === "q" ? null : completions.map(length))),
        statistics: sumStatistics(),
      }),
    };
    expect(await askJudge(session, shortest)).toBe(2);
    expect(answers(session).map((answer) => answer.kind === "ranking" && answer.ranks)).toEqual([
      [3, 1, 2],
      [3, 1, 2],
    ]);
    expect(session.as("shortest").progress).toEqual({ answered: 2, skipped: 1, total: 3 });
  });

  it("needs a scale for marks, and marks on it", async () => {
    const session = new FeedbackSession({ items: feedbackItems("stars", "p", ["aaaa"]) });
    await expect(askJudge(session, byLength)).rejects.toThrow(ConfigError);
    await expect(askJudge(session, byLength, { scale: [0, 2] })).rejects.toThrow(DataError);
    expect(session.feedback).toEqual([]);
  });
});
