/** Who may use the models: one call at a time, so that nobody sees weights that a step is changing. */

/** A caller's turn. */
export interface Turn {
  /**
   * Lets others have their turn while `wait` waits for another thread, which may be waiting for this one: a reward function that asks the engine to
   * score something. Several may wait at once; the turn goes on when the last of them has ended.
   */
  outside<T>(wait: () => Promise<T>): Promise<T>;
}

export class Turns {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  /** Runs `work` when everyone before it is done. */
  async take<T>(work: (turn: Turn) => Promise<T>): Promise<T> {
    await this.#acquire();
    let [outside, isHeld, isOver] = [0, true, false];
    let returning: Promise<void> | undefined;
    const goOn = async () => {
      await this.#acquire();
      returning = undefined;
      isHeld = outside === 0 && !isOver;
      if (!isHeld) this.#release();
    };
    try {
      return await work({
        outside: async (wait) => {
          outside += 1;
          if (isHeld) {
            isHeld = false;
            this.#release();
          }
          try {
            return await wait();
          } finally {
            outside -= 1;
            // The turn may be over by now: what it waited for had a deadline.
            while (outside === 0 && !isHeld && !isOver) {
              returning ??= goOn();
              await returning;
            }
          }
        },
      });
    } finally {
      isOver = true;
      if (isHeld) this.#release();
    }
  }

  #acquire(): Promise<void> {
    if (this.#isTaken) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
    return Promise.resolve();
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#isTaken = false;
  }
}
