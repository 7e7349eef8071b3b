/** Environments by name, or from a user's module; they run in this process, so only asynchronous ones can be timed out. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  ConfigError,
  calculatorEnvironment,
  type EnvironmentFactory,
  type EnvironmentRolloutOptions,
  environmentRollout,
  guessEnvironment,
  type RolloutFunction,
} from "@trimtab/core";
import { createJiti } from "jiti";

const BUILT_IN: Readonly<Record<string, () => EnvironmentFactory>> = { guess: guessEnvironment, calculator: calculatorEnvironment };

/** Options of a command that may play in an environment. */
export interface EnvironmentFlags {
  readonly environment?: string | undefined;
  readonly environmentTimeout: number;
  readonly maxTurns: number;
  readonly maxActionTokens?: number | undefined;
  readonly maxObservationTokens?: number | undefined;
}

/** The rollout function that the flags ask for; undefined where they name no environment. */
export async function environmentOf(flags: EnvironmentFlags): Promise<RolloutFunction | undefined> {
  if (flags.environment === undefined) return undefined;
  const options: EnvironmentRolloutOptions = {
    maxTurns: flags.maxTurns,
    maxActionTokens: flags.maxActionTokens,
    maxObservationTokens: flags.maxObservationTokens,
    timeoutMs: flags.environmentTimeout * 1000,
  };
  return environmentRollout(await loadEnvironment(flags.environment), options);
}

/**
 * A built-in environment (`guess`, `calculator`) or the factory that a module exports: `path#export`, or its default export. Throws ConfigError
 * where there is none.
 */
export async function loadEnvironment(spec: string): Promise<EnvironmentFactory> {
  const builtIn = Object.hasOwn(BUILT_IN, spec) ? BUILT_IN[spec] : undefined;
  if (builtIn) return builtIn();
  const hash = spec.lastIndexOf("#");
  const path = resolve(hash > 0 ? spec.slice(0, hash) : spec);
  const name = hash > 0 ? spec.slice(hash + 1) : "default";
  let exports: Record<string, unknown>;
  try {
    exports = await createJiti(pathToFileURL(path).href, { interopDefault: false, moduleCache: false }).import(path);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`--environment ${spec}: it must be ${Object.keys(BUILT_IN).join(", ")} or a module that loads, got ${got}.`, {
      cause,
    });
  }
  const factory = exports[name];
  if (typeof factory === "function") return factory as EnvironmentFactory;
  throw new ConfigError(
    `--environment ${spec}: "${name}" must be an exported function (row, seed, context) => environment, got exports ${Object.keys(exports).join(", ") || "none"}.`,
  );
}
