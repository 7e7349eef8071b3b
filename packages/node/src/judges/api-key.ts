/** The key of an endpoint, from the environment. */
import { ConfigError } from "@trimtab/core";

/** The value of an environment variable. Throws ConfigError where it is not set; the value is never part of a message. */
export function apiKeyFrom(variable: string): string {
  const key = process.env[variable];
  if (key) return key;
  throw new ConfigError(`apiKeyFrom: the environment variable ${variable} must hold the endpoint's key, got nothing. Set it.`);
}
