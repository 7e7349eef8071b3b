/**
 * Rankings as choices: of each, one item is preferred to all of some others. Every listwise objective is a list of them.
 *
 *   all pairs       each better item over each worse one, 1 / C(K, 2) each    InstructGPT: Ouyang et al. 2022, equation 1
 *   Plackett-Luce   each item over all worse ones                             Plackett 1975; Luce 1959
 *   best of N       the best item over all others                             Ziegler et al. 2019, equation 1
 */
import { ArgumentError } from "@trimtab/kernels";

/** One choice among the items of a list, which are numbered from 0. */
export interface Choice {
  readonly winner: number;
  /** At least one. */
  readonly opponents: readonly number[];
  readonly weight: number;
}

/** Every pair once, divided by the number of pairs of a list without ties; tied pairs are left out. Lower ranks are better. */
export function allPairs(ranks: readonly number[]): Choice[] {
  const weight = 2 / (ranks.length * (ranks.length - 1));
  return ranks.flatMap((rank, winner) => worseThan(ranks, rank).map((opponent) => ({ winner, opponents: [opponent], weight })));
}

export interface PlackettLuceOptions {
  /** Only the first `topK` places count: the order of the others is not known. Default all. */
  readonly topK?: number | undefined;
  /**
   * Items of equal rank: "omit" (default) does not compare them with each other; "average" is the mean over all their orders, for at
   * most 10 of a rank.
   */
  readonly ties?: "omit" | "average" | undefined;
}

/** 10 tied items are 5120 choices. */
const MOST_AVERAGED = 10;

/** Lower ranks are better. With two items it is Bradley-Terry. Throws ArgumentError where more than 10 tied items are to be averaged. */
export function plackettLuce(ranks: readonly number[], options: PlackettLuceOptions = {}): Choice[] {
  const { topK = ranks.length, ties = "omit" } = options;
  const choices = [...new Set(ranks)].flatMap((rank) => {
    const tied = ranks.flatMap((r, i) => (r === rank ? [i] : []));
    const better = ranks.filter((r) => r < rank).length;
    const worse = worseThan(ranks, rank);
    if (ties === "average" || tied.length === 1) return averaged(tied, worse, topK - better);
    return better < topK ? tied.map((winner) => ({ winner, opponents: worse, weight: 1 })) : [];
  });
  return choices.filter(({ opponents }) => opponents.length > 0);
}

/** The best item over all others: the first factor of Plackett-Luce, with its options for several best ones. */
export function bestOfN(ranks: readonly number[], { ties }: Pick<PlackettLuceOptions, "ties"> = {}): Choice[] {
  return plackettLuce(ranks, { topK: 1, ties });
}

const worseThan = (ranks: readonly number[], rank: number): number[] => ranks.flatMap((r, i) => (r > rank ? [i] : []));

/**
 * Mean over the orders of t tied items: after item i come the items of a subset A with chance |A|! (t - 1 - |A|)! / t!, and i is then
 * chosen over A and all worse items. It has place t - 1 - |A| among them, which must be below `places`.
 */
function averaged(tied: readonly number[], worse: readonly number[], places: number): Choice[] {
  const t = tied.length;
  if (t > MOST_AVERAGED) {
    throw new ArgumentError(`plackettLuce: at most ${MOST_AVERAGED} items of a rank can be averaged, got ${t}. Use ties "omit".`);
  }
  return tied.flatMap((winner) =>
    subsets(tied.filter((item) => item !== winner))
      .filter((after) => t - 1 - after.length < places)
      .map((after) => ({ winner, opponents: [...after, ...worse], weight: 1 / (t * binomial(t - 1, after.length)) })),
  );
}

function subsets(items: readonly number[]): number[][] {
  return Array.from({ length: 2 ** items.length }, (_, bits) => items.filter((_, i) => (bits >> i) & 1));
}

function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return result;
}
