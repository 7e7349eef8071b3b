/** Functions of the application's, as the engine's thread calls them: rewards and judges that are waited for, listeners that are not. */
import { namedReward } from "../rewards/named-reward";
import type { SignalLike } from "../rl/abort";
import type { RewardFunction, RewardValues } from "../rl/rewards";
import type { ComparingJudge } from "../trainers/online-dpo";
import { failure, resultOf } from "./outcome";
import type { Answering, EngineCaller, RewardReply, WireFunction } from "./protocol";

/** Waits for another thread while others may use the models. */
export type Outside = <T>(wait: () => Promise<T>) => Promise<T>;

export class Caller {
  readonly #remote: Answering<EngineCaller>;
  #calls = 0;
  #told: Promise<unknown>[] = [];

  constructor(remote: Answering<EngineCaller>) {
    this.#remote = remote;
  }

  /** Tells a listener something, and does not wait. */
  tell(listener: number, ...news: readonly unknown[]): void {
    this.#told.push(this.#remote.tell(listener, ...news));
  }

  /** Waits until listeners have heard everything: calls and their answers travel on different ports, so that an answer may overtake news. */
  async heard(): Promise<void> {
    const told = this.#told;
    this.#told = [];
    await Promise.all(told);
  }

  lost(reason: unknown): void {
    void this.#remote.lost(failure(reason));
  }

  /** A reward function that runs on the application's thread, under its own name. */
  reward({ call, name }: WireFunction, outside: Outside): RewardFunction {
    return namedReward(name, async ({ signal, logExtra, logMetric, ...args }) => {
      const { values, extras, metrics } = await outside(() => this.#call<RewardReply>(call, copied(args), signal));
      for (const [column, logged] of extras) logExtra(column, logged);
      for (const [metric, value] of metrics) logMetric(metric, value);
      return values as RewardValues;
    });
  }

  /** A judge that runs on the application's thread. */
  judge({ call }: WireFunction, outside: Outside): ComparingJudge {
    return { compare: (pairs, { signal } = {}) => outside(() => this.#call(call, pairs, signal)) };
  }

  async #call<T>(fn: number, argument: unknown, signal: SignalLike | undefined): Promise<T> {
    signal?.throwIfAborted();
    const call = ++this.#calls;
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        void this.#remote.giveUp(call);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return resultOf(await Promise.race([this.#remote.call(fn, call, argument), aborted])) as T;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** Tokens are windows on larger arrays, all of which a message would carry. */
function copied(args: Readonly<Record<string, unknown>>): unknown {
  return { ...args, completionIds: (args.completionIds as readonly Uint32Array[]).map((ids) => ids.slice()) };
}
