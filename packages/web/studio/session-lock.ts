/** Sees to it that a session is open in one tab at a time, whose writes would else undo one another's: by a Web Lock that the tab holds. */

export class SessionLock {
  readonly #asks = new BroadcastChannel("trimtab-studio-sessions");
  #held: { readonly id: string; readonly release: () => void } | undefined;
  #waiting: AbortController | undefined;

  /** `onAsked` hears that another tab asks for the session that this one holds: write it, then `release`. */
  constructor(onAsked: () => void) {
    this.#asks.addEventListener("message", ({ data }) => {
      if (data === this.#held?.id) onAsked();
    });
  }

  /** Holds a session in place of the one before; false where another tab holds it. A browser without locks always has it. */
  take(id: string): Promise<boolean> {
    this.release();
    return this.#request(id, { ifAvailable: true });
  }

  /** Holds a session as soon as no other tab does; false where `take` or `release` came before that. */
  async wait(id: string): Promise<boolean> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    try {
      return await this.#request(id, { signal: waiting.signal });
    } catch (error) {
      if (waiting.signal.aborted) return false;
      throw error;
    }
  }

  /** Whether another tab has a session that this one does not hold. */
  async isHeldElsewhere(id: string): Promise<boolean> {
    const { held = [] } = (await (navigator.locks as LockManager | undefined)?.query()) ?? {};
    return held.some(({ name }) => name === lockName(id));
  }

  /** Asks the tab that holds a session to let go of it. */
  ask(id: string): void {
    this.#asks.postMessage(id);
  }

  release(): void {
    this.#waiting?.abort();
    this.#held?.release();
    this.#held = undefined;
  }

  /** Resolves when the lock is held, or cannot be had at once. */
  #request(id: string, options: LockOptions): Promise<boolean> {
    const locks = navigator.locks as LockManager | undefined;
    if (!locks) return Promise.resolve(true);
    return new Promise((resolve, reject) => {
      const hold = (lock: Lock | null) => {
        if (!lock) return resolve(false);
        return new Promise<void>((release) => {
          this.#held = { id, release };
          resolve(true);
        });
      };
      locks.request(lockName(id), options, hold).catch(reject);
    });
  }
}

function lockName(id: string): string {
  return `trimtab-studio/${id}`;
}
