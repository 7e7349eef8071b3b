/** A sandbox in this thread: QuickJS compiled to WebAssembly, one runtime per test. */
import type { QuickJSWASMModule } from "quickjs-emscripten-core";
import type { SignalLike } from "../rl/abort";
import { judgeTest } from "./guest";
import {
  type CodeSandbox,
  failed,
  type ResolvedLimits,
  resolveLimits,
  type SandboxLimits,
  type SandboxProgram,
  type SandboxTest,
  type TestOutcome,
} from "./sandbox";

/** Makes a fresh instance of QuickJS, e.g. `() => newQuickJSWASMModuleFromVariant(variant)` of quickjs-emscripten-core. */
export type QuickJsLoader = () => Promise<QuickJSWASMModule>;

const PAGE = 65_536;
/** QuickJS's own stack; deeper recursion is an exception in the program. */
const STACK_BYTES = 256 * 1024;

/**
 * A sandbox in the calling thread. Loops of the program are interrupted at the time limit, but a single call of a built-in function can
 * take minutes (`"a".repeat(2**20).indexOf("a".repeat(2**19) + "b")`) and nothing in the same thread can stop it: for code by a model
 * that is being trained, use `workerSandbox`, which runs this one in a worker that it can end.
 */
export function quickJsSandbox(load: QuickJsLoader, limits: SandboxLimits = {}): CodeSandbox {
  const runner = new QuickJsRunner(load, resolveLimits(limits));
  return {
    async run(programs, { signal } = {}) {
      const outcomes: (readonly TestOutcome[])[] = [];
      for (const program of programs) {
        signal?.throwIfAborted();
        outcomes.push(await runner.run(program, () => {}, signal));
      }
      return outcomes;
    },
    async close() {},
  };
}

/** Runs programs one after the other in instances of QuickJS that are replaced as soon as anything is wrong with them. */
export class QuickJsRunner {
  readonly #load: QuickJsLoader;
  readonly #limits: ResolvedLimits;
  #instance: Instance | undefined;

  constructor(load: QuickJsLoader, limits: ResolvedLimits) {
    this.#load = load;
    this.#limits = limits;
  }

  /** Loads an instance, so that the first program need not wait for it. */
  async prepare(): Promise<void> {
    this.#instance ??= limitMemory(await this.#load(), this.#limits.memoryBytes);
  }

  /** The outcomes of the program's tests, each also given to `onOutcome` as soon as it is known. */
  async run(program: SandboxProgram, onOutcome: (outcome: TestOutcome) => void, signal?: SignalLike): Promise<readonly TestOutcome[]> {
    await this.prepare();
    const deadline = Date.now() + this.#limits.timeoutMs;
    const outcomes: TestOutcome[] = [];
    for (const test of program.tests) {
      signal?.throwIfAborted();
      await this.prepare();
      const outcome = Date.now() > deadline ? timeout(this.#limits) : this.#runTest(program.code, test, deadline);
      outcomes.push(outcome);
      onOutcome(outcome);
    }
    return outcomes;
  }

  #runTest(code: string, test: SandboxTest, deadline: number): TestOutcome {
    const { outcome, isReusable } = runTest(this.#instance as Instance, code, test, this.#limits, deadline);
    if (!isReusable) this.#instance = undefined;
    return outcome;
  }
}

interface Instance {
  readonly quickjs: QuickJSWASMModule;
  isOutOfMemory: boolean;
}

/**
 * Caps an instance's memory. QuickJS's own limit counts next to nothing in this build (it cannot tell the size of a block), so that a
 * program could take 2 GiB; its C library asks JavaScript for more memory, and that is where it is refused.
 */
function limitMemory(quickjs: QuickJSWASMModule, memoryBytes: number): Instance {
  const instance: Instance = { quickjs, isOutOfMemory: false };
  const memory = quickjs.getWasmMemory() as unknown as { readonly buffer: ArrayBufferLike; grow(pages: number): number };
  const grow = memory.grow.bind(memory);
  memory.grow = (pages) => {
    if (memory.buffer.byteLength + pages * PAGE > memoryBytes) {
      instance.isOutOfMemory = true;
      throw new RangeError(`sandbox: a program must need at most ${memoryBytes} bytes`);
    }
    return grow(pages);
  };
  return instance;
}

/** Runs one test in a runtime of its own, and says whether the instance can be used again. */
function runTest(
  instance: Instance,
  code: string,
  test: SandboxTest,
  limits: ResolvedLimits,
  deadline: number,
): { readonly outcome: TestOutcome; readonly isReusable: boolean } {
  let isInterrupted = false;
  try {
    const runtime = instance.quickjs.newRuntime();
    runtime.setMemoryLimit(limits.memoryBytes);
    runtime.setMaxStackSize(STACK_BYTES);
    runtime.setInterruptHandler(() => {
      isInterrupted ||= Date.now() > deadline;
      return isInterrupted;
    });
    const context = runtime.newContext();
    const outcome = judgeTest(context, code, test, limits.maxOutputCharacters);
    // QuickJS may abort when it cleans up after running out of memory: such an instance is left to the collector.
    if (instance.isOutOfMemory)
      return { outcome: outcome.failure === "error" ? { ...outcome, failure: "memory" } : outcome, isReusable: false };
    context.dispose();
    runtime.dispose();
    return { outcome: isInterrupted ? timeout(limits) : outcome, isReusable: true };
  } catch (error) {
    // The host's stack overflowed inside QuickJS, or QuickJS gave up.
    return { outcome: isInterrupted ? timeout(limits) : failed("error", String(error)), isReusable: false };
  }
}

const timeout = ({ timeoutMs }: ResolvedLimits) => failed("timeout", `the tests must end within ${timeoutMs} ms`);
