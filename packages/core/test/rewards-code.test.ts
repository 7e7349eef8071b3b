/** The code reward over a sandbox, and sandboxes in workers with scripted workers that hang, die and never start. */
import variant from "@jitl/quickjs-singlefile-mjs-release-sync";
import { newQuickJSWASMModuleFromVariant } from "quickjs-emscripten-core";
import { describe, expect, test } from "vitest";
import { RewardError } from "../src/errors";
import { codeReward, extractCode } from "../src/rewards/code";
import { quickJsSandbox } from "../src/sandbox/quickjs-sandbox";
import type { SandboxProgram, SandboxTest, TestOutcome } from "../src/sandbox/sandbox";
import { type SandboxReply, type SandboxRequest, type SandboxWorker, serveSandbox, workerSandbox } from "../src/sandbox/worker-sandbox";
import { callReward, rewardsOf } from "./reward-arguments";

const load = () => newQuickJSWASMModuleFromVariant(variant);
const fenced = (code: string, language = "js") => `Here:\n\`\`\`${language}\n${code}\n\`\`\`\nDone.`;
const one: SandboxTest = { call: "f", args: [1], expected: 1 };
const two: SandboxTest = { call: "f", args: [2], expected: 2 };

describe("extractCode", () => {
  test("takes the last block of JavaScript", () => {
    expect(extractCode(`${fenced("a")}\n${fenced("b", "python")}\n${fenced("c", "JavaScript")}`)).toBe("c");
    expect(extractCode(fenced("x = 1", "python"))).toBe(undefined);
    expect(extractCode("let a = 1")).toBe("let a = 1");
    expect(extractCode(fenced("a", ""))).toBe("a");
  });
});

describe("codeReward", () => {
  const sandbox = quickJsSandbox(load, { timeoutMs: 20_000 });

  test("gives the share of tests passed, and says what went wrong", async () => {
    const completions = [
      fenced("const f = (x) => x;"),
      fenced("const f = (x) => 1;"),
      fenced("const f = (x) => y;"),
      fenced("f = lambda x: x", "python"),
      [{ role: "assistant", content: fenced("function f(x) { return x; }") }],
      fenced("const f = 1;"),
    ];
    const tests = [...Array.from({ length: 5 }, () => [one, two]), null];
    const { values, extras, metrics } = await callReward(codeReward({ sandbox }), { completions, columns: { tests } });
    expect(values).toEqual([1, 0.5, 0, 0, 1, null]);
    expect(extras.code_error).toEqual([
      "",
      "mismatch: expected 2, got 1",
      expect.stringContaining("error: ReferenceError"),
      "no code",
      "",
      "",
    ]);
    expect(metrics).toEqual({ "code/passed": 5 / 8, "code/mismatch": 1 / 8, "code/error": 2 / 8, "code/timeout": 0, "code/memory": 0 });
    const all = codeReward({ sandbox, scoring: "all", testsColumn: "cases" });
    expect(await rewardsOf(all, { completions: completions.slice(0, 2), columns: { cases: tests.slice(0, 2) } })).toEqual([1, 0]);
  });

  test.each([[["f"], [{ call: "f(); evil", args: [], expected: 1 }]], [[{ input: "x" }]], ["assert(1)"], [[{ call: "f", args: [] }]]])(
    "refuses tests such as %j",
    async (...tests) => {
      const bad = tests.at(-1);
      await expect(rewardsOf(codeReward({ sandbox }), { completions: ["1"], columns: { tests: [bad] } })).rejects.toBeInstanceOf(
        RewardError,
      );
    },
  );
});

/** A worker that does what `act` says with each request; what it started is counted. */
function scripted(
  act: (request: SandboxRequest, reply: (reply: SandboxReply) => void, end: (error: Error) => void, index: number) => unknown,
) {
  const log = { started: 0, ended: 0, running: 0, most: 0 };
  const spawn = (): SandboxWorker => {
    const index = log.started++;
    let [onReply, onEnd]: [(reply: SandboxReply) => void, (error: Error) => void] = [() => {}, () => {}];
    return {
      post: (request) =>
        void act(
          request,
          (reply) => queueMicrotask(() => onReply(reply)),
          (error) => onEnd(error),
          index,
        ),
      listen: (reply, end) => {
        [onReply, onEnd] = [reply, end];
      },
      terminate: () => {
        log.ended++;
      },
    };
  };
  return { spawn, log };
}

const passed: TestOutcome = { failure: undefined, message: "" };
const program = (code: string, tests = 1): SandboxProgram => ({ code, tests: Array.from({ length: tests }, () => "1") });

describe("workerSandbox", () => {
  test("runs programs in as many workers as allowed, and keeps these", async () => {
    const running = { now: 0, most: 0 };
    const { spawn, log } = scripted(async (request, reply) => {
      if (request.type === "start") return reply({ type: "ready" });
      running.most = Math.max(running.most, ++running.now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running.now--;
      reply({ type: "outcome", outcome: { ...passed, message: request.program.code } });
    });
    const sandbox = workerSandbox({ spawn, workers: 3 });
    const programs = Array.from({ length: 9 }, (_, i) => program(String(i)));
    const outcomes = await sandbox.run(programs);
    expect(outcomes.map(([outcome]) => outcome?.message)).toEqual(programs.map(({ code }) => code));
    await sandbox.run(programs);
    expect([running.most, log.started, log.ended]).toEqual([3, 3, 0]);
    await sandbox.close();
    expect(log.ended).toBe(3);
  });

  test("ends a worker that does not stop; its other tests keep their outcomes", async () => {
    const { spawn, log } = scripted((request, reply) => {
      if (request.type === "start") reply({ type: "ready" });
      else {
        reply({ type: "outcome", outcome: passed });
        if (request.program.code !== "hang") reply({ type: "outcome", outcome: passed });
      }
    });
    const sandbox = workerSandbox({ spawn, timeoutMs: 20, graceMs: 10 });
    const outcomes = await sandbox.run([program("hang", 2), program("fine", 2)]);
    const message = "the program did not stop within 30 ms and was ended";
    expect(outcomes).toEqual([
      [passed, { failure: "timeout", message }],
      [passed, passed],
    ]);
    expect([log.started, log.ended]).toEqual([2, 1]);
  });

  test("a program that brings its worker down fails alone", async () => {
    const { spawn, log } = scripted((request, reply, end) => {
      if (request.type === "start") reply({ type: "ready" });
      else if (request.program.code === "bomb") end(new Error("out of memory"));
      else reply({ type: "outcome", outcome: passed });
    });
    const outcomes = await workerSandbox({ spawn }).run([program("bomb"), program("fine")]);
    expect(outcomes).toEqual([[{ failure: "error", message: "the program ended its worker: out of memory" }], [passed]]);
    expect(log.started).toBe(2);
  });

  test("says what is wrong when workers do not start, and starts anew the next time", async () => {
    const silent = workerSandbox({ spawn: scripted(() => {}).spawn, startTimeoutMs: 10 });
    await expect(silent.run([program("x")])).rejects.toThrow(/sandbox: its worker must start and answer, got nothing for 10 ms/);
    const { spawn, log } = scripted((request, reply, end, index) => {
      if (index === 0) end(new Error("no such file"));
      else if (index === 1) reply({ type: "broken", message: "no QuickJS" });
      else reply(request.type === "start" ? { type: "ready" } : { type: "outcome", outcome: passed });
    });
    const sandbox = workerSandbox({ spawn });
    await expect(sandbox.run([program("x")])).rejects.toThrow(/no such file/);
    await expect(sandbox.run([program("x")])).rejects.toThrow(/no QuickJS/);
    expect(await sandbox.run([program("x")])).toEqual([[passed]]);
    expect(log.started).toBe(3);
  });

  test("aborting ends what runs", async () => {
    const { spawn, log } = scripted((request, reply) => request.type === "start" && reply({ type: "ready" }));
    const controller = new AbortController();
    const run = workerSandbox({ spawn, workers: 2 }).run([program("a"), program("b"), program("c")], { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 10);
    await expect(run).rejects.toThrow("enough");
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect([log.started, log.ended]).toEqual([2, 2]);
  });

  test("serves a real QuickJS", async () => {
    const { spawn } = (() => {
      const serve = new Map<number, (request: SandboxRequest) => Promise<void>>();
      return scripted((request, reply, _, index) => {
        if (!serve.has(index)) serve.set(index, serveSandbox(load, reply));
        return serve.get(index)?.(request);
      });
    })();
    const sandbox = workerSandbox({ spawn, timeoutMs: 20_000 });
    const outcomes = await sandbox.run([{ code: "const f = (x) => x;", tests: [one, { call: "f", args: [1], expected: 2 }] }]);
    expect(outcomes).toEqual([[passed, { failure: "mismatch", message: "expected 2, got 1" }]]);
    expect(await sandbox.run([{ code: "", tests: [] }])).toEqual([[]]);
  });
});
