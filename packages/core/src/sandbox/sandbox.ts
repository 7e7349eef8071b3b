/** What a sandbox for code that a model wrote must do, whichever engine and thread it uses. */
import { requireOptions } from "../rewards/require-options";
import type { SignalLike } from "../rl/abort";

/**
 * One test of a program, run by itself after the program's code.
 * - Text is JavaScript in the program's scope and passes unless it throws (or returns a promise that rejects); it may call `assert(x)`,
 *   `assert.equal(a, b)`, `assert.deepEqual(a, b)` and `assert.throws(f)`.
 * - `call` names a function; its result for `args` must equal `expected` (JSON values; numbers within 1e-9, relative to the larger).
 * - `input` is what `readline()` and `require("fs").readFileSync(0)` give the program, and `output` what it must print, but for white
 *   space at the ends of lines and of the text.
 */
export type SandboxTest =
  | string
  | { readonly call: string; readonly args: readonly unknown[]; readonly expected: unknown }
  | { readonly input: string; readonly output: string };

/** Code with its tests. */
export interface SandboxProgram {
  /** A script; its top-level names are visible to the tests. */
  readonly code: string;
  readonly tests: readonly SandboxTest[];
}

/** What one program may use. */
export interface SandboxLimits {
  /** Longest that all tests of a program may take together. Default 2000. */
  readonly timeoutMs?: number | undefined;
  /** Most memory of the engine that runs them, its own 16 MiB included. Default 64 MiB. */
  readonly memoryBytes?: number | undefined;
  /** Most characters that a test may print, or return as JSON. Default 65536. */
  readonly maxOutputCharacters?: number | undefined;
}

/** "timeout" and "memory": a limit was met. "error": the code threw. "mismatch": it ran, and its result is another. */
export type SandboxFailure = "timeout" | "memory" | "error" | "mismatch";

/** How one test ended; `failure` is undefined where it passed. */
export interface TestOutcome {
  readonly failure: SandboxFailure | undefined;
  /** What happened, in at most some 300 characters; "" where it passed. */
  readonly message: string;
}

/** Runs programs apart from everything else. Whatever a program does, its tests get outcomes; `run` rejects only when aborted or broken. */
export interface CodeSandbox {
  /** The outcomes of each program's tests, in order. */
  run(
    programs: readonly SandboxProgram[],
    options?: { readonly signal?: SignalLike | undefined },
  ): Promise<readonly (readonly TestOutcome[])[]>;
  /** Ends what the sandbox started. It must not be used afterwards. */
  close(): Promise<void>;
}

/** Limits with defaults filled in. */
export type ResolvedLimits = { readonly [Name in keyof SandboxLimits]-?: number };

/** Fills in defaults. Throws ConfigError for limits under which nothing can run. */
export function resolveLimits(limits: SandboxLimits): ResolvedLimits {
  const { timeoutMs = 2000, memoryBytes = 64 * 2 ** 20, maxOutputCharacters = 65_536 } = limits;
  requireOptions("sandbox", {
    timeoutMs: [timeoutMs, timeoutMs > 0, "above 0"],
    memoryBytes: [memoryBytes, memoryBytes >= 20 * 2 ** 20, "at least 20 MiB"],
    maxOutputCharacters: [maxOutputCharacters, maxOutputCharacters >= 0, "at least 0"],
  });
  return { timeoutMs, memoryBytes, maxOutputCharacters };
}

/** The outcome of a test that did not pass. */
export function failed(failure: SandboxFailure, message: string): TestOutcome {
  return { failure, message: message.slice(0, 300) };
}
