/** One program and one test inside a QuickJS context. */
import type { QuickJSContext, QuickJSHandle } from "quickjs-emscripten-core";
import { isJsonEqual, isSameOutput } from "./compare";
import { GUEST_PRELUDE } from "./guest-prelude";
import { failed, type SandboxTest, type TestOutcome } from "./sandbox";

const PASSED: TestOutcome = { failure: undefined, message: "" };

/** Runs the program's code and then the test in a fresh context. Throws only what the engine itself throws. */
export function judgeTest(context: QuickJSContext, code: string, test: SandboxTest, maxOutputCharacters: number): TestOutcome {
  const hasInput = typeof test === "object" && "input" in test;
  const guest = new Guest(context, hasInput ? test.input : "", maxOutputCharacters);
  try {
    guest.evaluate(code, "program.js");
    if (typeof test === "string") {
      guest.evaluate(test, "test.js");
      guest.check();
      return PASSED;
    }
    if ("input" in test) {
      const output = guest.output();
      return isSameOutput(output, test.output) ? PASSED : mismatch(test.output, output);
    }
    const written = guest.json(guest.evaluate(`(${test.call})(${test.args.map((value) => JSON.stringify(value)).join(", ")})`, "test.js"));
    return isJsonEqual(JSON.parse(written), test.expected) ? PASSED : mismatch(JSON.stringify(test.expected), written);
  } catch (error) {
    if (error instanceof GuestError) return failed(error.message.includes("out of memory") ? "memory" : "error", error.message);
    throw error;
  } finally {
    guest.release();
  }
}

/** What was thrown inside the sandbox, described. */
class GuestError extends Error {}

/** A context with the prelude's tools. */
class Guest {
  readonly #context: QuickJSContext;
  readonly #tools: QuickJSHandle;
  readonly #held: QuickJSHandle[] = [];

  constructor(context: QuickJSContext, input: string, maxCharacters: number) {
    this.#context = context;
    this.#tools = context.undefined;
    const prelude = this.#unwrap(context.evalCode(GUEST_PRELUDE, "prelude.js", { type: "global" }));
    const [text, most] = [this.#hold(context.newString(input)), this.#hold(context.newNumber(maxCharacters))];
    this.#tools = this.#unwrap(context.callFunction(prelude, context.undefined, text, most));
  }

  /** The value of a script, awaited. Throws GuestError where it throws, rejects or never settles. */
  evaluate(code: string, name: string): QuickJSHandle {
    const value = this.#unwrap(this.#context.evalCode(code, name, { type: "global" }));
    const jobs = this.#context.runtime.executePendingJobs();
    if (jobs.error) throw new GuestError(this.#describe(this.#hold(jobs.error)));
    const state = this.#context.getPromiseState(value);
    if (state.type === "pending") throw new GuestError("a promise was never settled");
    if (state.type === "rejected") throw new GuestError(this.#describe(this.#hold(state.error)));
    return state.notAPromise ? value : this.#hold(state.value);
  }

  /** A value as JSON. */
  json(value: QuickJSHandle): string {
    return this.#context.getString(this.#unwrap(this.#tool("json", value)));
  }

  /** Throws GuestError where the program changed what cannot be locked. */
  check(): void {
    this.#unwrap(this.#tool("check"));
  }

  /** What the program printed. */
  output(): string {
    return this.#context.getString(this.#unwrap(this.#tool("output")));
  }

  release(): void {
    for (const handle of this.#held.reverse()) if (handle.alive) handle.dispose();
  }

  #describe(error: QuickJSHandle): string {
    const described = this.#tools === this.#context.undefined ? undefined : this.#tool("describe", error);
    if (described === undefined || described.error) {
      if (described?.error) this.#hold(described.error);
      return "an error that could not be described";
    }
    return this.#context.getString(this.#hold(described.value));
  }

  #tool(name: string, ...values: QuickJSHandle[]): QuickJSContextResult {
    return this.#context.callFunction(this.#hold(this.#context.getProp(this.#tools, name)), this.#context.undefined, ...values);
  }

  #unwrap(result: QuickJSContextResult): QuickJSHandle {
    if (result.error) throw new GuestError(this.#describe(this.#hold(result.error)));
    return this.#hold(result.value);
  }

  #hold(handle: QuickJSHandle): QuickJSHandle {
    this.#held.push(handle);
    return handle;
  }
}

type QuickJSContextResult = ReturnType<QuickJSContext["evalCode"]>;

const mismatch = (expected: string, got: string) => failed("mismatch", `expected ${expected.slice(0, 120)}, got ${got.slice(0, 120)}`);
