/** Results and typed errors across a thread: an error keeps its class, its message, its fields and its cause. */
import { ArgumentError, ContractError, DeviceError, OutOfMemoryError, ShapeError, TrimtabError } from "@trimtab/kernels";
import * as errors from "../errors";
import { ScheduleError } from "../optim/schedule";
import { TokenizerError } from "../tokenizer/tokenizer-error";

/** An error as a message carries it. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: unknown;
  /** Its own fields: `code`, `file`, `line`, ... */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a call came to: a thread's messages carry no exceptions of our own classes. */
export type Outcome<T> = { readonly value: T } | { readonly error: WireError } | { readonly thrown: unknown };

type ErrorClass = new (message: string, ...rest: never[]) => TrimtabError;

let classes: ReadonlyMap<string, ErrorClass> | undefined;

/** The class of a typed error by its code, which stays when a bundler renames classes. */
function classOf(code: unknown): ErrorClass | undefined {
  classes ??= new Map(
    [
      ...[ArgumentError, ContractError, DeviceError, OutOfMemoryError, ShapeError, ScheduleError, TokenizerError],
      ...Object.values(errors),
    ].map((one) => [new (one as ErrorClass)("").code, one as ErrorClass]),
  );
  return classes.get(String(code));
}

/** Runs `work` and says what it came to. */
export async function outcomeOf<T>(work: () => Promise<T> | T): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return failure(error);
  }
}

/** The outcome of something that threw. */
export function failure(thrown: unknown): Outcome<never> {
  return thrown instanceof Error ? { error: toWire(thrown) } : { thrown: plain(thrown) };
}

/** The value, or throws what was thrown on the other thread. */
export function resultOf<T>(outcome: Outcome<T>): T {
  if ("value" in outcome) return outcome.value;
  throw reasonOf(outcome);
}

/** What was thrown on the other thread. */
export function reasonOf(outcome: Outcome<never>): unknown {
  return "error" in outcome ? fromWire(outcome.error) : (outcome as { readonly thrown: unknown }).thrown;
}

/** Causes of causes are followed this far. */
const DEPTH = 4;

function toWire(error: Error, depth = DEPTH): WireError {
  const { name, message, stack, cause } = error;
  const own = Object.entries(error).filter(([field]) => !["name", "message", "stack", "cause"].includes(field));
  return {
    name,
    message,
    stack,
    cause: cause instanceof Error ? (depth > 0 ? toWire(cause, depth - 1) : undefined) : plain(cause),
    fields: Object.fromEntries(own.map(([field, value]) => [field, plain(value)])),
  };
}

function fromWire({ name, message, stack, cause, fields }: WireError): Error {
  const error = new Error(message, cause === undefined ? {} : { cause: isWire(cause) ? fromWire(cause) : cause });
  const known = classOf(fields.code) ?? ("code" in fields ? TrimtabError : undefined);
  if (known) Object.setPrototypeOf(error, known.prototype);
  Object.defineProperties(error, {
    name: { value: name, configurable: true, writable: true },
    stack: { value: stack, configurable: true, writable: true },
  });
  return Object.assign(error, fields);
}

function isWire(cause: unknown): cause is WireError {
  return typeof cause === "object" && cause !== null && "fields" in cause && "message" in cause;
}

/** What a message can carry of a value that may be anything. */
function plain(value: unknown): unknown {
  if (typeof value === "function" || typeof value === "symbol") return String(value);
  if (typeof value !== "object" || value === null) return value;
  return String(value);
}
