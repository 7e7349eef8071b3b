/** The share of tests that the code in a completion passes, run in a sandbox. */
import { RewardError } from "../errors";
import type { RewardFunction } from "../rl/rewards";
import type { CodeSandbox, SandboxTest } from "../sandbox/sandbox";
import { completionText } from "./completion-text";
import { fencedBlocks } from "./fenced-code";
import { type NamedRewardOptions, namedReward, rewardColumn } from "./named-reward";

export interface CodeRewardOptions extends NamedRewardOptions {
  /** Where programs run: `createCodeSandbox()` of @trimtab/node, or {@link workerSandbox} with workers of your own. */
  readonly sandbox: CodeSandbox;
  /** The column of tests, each a list of {@link SandboxTest}. Default "tests". */
  readonly testsColumn?: string | undefined;
  /** "share": tests passed / tests. "all": 1 where all pass, else 0. Default "share". */
  readonly scoring?: "share" | "all" | undefined;
}

const LANGUAGES = new Set(["", "js", "javascript", "mjs", "cjs", "node"]);

/**
 * Reward `code_reward`: runs the completion's JavaScript against its row's tests; 0 without code, null for a row without tests. Logs
 * the first failure of each completion as `code_error`, and the shares of tests by failure as `code/passed`, `code/timeout`, ...
 */
export function codeReward(options: CodeRewardOptions): RewardFunction {
  const { name = "code_reward", sandbox, testsColumn = "tests", scoring = "share" } = options;
  return namedReward(name, async (args) => {
    const tests = rewardColumn(args, testsColumn, name).map((value, b) => readTests(name, value, b));
    const programs = args.completions.map((completion, b) => ({
      code: extractCode(completionText(completion)) ?? "",
      tests: tests[b] ?? [],
    }));
    const runnable = programs.flatMap(({ code, tests }, b) => (code.trim() !== "" && tests.length > 0 ? [b] : []));
    const ran = await sandbox.run(
      runnable.map((b) => programs[b] as (typeof programs)[number]),
      { signal: args.signal },
    );
    const outcomes = new Map(runnable.map((b, i) => [b, ran[i] ?? []]));

    const all = ran.flat();
    for (const failure of [undefined, "mismatch", "error", "timeout", "memory"] as const) {
      const share = all.filter((outcome) => outcome.failure === failure).length / all.length;
      if (all.length > 0) args.logMetric(`code/${failure ?? "passed"}`, share);
    }
    args.logExtra(
      "code_error",
      programs.map(({ tests }, b) => {
        const failure = outcomes.get(b)?.find((outcome) => outcome.failure !== undefined);
        return failure ? `${failure.failure}: ${failure.message}` : tests.length > 0 && !outcomes.has(b) ? "no code" : "";
      }),
    );
    return programs.map(({ tests }, b) => {
      if (tests.length === 0) return null;
      const passed = (outcomes.get(b) ?? []).filter(({ failure }) => failure === undefined).length / tests.length;
      return scoring === "share" ? passed : passed === 1 ? 1 : 0;
    });
  });
}

/** The last fenced block that is JavaScript or has no language; the whole text where it has no fence at all; undefined otherwise. */
export function extractCode(text: string): string | undefined {
  const blocks = fencedBlocks(text);
  if (blocks.length === 0) return text;
  return blocks.findLast(({ language }) => LANGUAGES.has(language))?.code;
}

const FUNCTION_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$.]*$/u;

function readTests(where: string, value: unknown, row: number): readonly SandboxTest[] | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value) && value.every(isTest)) return value;
  throw new RewardError(
    `${where}: a row's tests must be a list of JavaScript texts, { call, args, expected } or { input, output }, got ${JSON.stringify(value)?.slice(0, 80)} for completion ${row}. Correct the dataset.`,
  );
}

function isTest(value: unknown): value is SandboxTest {
  if (typeof value === "string") return true;
  if (typeof value !== "object" || value === null) return false;
  const { call, args, input, output } = value as Readonly<Record<string, unknown>>;
  if (typeof call === "string") return FUNCTION_NAME.test(call) && Array.isArray(args) && "expected" in value;
  return typeof input === "string" && typeof output === "string";
}
