/** The options of `environmentRollout`, their defaults and their check. */
import { ConfigError } from "../errors";
import type { TranscriptOptions } from "./transcript";

export interface EnvironmentRolloutOptions extends TranscriptOptions {
  /** Most actions of one episode, which is then cut short ("length"). Default 16. */
  readonly maxTurns?: number | undefined;
  /** Longest action in tokens; a longer one is played as far as it goes. Default: what maxCompletionLength leaves. */
  readonly maxActionTokens?: number | undefined;
  /** Most environments that reset or step at once. Default 16. */
  readonly maxConcurrent?: number | undefined;
  /** Longest that one call of an asynchronous environment may take. Default 60000; Infinity for no bound. */
  readonly timeoutMs?: number | undefined;
}

/** Options with defaults filled in. */
export interface EnvironmentSettings extends TranscriptOptions {
  readonly maxTurns: number;
  readonly maxActionTokens: number | undefined;
  readonly maxConcurrent: number;
  readonly timeoutMs: number | undefined;
}

/** Fills in defaults. Throws ConfigError listing every bad option. */
export function resolveEnvironmentRollout(options: EnvironmentRolloutOptions): EnvironmentSettings {
  const { maxTurns = 16, maxConcurrent = 16, timeoutMs = 60_000, maxActionTokens, maxObservationTokens } = options;
  const problems: string[] = [];
  const count = (name: string, value: number | undefined) => {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1))
      problems.push(`\`${name}\` must be a whole number of at least 1, got ${value}`);
  };
  count("maxTurns", maxTurns);
  count("maxConcurrent", maxConcurrent);
  count("maxActionTokens", maxActionTokens);
  count("maxObservationTokens", maxObservationTokens);
  if (!(timeoutMs > 0)) problems.push(`\`timeoutMs\` must be above 0, got ${timeoutMs}`);
  if (problems.length > 0) throw new ConfigError(`environmentRollout: ${problems.join("; ")}. Correct these options.`);
  return { ...options, maxTurns, maxConcurrent, maxActionTokens, timeoutMs: Number.isFinite(timeoutMs) ? timeoutMs : undefined };
}
