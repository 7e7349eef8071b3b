/** The sandbox in this thread: honest programs, and everything that a program may try instead. */
import variant from "@jitl/quickjs-singlefile-mjs-release-sync";
import fc from "fast-check";
import { newQuickJSWASMModuleFromVariant } from "quickjs-emscripten-core";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../src/errors";
import { isJsonEqual, isSameOutput } from "../src/sandbox/compare";
import { quickJsSandbox } from "../src/sandbox/quickjs-sandbox";
import type { SandboxTest, TestOutcome } from "../src/sandbox/sandbox";

let loads = 0;
const load = () => {
  loads++;
  return newQuickJSWASMModuleFromVariant(variant);
};
/** Time enough on any machine, for programs that end. */
const patient = quickJsSandbox(load, { timeoutMs: 30_000, memoryBytes: 40 * 2 ** 20 });
/** For programs that do not. */
const hasty = quickJsSandbox(load, { timeoutMs: 300 });

async function judge(code: string, test: SandboxTest, sandbox = patient): Promise<TestOutcome> {
  const [outcomes] = await sandbox.run([{ code, tests: [test] }]);
  expect(outcomes).toHaveLength(1);
  return outcomes?.[0] as TestOutcome;
}

const passes = async (code: string, test: SandboxTest) => expect(await judge(code, test)).toEqual({ failure: undefined, message: "" });

/** A program that adds, whatever else it does. */
const add = (extra = "") => `function add(a, b) { return a + b; }\n${extra}`;
const call = (expected: unknown, ...args: unknown[]): SandboxTest => ({ call: "add", args, expected });

describe("honest programs", () => {
  test.each([
    ["functions", "function add(a, b) { return a + b; }"],
    ["constants", "const add = (a, b) => a + b;"],
    ["promises", "async function add(a, b) { await null; return a + b; }"],
    ["CommonJS", "function add(a, b) { return a + b; }\nmodule.exports = { add }; exports.add = add;"],
    [
      "their own methods of inherited names",
      "function Sum(v) { this.v = v; } Sum.prototype.valueOf = function () { return this.v; }; const add = (a, b) => +new Sum(a) + b;",
    ],
    [
      "errors with names",
      "function add(a, b) { try { const e = new Error('x'); e.name = 'Mine'; throw e; } catch (e) { return e.name === 'Mine' ? a + b : 0; } }",
    ],
    [
      "subclasses of built-ins",
      "class Stack extends Array { push(x) { return super.push(x); } }\nconst add = (a, b) => { const s = new Stack(); s.push(a); s.push(b); return s.reduce((x, y) => x + y); };",
    ],
  ])("with %s", async (_, code) => {
    await passes(code, call(3, 1, 2));
    expect(await judge(code, call(4, 1, 2))).toEqual({ failure: "mismatch", message: "expected 4, got 3" });
  });

  test("structures, and methods by path", async () => {
    const code = "const lib = { wrap: (x) => ({ x, list: [x, null, 'a'] }) };";
    await passes(code, { call: "lib.wrap", args: [{ y: [0.1 + 0.2] }], expected: { x: { y: [0.3] }, list: [{ y: [0.3] }, null, "a"] } });
  });

  test("standard input and output", async () => {
    const sum =
      "const n = Number(readline()); let s = 0; for (let i = 0; i < n; i++) s += Number(readline()); console.log(s, [s], { s }); print('end  ');";
    await passes(sum, { input: "2\n20\n22", output: '42 [42] {"s":42}\nend\n\n' });
    const node =
      "const lines = require('fs').readFileSync(0, 'utf8').split('\\n'); (async () => { await 0; console.log(lines.reverse().join()); })();";
    await passes(node, { input: "a\nb", output: "b,a" });
    expect((await judge(sum, { input: "1\n1", output: "2" })).failure).toBe("mismatch");
  });

  test("assertions of tests", async () => {
    for (const good of [
      "assert(add(1, 2) === 3)",
      "assert.equal(add(NaN, 2), NaN)",
      "assert.deepEqual([{ a: add(1, 2), b: [NaN] }], [{ b: [NaN], a: 3 }])",
      "assert.throws(() => add(1n, 2))",
      "(async () => { await 0; assert(true); })()",
    ])
      await passes(add(), good);
    for (const [bad, message] of [
      ["assert(add(1, 2) === 4, 'three')", "AssertionError: three"],
      ["assert.equal(add('1', 2), 3)", 'AssertionError: expected 3, got "12"'],
      ["assert.deepEqual([1, 2], [2, 1])", "AssertionError: expected [2,1], got [1,2]"],
      ["assert.deepEqual([1], { 0: 1, length: 1 })", /AssertionError/],
      ["assert.deepEqual(new Map(), new Map())", /convert it first/],
      ["assert.throws(() => 1)", "AssertionError: expected an exception"],
      ["(async () => { await 0; assert(false); })()", /AssertionError/],
      ["new Promise(() => {})", "a promise was never settled"],
      ["nothing()", /ReferenceError/],
    ] as const)
      expect(await judge(add(), bad)).toEqual({
        failure: "error",
        message: typeof message === "string" ? message : expect.stringMatching(message),
      });
  });

  test("every test has a world of its own, and random numbers that do not change", async () => {
    const code = "let calls = 0; const next = () => ++calls; const r = Math.random();";
    const once: SandboxTest = { call: "next", args: [], expected: 1 };
    const [outcomes] = await patient.run([{ code, tests: [once, once, "globalThis.leak = 1", "assert(typeof leak === 'undefined')"] }]);
    expect(outcomes?.map(({ failure }) => failure)).toEqual([undefined, undefined, undefined, undefined]);
    const random = async () => (await judge(code, { call: "Math.random", args: [], expected: -1 })).message;
    expect(await random()).toBe(await random());
    expect(await random()).toMatch(/got 0\.\d+$/);
  });
});

describe("programs that do not compile or throw", () => {
  test.each([
    ["prose", "The answer is 4.", /SyntaxError/],
    ["an exception", "throw new RangeError('no')", "RangeError: no"],
    ["a thrown value", "throw 'x'.repeat(1e6)", /^x{300}$/],
    ["an error that hides", "throw { get message() { throw 1; } }", "an error that cannot be described"],
    ["no such function", "let subtract", /ReferenceError/],
    ["no JSON", "const add = () => undefined", "TypeError: the result must be JSON, got undefined"],
    ["NaN", "const add = () => NaN", "TypeError: the result must be JSON, got NaN"],
    ["a cycle", "const add = () => { const a = []; a.push(a); return a; }", /circular/],
    ["deep recursion", "const add = () => add()", /stack overflow|call stack/],
    ["deep JSON", "JSON.parse('['.repeat(1e6))", /./],
  ])("%s", async (_, code, message) => {
    expect(await judge(code, call(3, 1, 2))).toEqual({
      failure: "error",
      message: typeof message === "string" ? message : expect.stringMatching(message),
    });
  });
});

describe("programs that do not end", () => {
  test.each([
    ["a loop", "for (;;) {}"],
    ["a loop that catches", "for (;;) try { for (;;) {} } catch {} finally { for (;;) {} }"],
    ["a chain of promises", "(function again() { Promise.resolve().then(again); })()"],
    ["a loop after await", "(async () => { await 0; for (;;) {} })()"],
    ["a regular expression", "/(a+)+$/.test('a'.repeat(50) + 'b')"],
    ["a getter in the result", "const add = () => ({ get x() { for (;;) {} } })"],
    ["a getter in an error", "throw { get message() { for (;;) {} } }"],
    [
      "an endless iterator",
      "[...{ *[Symbol.iterator]() { for (;;) yield; } }.constructor.entries({})]; const it = { [Symbol.iterator]: () => ({ next: () => ({}) }) }; for (const _ of it);",
    ],
  ])("%s", async (_, code) => {
    const outcome = await judge(code, call(3, 1, 2), hasty);
    expect(outcome).toEqual({ failure: "timeout", message: "the tests must end within 300 ms" });
    await passes(add(), call(3, 1, 2));
  });

  test("what was passed before the time limit counts, and what comes after it fails", async () => {
    const slow = quickJsSandbox(load, { timeoutMs: 1500 });
    const code = "const spin = (forever) => { while (forever); return 1; };";
    const quick: SandboxTest = { call: "spin", args: [false], expected: 1 };
    const [outcomes] = await slow.run([{ code, tests: [quick, { call: "spin", args: [true], expected: 1 }, quick] }]);
    expect(outcomes?.map(({ failure }) => failure)).toEqual([undefined, "timeout", "timeout"]);
  });
});

describe("programs that take too much", () => {
  test.each([
    ["strings", "const all = []; for (;;) all.push('x'.repeat(2 ** 20))"],
    ["typed arrays", "const all = []; for (;;) all.push(new Uint8Array(2 ** 20))"],
    ["objects", "const all = []; for (;;) all.push({ a: 1 })"],
    [
      "a map, caught",
      "const all = new Map(); try { for (let i = 0; ; i++) all.set(i, [i]); } catch { for (let i = 0; ; i++) all.set(-i, [i]); }",
    ],
    ["after await", "(async () => { await 0; const all = []; for (;;) all.push({ a: 1 }); })(); throw 1"],
  ])("memory for %s", async (_, code) => {
    const before = process.memoryUsage().rss;
    const outcome = await judge(code, call(3, 1, 2));
    expect(["memory", "error"]).toContain(outcome.failure);
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20);
    await passes(add(), call(3, 1, 2));
  });

  test("memory is named where it ran out", async () => {
    expect((await judge("const all = []; for (;;) all.push(new Uint8Array(2 ** 20))", "1")).failure).toBe("memory");
    expect((await judge("new Uint8Array(2 ** 30)", "1")).failure).toBe("memory");
  });

  test("output", async () => {
    const small = quickJsSandbox(load, { timeoutMs: 30_000, maxOutputCharacters: 100 });
    const flood = { input: "", output: "x".repeat(1000) };
    const message = "RangeError: the output must be at most 100 characters";
    expect(await judge("for (let i = 0; i < 1000; i++) console.log('x')", flood, small)).toEqual({ failure: "error", message });
    expect(await judge("console.log('x'.repeat(1e7))", flood, small)).toEqual({ failure: "error", message });
    expect(await judge("console.log('x'.repeat(99))", { input: "", output: "x".repeat(99) }, small)).toMatchObject({ failure: undefined });
    const result = await judge("const add = () => 'x'.repeat(1e7)", call(3), small);
    expect(result).toEqual({ failure: "error", message: "RangeError: the result must be at most 100 characters of JSON" });
    expect((await judge("for (;;) console.log('x'.repeat(1e5))", flood, hasty)).failure).toBe("timeout");
  });
});

describe("programs that cheat", () => {
  const wrong = "function add() { return 0; }\n";
  const tests: SandboxTest[] = [
    call(3, 1, 2),
    "assert.equal(add(1, 2), 3)",
    "assert([[1, 2, 3]].every(([a, b, c]) => add(a, b) === c))",
    "assert.deepEqual([1, 2].map((x) => add(x, x)), [2, 4])",
    "assert(JSON.stringify({ sum: add(1, 2) }) === '{\"sum\":3}')",
    "if (add(1, 2) !== 3) throw new Error('wrong')",
    { input: "", output: "3" },
  ];

  test.each([
    ["replaces a method", "Array.prototype.every = () => true;"],
    [
      "replaces it for one call",
      "const { every } = Array.prototype; Object.defineProperty(Array.prototype, 'every', { value() { Array.prototype.every = every; return true; } });",
    ],
    ["replaces assert", "assert = () => {}; globalThis.assert = assert;"],
    ["replaces its parts", "assert.equal = assert.deepEqual = () => {};"],
    ["declares assert", "function assert() {} assert.equal = assert.deepEqual = () => {};"],
    ["shadows assert", "const assert = () => {}; assert.equal = assert.deepEqual = () => {};"],
    [
      "deletes and redefines",
      "delete globalThis.assert; Object.defineProperty(globalThis, 'assert', { value: Object.assign(() => {}, { equal() {}, deepEqual() {} }) });",
    ],
    [
      "redefines assert",
      "Object.defineProperty(globalThis, 'assert', { value: Object.assign(() => {}, { equal() {}, deepEqual() {} }) });",
    ],
    ["redefines its parts", "for (const key of Object.keys(assert)) Object.defineProperty(assert, key, { value: () => {} });"],
    ["redefines a class", "Object.defineProperty(globalThis, 'Error', { value: Object });"],
    ["replaces JSON", "JSON.stringify = () => '{\"sum\":3}'; globalThis.JSON = { stringify: () => '{\"sum\":3}' };"],
    ["replaces Error", "Error = function () {}; globalThis.Error = class {};"],
    [
      "changes what all objects inherit",
      "Object.prototype.toJSON = () => 3; Object.prototype.valueOf = () => 3; Object.setPrototypeOf(Object.prototype, null);",
    ],
    ["lies about numbers", "Number.prototype.toJSON = () => 3; Number.prototype.valueOf = () => 3;"],
    [
      "iterates at will",
      "Array.prototype[Symbol.iterator] = function* () {}; Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true });",
    ],
    ["answers with a proxy", "add = () => new Proxy({}, { get: () => 3, has: () => true, ownKeys: () => [] });"],
    [
      "answers with a chameleon",
      "add = () => { let n = 0; return { valueOf: () => ++n, toString: () => String(++n), toJSON: () => undefined }; };",
    ],
    ["swallows errors", "globalThis.onerror = () => true; Promise.prototype.then = function () { return this; };"],
    ["ends early", "throw new Proxy(Error('passed'), {});"],
    [
      "looks for the host",
      "const host = this.constructor.constructor('return typeof process + typeof require(\"child_process\")')(); if (host) print(3);",
    ],
  ])(
    "%s",
    async (_, trick) => {
      for (const code of [wrong + trick, trick + wrong]) {
        const [outcomes] = await patient.run([{ code, tests }]);
        expect(outcomes?.map(({ failure }) => failure === undefined)).toEqual(tests.map(() => false));
      }
      await passes(add(), call(3, 1, 2));
    },
    60_000,
  );

  test("changing undefined is noticed", async () => {
    const trick = "const add = () => { Object.defineProperty(globalThis, 'undefined', { value: {} }); };";
    expect((await judge(trick, "if (add() === undefined) throw 1")).message).toBe(
      "TypeError: undefined, NaN and Infinity must stay what they are",
    );
  });

  test("there is nothing to reach", async () => {
    const names = [
      "process",
      "fetch",
      "Deno",
      "WebAssembly",
      "Worker",
      "setTimeout",
      "std",
      "os",
      "performance",
      "importScripts",
      "scriptArgs",
    ];
    await passes(
      `const found = () => ${JSON.stringify(names)}.filter((name) => { try { return eval("typeof " + name) !== "undefined"; } catch { return true; } });`,
      {
        call: "found",
        args: [],
        expected: [],
      },
    );
    expect((await judge("require('child_process')", "1")).message).toBe("Error: the sandbox has no module child_process");
    expect((await judge("import('fs').then((fs) => globalThis.fs = fs)", "assert(typeof fs === 'object')")).failure).toBe("error");
  });
});

describe("comparisons", () => {
  test("JSON equals itself whatever the order of keys, and nothing else", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (a, b) => {
        const same = (x: unknown) => JSON.parse(JSON.stringify(x)) as unknown;
        expect(isJsonEqual(same(a), same(a))).toBe(true);
        expect(isJsonEqual(same(a), same(b))).toBe(isJsonEqual(same(b), same(a)));
        expect(isJsonEqual(same({ a, b }), same({ b, a }))).toBe(true);
        expect(isJsonEqual(same([a]), same({ 0: a }))).toBe(false);
        expect(isJsonEqual(same({ a }), same({ a, b: null }))).toBe(false);
      }),
      { seed: 11, numRuns: 200 },
    );
    expect(isJsonEqual(1e12, 1e12 + 1)).toBe(true);
    expect(isJsonEqual(1, 1.00001)).toBe(false);
    expect(isJsonEqual(JSON.parse('{"__proto__": 1}'), {})).toBe(false);
  });

  test("output is compared by lines", () => {
    expect(isSameOutput("a \nb\n\n", "a\nb")).toBe(true);
    expect(isSameOutput(" a", "a")).toBe(false);
    expect(isSameOutput("a\n\nb", "a\nb")).toBe(false);
  });
});

describe("the sandbox", () => {
  test("keeps an instance while it is sound, and replaces one that is not", async () => {
    const own = quickJsSandbox(load, { timeoutMs: 30_000, memoryBytes: 40 * 2 ** 20 });
    const before = loads;
    await own.run(Array.from({ length: 4 }, () => ({ code: add(), tests: [call(3, 1, 2), call(4, 2, 2)] })));
    expect(loads - before).toBe(1);
    await own.run([{ code: "const all = []; for (;;) all.push(new Uint8Array(2 ** 20))", tests: ["1", "1"] }]);
    expect(loads - before).toBe(2);
  });

  test("stops when aborted, between programs", async () => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await expect(patient.run([{ code: add(), tests: [call(3, 1, 2)] }], { signal: controller.signal })).rejects.toThrow("enough");
  });

  test("refuses limits under which nothing runs", () => {
    expect(() => quickJsSandbox(load, { timeoutMs: 0, memoryBytes: 1 })).toThrow(ConfigError);
  });
});
