/** Checking the numeric options of rewards when they are made, not when they first run. */
import { ConfigError } from "../errors";

/** Throws ConfigError naming every option that is not as it must be. */
export function requireOptions(
  where: string,
  options: Readonly<Record<string, readonly [value: unknown, isGood: boolean, must: string]>>,
): void {
  const problems = Object.entries(options)
    .filter(([, [, isGood]]) => !isGood)
    .map(([name, [value, , must]]) => `\`${name}\` must be ${must}, got ${String(value)}`);
  if (problems.length > 0) throw new ConfigError(`${where}: ${problems.join("; ")}. Correct these options.`);
}
