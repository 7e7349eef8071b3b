/** Reward modules in their worker: what they may be, what they receive, and what becomes of those that misbehave. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RewardArguments, RewardError } from "@trimtab/core";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { loadRewardModules, type RewardModules } from "../src/rewards/reward-functions";

const folder = mkdtempSync(join(tmpdir(), "trimtab-rewards-"));
let open: RewardModules | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, source: string): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

async function load(modules: string[], options = {}): Promise<RewardModules> {
  open = await loadRewardModules(modules, options);
  return open;
}

const args = (more: Partial<RewardArguments> = {}): RewardArguments => ({
  prompts: ["p", "p"],
  completions: ["a", "bb"],
  completionIds: [Uint32Array.of(1), Uint32Array.of(2, 3)],
  trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 },
  signal: new AbortController().signal,
  logExtra: () => {},
  logMetric: () => {},
  ...more,
});

describe("reward modules", () => {
  it("are TypeScript or JavaScript, with default or named exports, sync or async", async () => {
    const typed = write(
      "length.ts",
      "export default ({ completions }: { completions: string[] }): number[] => completions.map((c) => c.length);",
    );
    const plain = write(
      "two.mjs",
      "export const one = async ({ completions }) => completions.map(() => 1); export function none({ completions }) { return completions.map(() => null); }",
    );
    const common = write(
      "common.cjs",
      "module.exports = function fromCommon({ completionIds }) { return completionIds.map((ids) => ids.length); };",
    );
    const { functions } = await load([typed, plain, `${plain}#one`, common]);
    expect(functions.map((f) => f.name)).toEqual(["length", "none", "one", "one", "fromCommon"]);
    const results = await Promise.all(functions.map((f) => f(args())));
    expect(results).toEqual([
      [1, 2],
      [null, null],
      [1, 1],
      [1, 1],
      [1, 2],
    ]);
  });

  it("receive dataset columns, and log extras and metrics", async () => {
    const path = write(
      "log.ts",
      "export function log({ answer, trainerState, logExtra, logMetric, completions }: any) { logExtra('seen', answer); logMetric('step', trainerState.globalStep); return completions.map(() => 0); }",
    );
    const { functions } = await load([path]);
    const seen: unknown[] = [];
    const log = args({
      answer: [4, 5],
      logExtra: (column, values) => void seen.push(column, values),
      logMetric: (name, value) => void seen.push(name, value),
    });
    await functions[0]!(log);
    expect(seen).toEqual(["seen", [4, 5], "step", 0]);
  });

  it("hear of an abort", async () => {
    const path = write(
      "abort.ts",
      "export const slow = ({ signal }: any) => new Promise((resolve) => signal.addEventListener('abort', () => resolve([7, 7])));",
    );
    const { functions } = await load([path]);
    const controller = new AbortController();
    const answer = functions[0]!(args({ signal: controller.signal }));
    setTimeout(() => controller.abort(), 50);
    expect(await answer).toEqual([7, 7]);
  });

  it("are refused when missing, broken or without functions", async () => {
    for (const [module, message] of [
      [join(folder, "nowhere.ts"), /every module must load.*nowhere/],
      [write("broken.ts", "export const a = ("), /every module must load/],
      [write("empty.ts", "export const a = 1;"), /must export at least one function, got exports a/],
      [`${write("named.ts", "export const a = () => [];")}#b`, /"b" must be an exported function, got exports a/],
    ] as const) {
      await expect(load([module])).rejects.toThrow(RewardError);
      await expect(load([module])).rejects.toThrow(message);
    }
  });

  it("name the function that threw, and go on", async () => {
    const path = write(
      "throws.ts",
      "export const bad = () => { throw new TypeError('no'); }; export const good = ({ completions }: any) => completions.map(() => 1);",
    );
    const { functions } = await load([path]);
    await expect(functions[0]!(args())).rejects.toThrow(/reward `bad`: it must not throw, got TypeError: no/);
    expect(await functions[1]!(args())).toEqual([1, 1]);
  });

  it("are terminated when they loop for ever, and say so once", async () => {
    const path = write("loop.ts", "export const loop = () => { for (;;); };");
    const ended: RewardError[] = [];
    const { functions } = await load([path], { timeoutMs: 1500, onEnded: (error: RewardError) => ended.push(error) });
    const began = performance.now();
    await expect(functions[0]!(args())).rejects.toThrow(/reward `loop`: it must answer within 1.5 s/);
    expect(performance.now() - began).toBeLessThan(10_000);
    await expect(functions[0]!(args())).rejects.toThrow(RewardError);
    expect(ended).toHaveLength(1);
  });

  it("that loop while loading are refused", async () => {
    const path = write("top.ts", "for (;;);");
    await expect(load([path], { timeoutMs: 1500 })).rejects.toThrow(/loading must end within 1.5 s/);
  });

  it("that end their process are noticed", async () => {
    const path = write("exit.ts", "export const leave = () => process.exit(3);");
    const { functions } = await load([path]);
    await expect(functions[0]!(args())).rejects.toThrow(/exited with code 3/);
  });
});
