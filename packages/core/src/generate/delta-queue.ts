/** Deltas on their way from the scheduler to whoever reads a request's stream. */
import type { CompletionDelta } from "./generate";

export class DeltaQueue implements AsyncIterable<CompletionDelta> {
  readonly #ready: CompletionDelta[] = [];
  #unfinished: number;
  #failure: { readonly reason: unknown } | undefined;
  #wake: () => void = () => {};

  /** Ends after the last delta of `completions` completions. */
  constructor(completions: number) {
    this.#unfinished = completions;
  }

  push(delta: CompletionDelta): void {
    this.#ready.push(delta);
    this.#wake();
  }

  /** The reader gets the reason instead of what is left. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CompletionDelta, void> {
    while (this.#unfinished > 0) {
      if (this.#failure) throw this.#failure.reason;
      const delta = this.#ready.shift();
      if (!delta) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (delta.completion) this.#unfinished -= 1;
      yield delta;
    }
  }
}
