/** The cancellation and timer globals that Node and every browser share, typed here because core compiles without either's library. */

/** The part of an AbortSignal that the engine itself uses. */
export interface SignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** The platform's own AbortSignal where its types are loaded (so that it can be handed to `fetch`), else what we use of it. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Native } } ? Native : SignalLike;

/** What makes a signal abort. */
export interface Controller {
  readonly signal: Signal;
  abort(reason?: unknown): void;
}

declare const AbortController: new () => Controller;
declare const setTimeout: (callback: () => void, ms: number) => unknown;
declare const clearTimeout: (timer: unknown) => void;

export function newController(): Controller {
  return new AbortController();
}

/**
 * Runs `work` with a signal that aborts when it has ended, when `timeoutMs` have passed (then rejects with `onTimeout()`), or
 * when `outer` aborts (then rejects with its reason). A promise that never settles is left behind; nothing waits for it.
 */
export async function withDeadline<T>(
  work: (signal: Signal) => Promise<T>,
  limits: { readonly timeoutMs: number | undefined; readonly onTimeout: () => Error; readonly outer: SignalLike | undefined },
): Promise<T> {
  const { timeoutMs, onTimeout, outer } = limits;
  outer?.throwIfAborted();
  const controller = newController();
  let timer: unknown;
  let onAbort = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    onAbort = () => reject(outer?.reason);
    outer?.addEventListener("abort", onAbort, { once: true });
    if (timeoutMs !== undefined) timer = setTimeout(() => reject(onTimeout()), timeoutMs);
  });
  try {
    return await Promise.race([work(controller.signal), interrupted]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", onAbort);
    controller.abort();
  }
}
