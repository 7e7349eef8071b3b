/** Timing side by side: contestants take turns, round after round, so that a slow spell of the machine hits them all. */

export interface Contestant {
  readonly name: string;
  /** Runs once; resolves when the work is done, not when it is queued. */
  readonly run: () => Promise<unknown>;
}

export interface Timing {
  readonly name: string;
  readonly medianMs: number;
  readonly bestMs: number;
  /** (third quartile - first quartile) / median */
  readonly spread: number;
  readonly rounds: number;
}

/** How often ceilings, products, ops and steps beside peers are gone through: a slow spell of some seconds decides about none of them. */
export const PASSES = 3;

/** A turn's runs that count: three in a row, or as many of them as begin within half a second. */
const TURN = { runs: 3, ms: 500 };

interface RaceOptions {
  readonly minRounds?: number;
  readonly maxRounds?: number;
  readonly budgetMs?: number;
  readonly warmUpMs?: number;
}

/**
 * Rounds until each contestant has `minRounds` and the group has used `budgetMs`, after each has run for `warmUpMs`, at least once. A contestant's turn
 * begins with a run that does not count: after another's turn its threads are asleep, and the caches full of the other's data. Runs in a row follow,
 * for all alike, because that is how training and sampling run.
 */
export async function race(contestants: readonly Contestant[], options: RaceOptions = {}): Promise<Timing[]> {
  const [timings] = await raceInPasses([contestants], 1, options);
  return timings as Timing[];
}

/** {@link race} for each group of contestants, `passes` times over, the options for each time; `onPass` is awaited after each. */
export async function raceInPasses(
  groups: readonly (readonly Contestant[])[],
  passes: number,
  options: RaceOptions = {},
  onPass: () => Promise<void> = async () => {},
): Promise<Timing[][]> {
  const times = groups.map((group) => group.map((): number[] => []));
  for (let pass = 0; pass < passes; pass++) {
    for (const [g, group] of groups.entries()) await raceOnce(group, options, times[g] as number[][]);
    await onPass();
  }
  return groups.map((group, g) => group.map(({ name }, i) => summarise(name, times[g]?.[i] as number[])));
}

/** Adds what each contestant's runs took to its `times`. */
async function raceOnce(
  contestants: readonly Contestant[],
  { minRounds = 5, maxRounds = 60, budgetMs = 2000, warmUpMs = 200 }: RaceOptions,
  times: readonly number[][],
): Promise<void> {
  for (const { run } of contestants) {
    const start = performance.now();
    do await run();
    while (performance.now() - start < warmUpMs);
  }
  const start = performance.now();
  for (let round = 0; round < maxRounds && (round < minRounds || performance.now() - start < budgetMs); round++) {
    for (const [c, { run }] of contestants.entries()) {
      if (contestants.length > 1) await run();
      const turn = performance.now();
      for (let i = 0; i < TURN.runs && (i === 0 || performance.now() - turn < TURN.ms); i++) {
        const before = performance.now();
        await run();
        times[c]?.push(performance.now() - before);
      }
    }
  }
}

function summarise(name: string, times: number[]): Timing {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
  return { name, medianMs: at(0.5), bestMs: sorted[0] as number, spread: (at(0.75) - at(0.25)) / at(0.5), rounds: sorted.length };
}

/** Geometric mean. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
}
