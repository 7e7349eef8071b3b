/** The sandbox on Node's threads: programs that nothing but the end of their thread can stop. */
import { type CodeSandbox, codeReward } from "@trimtab/core";
import { afterEach, describe, expect, it } from "vitest";
import { createCodeSandbox } from "../src/sandbox/code-sandbox";

let sandbox: CodeSandbox;
afterEach(() => sandbox.close());

const add = { code: "const add = (a, b) => a + b;", tests: [{ call: "add", args: [1, 2], expected: 3 }] };

describe("createCodeSandbox", () => {
  it("ends built-in functions that cannot be interrupted, and goes on", async () => {
    sandbox = createCodeSandbox({ timeoutMs: 2000, graceMs: 300, workers: 2 });
    // Minutes inside one call of a built-in function.
    const search = { code: "'a'.repeat(2 ** 22).indexOf('a'.repeat(2 ** 21) + 'b')", tests: ["1"] };
    const scan = { code: "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)", tests: ["1", "1"] };
    const outcomes = await sandbox.run([add, search, scan, add]);
    expect(outcomes.map((tests) => tests.map(({ failure }) => failure))).toEqual([
      [undefined],
      ["timeout"],
      ["timeout", "timeout"],
      [undefined],
    ]);
    expect(outcomes[1]?.[0]?.message).toMatch(/did not stop within 2300 ms and was ended/);
  });

  it("survives memory bombs", async () => {
    sandbox = createCodeSandbox({ timeoutMs: 20_000, workers: 1 });
    const bomb = { code: "const all = []; for (;;) all.push(new Uint8Array(2 ** 20))", tests: ["1"] };
    const outcomes = await sandbox.run([bomb, add]);
    expect(outcomes.map(([outcome]) => outcome?.failure)).toEqual(["memory", undefined]);
  });

  it("serves the code reward, which an abort ends", async () => {
    sandbox = createCodeSandbox({ timeoutMs: 20_000, workers: 1 });
    const controller = new AbortController();
    const call = (code: string) =>
      codeReward({ sandbox })({
        prompts: ["p"],
        completions: [code],
        completionIds: [Uint32Array.of(1)],
        trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 },
        signal: controller.signal,
        logExtra: () => {},
        logMetric: () => {},
        tests: [add.tests],
      });
    expect(await call(add.code)).toEqual([1]);
    const endless = call("Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)");
    setTimeout(() => controller.abort(new Error("enough")), 100);
    await expect(endless).rejects.toThrow("enough");
  });
});
