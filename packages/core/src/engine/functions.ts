/** The application's functions that the engine's thread may call, by number. */
import { type Controller, newController, type Signal } from "../rl/abort";
import type { RewardArguments, RewardFunction } from "../rl/rewards";
import { type Outcome, outcomeOf } from "./outcome";
import type { RewardReply } from "./protocol";

/** Answers one call. The signal aborts when the answer is no longer wanted. */
export type Answer = (argument: unknown, signal: Signal) => unknown;

type Listener = (...news: never[]) => void;

export class Functions {
  readonly #answers = new Map<number, Answer>();
  readonly #listeners = new Map<number, Listener>();
  readonly #calls = new Map<number, Controller>();
  #added = 0;

  add(answer: Answer): number {
    this.#answers.set(++this.#added, answer);
    return this.#added;
  }

  listen(listener: Listener): number {
    this.#listeners.set(++this.#added, listener);
    return this.#added;
  }

  remove(id: number): void {
    this.#answers.delete(id);
    this.#listeners.delete(id);
  }

  async call(fn: number, call: number, argument: unknown): Promise<Outcome<unknown>> {
    const controller = newController();
    this.#calls.set(call, controller);
    try {
      return await outcomeOf(() => this.#answers.get(fn)?.(argument, controller.signal));
    } finally {
      this.#calls.delete(call);
    }
  }

  giveUp(call: number): void {
    this.#calls.get(call)?.abort();
  }

  tell(fn: number, ...news: readonly unknown[]): void {
    this.#listeners.get(fn)?.(...(news as never[]));
  }
}

/** A reward function as the answer to a call: what it logs travels with what it returns. */
export function rewardAnswer(reward: RewardFunction): Answer {
  return async (args, signal): Promise<RewardReply> => {
    const extras: [string, readonly unknown[]][] = [];
    const metrics: [string, number][] = [];
    const values = await reward({
      ...(args as RewardArguments),
      signal,
      logExtra: (column, logged) => void extras.push([column, logged]),
      logMetric: (name, value) => void metrics.push([name, value]),
    });
    return { values, extras, metrics };
  };
}
