/** JSON that keeps every number: NaN, infinities and negative zero are written as {"$number": "NaN"}. */
import { CheckpointError } from "../errors";

const TAG = "$number";

/** A copy that JSON.stringify keeps exactly. Throws CheckpointError for what JSON cannot hold (functions, typed arrays, maps, ...). */
export function toExactJson(value: unknown, path = "state"): unknown {
  if (typeof value === "number")
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { [TAG]: Object.is(value, -0) ? "-0" : String(value) };
  if (value === null || value === undefined || typeof value === "string" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map((item, i) => toExactJson(item, `${path}[${i}]`));
  if (typeof value === "object" && isPlain(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toExactJson(item, `${path}.${key}`)]));
  }
  const got = typeof value === "object" ? value.constructor.name : typeof value;
  throw new CheckpointError(`saveState: ${path} must be a JSON value, got ${got}. Put typed arrays into the state's arrays.`);
}

/** The value that {@link toExactJson} was given. */
export function fromExactJson(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromExactJson);
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === TAG) return Number(first[1]);
  return Object.fromEntries(entries.map(([key, item]) => [key, fromExactJson(item)]));
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
}
