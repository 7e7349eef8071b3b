/** How far the raters of a session agree on one kind of feedback, and whether they prefer a place. */
import { cohenKappa, type Judgement, type JudgementTable, krippendorffAlpha, percentAgreement } from "@trimtab/core";
import type { Feedback, FeedbackAnswer } from "./answers";
import type { FeedbackKind } from "./items";

/** Every measure is NaN where nothing can be compared. */
export interface FeedbackAgreement {
  /** What at least two raters judged: items; of rankings, every two completions of one. */
  readonly units: number;
  /** Share of the pairs of judgements that are equal. */
  readonly percent: number;
  /** Krippendorff's alpha: ordinal for stars, else nominal. */
  readonly alpha: number;
  /** Cohen's kappa of every two raters with units in common: with quadratic weights for stars, else without. */
  readonly kappas: readonly { readonly raters: readonly [string, string]; readonly units: number; readonly kappa: number }[];
}

/** The kinds that can agree; texts that people write cannot be told to be the same. */
export type ComparableKind = Exclude<FeedbackKind, "correction" | "demonstration">;

/** Agreement on the items of a kind; `feedback` holds the answers of all raters. Skips count as not judged. */
export function feedbackAgreement(feedback: readonly Feedback[], kind: ComparableKind): FeedbackAgreement {
  const ofKind = feedback.filter(({ item }) => item.kind === kind);
  const raters = [...new Set(ofKind.map(({ rater }) => rater))];
  const units = new Map<string, (Judgement | null)[]>();
  for (const { item, answer, rater } of ofKind) {
    for (const [name, judgement] of judgements(answer)) {
      const key = `${item.id}/${name}`;
      const values = units.get(key) ?? raters.map(() => null);
      values[raters.indexOf(rater)] = judgement;
      units.set(key, values);
    }
  }
  const table = [...units.values()];
  return {
    units: table.filter((values) => values.filter((value) => value !== null).length > 1).length,
    percent: percentAgreement(table),
    alpha: krippendorffAlpha(table, kind === "stars" ? "ordinal" : "nominal"),
    kappas: kappas(raters, table, kind === "stars" ? "quadratic" : "none"),
  };
}

/** What an answer says, unit by unit. */
function judgements(answer: FeedbackAnswer): [unit: string, judgement: Judgement][] {
  if (answer.kind === "pair") return [["choice", answer.choice]];
  if (answer.kind === "thumbs") return [["liked", answer.liked]];
  if (answer.kind === "stars") return [["rating", answer.rating]];
  if (answer.kind !== "ranking") return [];
  return answer.ranks.flatMap((rank, i) =>
    answer.ranks.slice(i + 1).map((other, j): [string, Judgement] => [`${i}-${i + 1 + j}`, Math.sign(rank - other)]),
  );
}

function kappas(raters: readonly string[], table: JudgementTable, weights: "none" | "quadratic"): FeedbackAgreement["kappas"] {
  return raters.flatMap((first, a) =>
    raters.slice(a + 1).flatMap((second, offset) => {
      const b = a + 1 + offset;
      const both = table.flatMap((values): [Judgement, Judgement][] => {
        const [x, y] = [values[a] ?? null, values[b] ?? null];
        return x === null || y === null ? [] : [[x, y]];
      });
      if (both.length === 0) return [];
      const kappa = cohenKappa(
        both.map(([x]) => x),
        both.map(([, y]) => y),
        { weights },
      );
      return [{ raters: [first, second] as const, units: both.length, kappa }];
    }),
  );
}

/** Share of the choices between two that fell on what was shown first, less 1/2: 0 without a bias, NaN without a choice. */
export function positionBias(feedback: readonly Feedback[]): number {
  const firsts = feedback.flatMap(({ answer, order }) =>
    answer.kind === "pair" && answer.choice !== "tie" && order ? [answer.choice === order[0] ? 1 : 0] : [],
  );
  return firsts.reduce<number>((sum, first) => sum + first, 0) / firsts.length - 0.5;
}
