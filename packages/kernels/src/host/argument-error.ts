/** The error of host functions whose arguments are ordinary values rather than tensors. */
import { TrimtabError } from "../errors";

/** An argument of a host function is outside what the function is defined for. */
export class ArgumentError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("ARGUMENT", message, options);
  }
}

/** Throws unless `value` is an integer of at least `least`. */
export function requireInteger(where: string, name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new ArgumentError(`${where}: ${name} must be an integer of at least ${least}, got ${value}. Correct ${name}.`);
  }
}
