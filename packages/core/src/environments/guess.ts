/** Number guessing: the environment thinks of a number and answers each guess with "higher" or "lower". */
import { randomInt } from "@trimtab/kernels";
import type { DatasetRow } from "../data/jsonl";
import { ConfigError } from "../errors";
import type { Environment, EnvironmentFactory, EnvironmentStep, EpisodeReport } from "./environment";

export interface GuessOptions {
  /** Smallest number it may think of. Default 1. */
  readonly low?: number | undefined;
  /** Largest. Default 100. */
  readonly high?: number | undefined;
  /** Guesses before the episode is lost. Default: as many as bisection needs at most. */
  readonly maxGuesses?: number | undefined;
}

/**
 * The number is a row's `secret`, or drawn from the seed. A guess is the last whole number of an action; an action without one, or with one out
 * of range, is a guess lost. Found at guess k of K earns 1 - (k - 1) / K, not at all 0. Metrics: `environment/solved`, `environment/guesses`.
 * Throws ConfigError where the range is empty.
 */
export function guessEnvironment(options: GuessOptions = {}): EnvironmentFactory {
  const { low, high, maxGuesses } = resolve(options);
  return (row, seed) => {
    const secret = typeof row.secret === "number" ? row.secret : low + randomInt(high - low + 1, seed, 0, 0);
    return new Guessing(low, high, secret, maxGuesses);
  };
}

/** Rows that say the rules, `count` of them, all alike: the numbers come from the seeds. */
export function guessRows(count: number, options: GuessOptions = {}): DatasetRow[] {
  const { low, high, maxGuesses } = resolve(options);
  const prompt = `I am thinking of a whole number from ${low} to ${high}. You have ${maxGuesses} guesses; after each I say higher or lower. Write a number.\n`;
  return Array.from({ length: count }, () => ({ prompt }));
}

class Guessing implements Environment {
  readonly #low: number;
  readonly #high: number;
  readonly #secret: number;
  readonly #maxGuesses: number;
  #guesses = 0;
  #isSolved = false;

  constructor(low: number, high: number, secret: number, maxGuesses: number) {
    this.#low = low;
    this.#high = high;
    this.#secret = secret;
    this.#maxGuesses = maxGuesses;
  }

  reset(): undefined {
    return undefined;
  }

  step(action: string): EnvironmentStep {
    this.#guesses++;
    const guess = Number(action.match(/-?\d+/g)?.at(-1) ?? Number.NaN);
    this.#isSolved = guess === this.#secret;
    if (this.#isSolved) return { reward: 1 - (this.#guesses - 1) / this.#maxGuesses, done: true };
    if (this.#guesses === this.#maxGuesses) return { reward: 0, done: true };
    const isValid = guess >= this.#low && guess <= this.#high;
    const hint = guess < this.#secret ? "higher" : "lower";
    return { observation: isValid ? hint : `a number from ${this.#low} to ${this.#high}`, done: false };
  }

  /** An episode cut short is lost, not unjudged. */
  reward(): number {
    return 0;
  }

  report(): EpisodeReport {
    return {
      metrics: { "environment/solved": this.#isSolved ? 1 : 0, "environment/guesses": this.#guesses },
      extras: { secret: this.#secret },
    };
  }
}

function resolve({ low = 1, high = 100, maxGuesses }: GuessOptions): { low: number; high: number; maxGuesses: number } {
  const isRange = Number.isSafeInteger(low) && Number.isSafeInteger(high) && high >= low;
  const guesses = maxGuesses ?? bisections(high - low + 1);
  if (isRange && Number.isInteger(guesses) && guesses >= 1) return { low, high, maxGuesses: guesses };
  throw new ConfigError(
    `guessEnvironment: low and high must be whole numbers in order and maxGuesses at least 1, got ${low}, ${high} and ${maxGuesses}. Correct them.`,
  );
}

/** Guesses that always suffice for `count` numbers: each tells a middle one from two halves. */
function bisections(count: number): number {
  let guesses = 0;
  for (let left = count; left > 0; left = Math.floor(left / 2)) guesses++;
  return guesses;
}
