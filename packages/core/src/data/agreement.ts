/** How far raters agree: percent agreement, Cohen's kappa and Krippendorff's alpha. */
import { ArgumentError } from "@trimtab/kernels";

/** What one rater said of one unit. */
export type Judgement = string | number | boolean;

/** Units × raters; null where a rater did not judge the unit. Raters may differ from unit to unit. */
export type JudgementTable = readonly (readonly (Judgement | null | undefined)[])[];

/**
 * Share of the pairs of judgements of a unit that are equal, pooled over all units (as labeler agreement is reported by Stiennon et al. 2020
 * and Ouyang et al. 2022). NaN where no unit has two judgements.
 */
export function percentAgreement(table: JudgementTable): number {
  let [equal, pairs] = [0, 0];
  for (const values of pairable(table)) {
    values.forEach((value, i) => {
      for (const other of values.slice(i + 1)) {
        pairs++;
        if (other === value) equal++;
      }
    });
  }
  return equal / pairs;
}

export interface CohenKappaOptions {
  /** How much a disagreement counts: all the same, by the distance of numbers, or by its square. Default "none". */
  readonly weights?: "none" | "linear" | "quadratic" | undefined;
}

/**
 * Cohen's kappa of two raters who judged the same units (N): 1 - Σ w o / Σ w e over observed and, by the raters' own shares, expected pairs
 * of values (Cohen 1960; weighted: Cohen 1968). 1 is perfect, 0 chance; NaN where both always say one and the same. Throws ArgumentError for lists
 * of different or no length, and for weights on anything but numbers.
 */
export function cohenKappa(first: readonly Judgement[], second: readonly Judgement[], options: CohenKappaOptions = {}): number {
  const { weights = "none" } = options;
  if (first.length !== second.length || first.length === 0) {
    throw new ArgumentError(
      `cohenKappa: both raters must judge the same units, got ${first.length} and ${second.length}. Pass equal lists.`,
    );
  }
  const bad = weights === "none" ? undefined : [...first, ...second].find((value) => typeof value !== "number");
  if (bad !== undefined) throw new ArgumentError(`cohenKappa: ${weights} weights need numbers, got ${JSON.stringify(bad)}. Use "none".`);
  const cost = costs[weights];
  const observed = first.reduce<number>((sum, value, i) => sum + cost(value, second[i] as Judgement), 0) / first.length;
  const [a, b] = [counts(first), counts(second)];
  let expected = 0;
  for (const [x, m] of a) for (const [y, n] of b) expected += cost(x, y) * (m / first.length) * (n / first.length);
  return 1 - observed / expected;
}

const costs = {
  none: (x: Judgement, y: Judgement) => Number(x !== y),
  linear: (x: Judgement, y: Judgement) => Math.abs((x as number) - (y as number)),
  quadratic: (x: Judgement, y: Judgement) => ((x as number) - (y as number)) ** 2,
};

/**
 * Krippendorff's alpha: 1 - observed / expected disagreement, for any number of raters and missing judgements ("Computing Krippendorff's
 * Alpha-Reliability", 2011). "nominal": any difference counts the same. "ordinal": numbers; a difference counts by how many judgements lie between.
 * 1 is perfect, 0 chance; NaN where no unit has two judgements or all are equal. Throws ArgumentError for ordinal values that are no numbers.
 */
export function krippendorffAlpha(table: JudgementTable, level: "nominal" | "ordinal"): number {
  const units = pairable(table);
  const all = units.flat();
  const totals = counts(all);
  const distance = level === "nominal" ? costs.none : ordinalDistance(totals);
  // Within a unit of m judgements every ordered pair weighs 1 / (m - 1), so that a judgement weighs 1.
  let observed = 0;
  for (const values of units) {
    for (const x of values) for (const y of values) observed += distance(x, y) / (values.length - 1);
  }
  let expected = 0;
  for (const [x, m] of totals) for (const [y, n] of totals) expected += (distance(x, y) * m * n) / (all.length - 1);
  return 1 - observed / expected;
}

/** (Σ of the counts from one value to the other, ends by half)², by value. */
function ordinalDistance(totals: ReadonlyMap<Judgement, number>): (x: Judgement, y: Judgement) => number {
  const bad = [...totals.keys()].find((value) => typeof value !== "number");
  if (bad !== undefined) {
    throw new ArgumentError(`krippendorffAlpha: ordinal judgements must be numbers, got ${JSON.stringify(bad)}. Use "nominal".`);
  }
  const middles = new Map<Judgement, number>();
  let below = 0;
  for (const [value, count] of [...totals].sort(([a], [b]) => (a as number) - (b as number))) {
    middles.set(value, below + count / 2);
    below += count;
  }
  return (x, y) => ((middles.get(x) as number) - (middles.get(y) as number)) ** 2;
}

/** The judgements of each unit that has at least two. */
function pairable(table: JudgementTable): Judgement[][] {
  return table.map((unit) => unit.filter((value) => value !== null && value !== undefined)).filter((values) => values.length > 1);
}

function counts(values: readonly Judgement[]): ReadonlyMap<Judgement, number> {
  const totals = new Map<Judgement, number>();
  for (const value of values) totals.set(value, (totals.get(value) ?? 0) + 1);
  return totals;
}
