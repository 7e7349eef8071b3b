/** Judges, reward models and rules that answer a session's items in a person's place. */
import { ConfigError, DataError, type PairwiseJudge, type RankingJudge, type RatingJudge } from "@trimtab/core";
import type { FeedbackAnswer } from "./answers";
import type { FeedbackItem, FeedbackKind } from "./items";
import type { FeedbackSession } from "./session";

export interface AskJudgeOptions {
  /** Lowest and highest rating of a rating judge: needed for stars (rounded to the nearest of 1 to 5) and thumbs (the middle and above is liked). */
  readonly scale?: readonly [low: number, high: number] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type FeedbackJudge = PairwiseJudge | RankingJudge | RatingJudge;

/**
 * Lets a judge answer the items that it has not answered yet and can: a pairwise judge pairs (P = 1/2 is a tie), a ranking judge rankings, a rating
 * judge both (equal ratings are ties), thumbs and stars. The rater is the judge's name; completions are handed over in the order in which a person
 * of that name would see them. What the judge leaves open (null) is skipped. A rule is a `ratingJudge(name, function)` of core. Returns
 * how many it answered. Throws ConfigError for thumbs or stars without a scale, and DataError for a rating off the scale.
 */
export async function askJudge(session: FeedbackSession, judge: FeedbackJudge, options: AskJudgeOptions = {}): Promise<number> {
  const rater = session.as(judge.name);
  const seen = new Set(rater.records.map(({ item }) => item));
  const kinds: readonly FeedbackKind[] =
    "compare" in judge ? ["pair"] : "rank" in judge ? ["ranking"] : ["pair", "ranking", "thumbs", "stars"];
  const items = session.items.filter(({ id, kind }) => kinds.includes(kind) && !seen.has(id));
  if (items.length === 0) return 0;
  const answers = await verdicts(judge, items, (item) => rater.order(item), options);
  let answered = 0;
  items.forEach((item, i) => {
    const answer = answers[i];
    if (answer) rater.answer(answer, item);
    else rater.skip(item);
    if (answer) answered++;
  });
  return answered;
}

type Verdicts = readonly (FeedbackAnswer | null)[];

async function verdicts(
  judge: FeedbackJudge,
  items: readonly FeedbackItem[],
  order: (item: FeedbackItem) => readonly number[],
  { scale, signal }: AskJudgeOptions,
): Promise<Verdicts> {
  const shown = items.map((item) => ({ item, order: order(item), contents: order(item).map((i) => contentOf(item, i)) }));
  if ("compare" in judge) {
    const pairs = shown.map(({ item, contents: [a, b] }) => ({ prompt: item.prompt, a: a as string, b: b as string }));
    const { values } = await judge.compare(pairs, { signal });
    return shown.map(({ order }, i) => ofNumber(values[i], (p) => choose(order, p - 0.5)));
  }
  if ("rank" in judge) {
    const { values } = await judge.rank(
      shown.map(({ item, contents }) => ({ prompt: item.prompt, completions: contents })),
      { signal },
    );
    return shown.map(({ order }, i) => {
      const ranks = values[i];
      return ranks ? { kind: "ranking", ranks: order.map((_, completion) => ranks[order.indexOf(completion)] as number) } : null;
    });
  }
  const asked = shown.flatMap(({ item, contents }) => contents.map((completion) => ({ prompt: item.prompt, completion })));
  const values = [...(await judge.rate(asked, { signal })).values];
  return shown.map(({ item, order }) => rated(item, order, values.splice(0, order.length), scale));
}

const contentOf = ({ completions }: FeedbackItem, i: number) => completions[i]?.content ?? "";

const ofNumber = <T>(value: number | null | undefined, then: (value: number) => T): T | null =>
  value === null || value === undefined ? null : then(value);

/** The pair's answer where `lead` says how far the first shown is ahead. */
function choose(order: readonly number[], lead: number): FeedbackAnswer {
  return { kind: "pair", choice: lead === 0 ? "tie" : (order[lead > 0 ? 0 : 1] as 0 | 1) };
}

/** What the ratings of an item's completions, in the order shown, say of it. */
function rated(
  { kind }: FeedbackItem,
  order: readonly number[],
  ratings: readonly (number | null)[],
  scale: AskJudgeOptions["scale"],
): FeedbackAnswer | null {
  if (ratings.some((rating) => rating === null)) return null;
  const values = ratings as readonly number[];
  if (kind === "pair") return choose(order, (values[0] as number) - (values[1] as number));
  if (kind === "ranking") {
    const ranks = values.map((value) => 1 + values.filter((other) => other > value).length);
    return { kind, ranks: order.map((_, completion) => ranks[order.indexOf(completion)] as number) };
  }
  const share = onScale(values[0] as number, scale);
  return kind === "stars" ? { kind, rating: 1 + Math.round(4 * share) } : { kind: "thumbs", liked: share >= 0.5 };
}

function onScale(rating: number, scale: AskJudgeOptions["scale"]): number {
  if (!scale || !(scale[0] < scale[1])) {
    throw new ConfigError(`askJudge: thumbs and stars need a scale of two rising numbers, got ${scale ?? "none"}. Give [low, high].`);
  }
  const [low, high] = scale;
  if (rating < low || rating > high) {
    throw new DataError(`askJudge: ratings must be on the scale from ${low} to ${high}, got ${rating}. Widen the scale.`);
  }
  return (rating - low) / (high - low);
}
