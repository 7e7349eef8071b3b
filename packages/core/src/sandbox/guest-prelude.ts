/**
 * What runs inside the sandbox before a program: it locks the built-in objects, and gives the program its input and output and the
 * tests their assertions. It is text because it is another engine's code.
 *
 * Reward hacking is why built-ins are locked: a program that may replace `Array.prototype.every` passes every test that uses it.
 * Methods of prototypes become accessors, so that objects that inherit from them may still be given methods of the same name.
 */

/** A function (input, maxCharacters) => { describe, json, check, output }, whose results only the host can reach. */
export const GUEST_PRELUDE = String.raw`(input, maxCharacters) => {
"use strict";
const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { stringify } = JSON;
const { isArray } = Array;
const text = String;
const [stringSlice, stringSplit, hasOwn, tagOf] =
  [String.prototype.slice, String.prototype.split, Object.prototype.hasOwnProperty, Object.prototype.toString];
const slice = (value, end) => apply(stringSlice, value, [0, end]);
const tag = (value) => apply(tagOf, value, []);
const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

// Numbers that are the same in every run.
let seed = 0x2545f491;
Math.random = () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

class AssertionError extends Error {
  constructor(message) {
    super(message);
    defineProperty(this, "name", { value: "AssertionError" });
  }
}
const show = (value) => {
  try {
    if (typeof value === "string") return stringify(value);
    return slice((isObject(value) && typeof value !== "function" ? stringify(value) : undefined) ?? text(value), 80);
  } catch {
    return typeof value;
  }
};
const isSame = (a, b) => a === b || (a !== a && b !== b);
const isDeepEqual = (a, b) => {
  if (isSame(a, b)) return true;
  if (!isObject(a) || !isObject(b) || typeof a !== typeof b) return false;
  const kind = tag(b);
  if (kind !== "[object Object]" && kind !== "[object Array]") {
    throw new AssertionError("assert.deepEqual compares arrays and objects, got " + kind + ": convert it first");
  }
  if (isArray(a) !== isArray(b) || getPrototypeOf(a) !== getPrototypeOf(b)) return false;
  const keys = ownKeys(b);
  if (ownKeys(a).length !== keys.length) return false;
  for (let i = 0; i < keys.length; i++) {
    if (!apply(hasOwn, a, [keys[i]]) || !isDeepEqual(a[keys[i]], b[keys[i]])) return false;
  }
  return true;
};
const assert = (condition, message = "the condition must hold") => {
  if (!condition) throw new AssertionError(text(message));
};
assert.equal = (actual, expected) => {
  if (!isSame(actual, expected)) throw new AssertionError("expected " + show(expected) + ", got " + show(actual));
};
assert.deepEqual = (actual, expected) => {
  if (!isDeepEqual(actual, expected)) throw new AssertionError("expected " + show(expected) + ", got " + show(actual));
};
assert.throws = (action) => {
  try {
    action();
  } catch {
    return;
  }
  throw new AssertionError("expected an exception");
};
defineProperty(globalThis, "assert", { value: assert, configurable: true, writable: true });

const seen = new Set();
const found = [globalThis, async () => {}, function* () {}, async function* () {}, [][Symbol.iterator](), ""[Symbol.iterator](),
  new Map().keys(), new Set().keys(), "".matchAll(/a/g), (function* () {})(), (async function* () {})()];
for (let i = 0; i < found.length; i++) {
  const object = found[i];
  if (seen.has(object)) continue;
  seen.add(object);
  const parent = getPrototypeOf(object);
  if (parent !== null) found.push(parent);
  const inherited = object !== globalThis && apply(hasOwn, object, ["constructor"]);
  for (const key of ownKeys(object)) {
    // Two properties of each of a thousand functions, which no test reads, would take most of the time.
    if (typeof object === "function" && (key === "name" || key === "length")) continue;
    const own = getOwnPropertyDescriptor(object, key);
    for (const part of [own.value, own.get, own.set]) if (isObject(part)) found.push(part);
    if (!own.configurable) continue;
    if (!("value" in own)) defineProperty(object, key, { configurable: false });
    // QuickJS lets Object.defineProperty give a global variable another value even where it is not writable, but not an accessor.
    else if (object === globalThis) defineProperty(object, key, { configurable: false, get: () => own.value, set: undefined });
    else if (!inherited) defineProperty(object, key, { configurable: false, writable: false });
    else {
      const { value, enumerable } = own;
      defineProperty(object, key, {
        configurable: false,
        enumerable,
        get: () => value,
        set(next) {
          if (this === object) throw new TypeError("built-in objects are locked in the sandbox");
          defineProperty(this, key, { value: next, configurable: true, enumerable: true, writable: true });
        },
      });
    }
  }
}

let printed = "";
let isFull = false;
const log = (...values) => {
  let line = "";
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const part = typeof value === "string" ? value : isObject(value) && typeof value !== "function" ? (stringify(value) ?? text(value)) : text(value);
    line += (i > 0 ? " " : "") + part;
  }
  if (printed.length + line.length + 1 > maxCharacters) isFull = true;
  else printed += line + "\n";
};
const lines = apply(stringSplit, input, ["\n"]);
let nextLine = 0;
const globals = {
  console: { log, info: log, debug: () => {}, warn: () => {}, error: () => {} },
  print: log,
  readline: () => (nextLine < lines.length ? lines[nextLine++] : null),
  module: { exports: {} },
  exports: {},
  require: (name) => {
    if (name === "fs" || name === "node:fs") return { readFileSync: () => input };
    if (name === "assert" || name === "node:assert") return assert;
    throw new Error("the sandbox has no module " + name);
  },
};
for (const name of ownKeys(globals)) defineProperty(globalThis, name, { value: globals[name], configurable: true, writable: true });

return {
  describe: (error) => {
    try {
      return slice(isObject(error) && typeof error.message === "string" ? text(error.name) + ": " + error.message : text(error), 300);
    } catch {
      return "an error that cannot be described";
    }
  },
  json: (value) => {
    if (typeof value === "number" && !(value - value === 0)) throw new TypeError("the result must be JSON, got " + value);
    const written = stringify(value);
    if (written === undefined) throw new TypeError("the result must be JSON, got " + typeof value);
    if (written.length > maxCharacters) throw new RangeError("the result must be at most " + maxCharacters + " characters of JSON");
    return written;
  },
  // The same hole of QuickJS as above, in the three names that cannot be made accessors.
  check: () => {
    if (undefined !== void 0 || NaN === NaN || Infinity !== 1 / 0) throw new TypeError("undefined, NaN and Infinity must stay what they are");
  },
  output: () => {
    if (isFull) throw new RangeError("the output must be at most " + maxCharacters + " characters");
    return printed;
  },
};
}`;
