/** Rollouts in environments: token for token what was sampled and shown, whatever the batch, the order and the failures. */
import { gae } from "@trimtab/kernels";
import { expectClose } from "@trimtab/kernels/conformance";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import { tokenizePrompts } from "../src/data/tokenize";
import type { Environment, EnvironmentFactory } from "../src/environments/environment";
import { environmentRollout } from "../src/environments/environment-rollout";
import { guessEnvironment } from "../src/environments/guess";
import type { EnvironmentRolloutOptions } from "../src/environments/options";
import { ConfigError, EnvironmentError } from "../src/errors";
import type { RewardDetail } from "../src/rl/rewards";
import { buildRollout } from "../src/rl/rollout";
import type { RolloutCompletion, RolloutRequest } from "../src/rl/rollout-function";
import { rolloutLogps } from "../src/trainers/rollout-batches";
import { describeDevices, slack } from "./devices";
import { byteTokenizer, tinyModel } from "./trainer-model";

const model = tinyModel(createReferenceDevice(), { initializerRange: 0.3 });
const rows = [{ prompt: "ab" }, { prompt: "hello", hint: "!" }, { prompt: "x" }];

function request(extra: Partial<RolloutRequest> = {}, prompts: readonly Record<string, unknown>[] = rows): RolloutRequest {
  const encoded = tokenizePrompts(prompts, byteTokenizer, 40);
  const n = extra.n ?? 2;
  return {
    model,
    rows: encoded,
    prompts: encoded.map(({ tokens }) => tokens),
    n,
    maxNewTokens: 40,
    seed: 3,
    streams: Uint32Array.from({ length: encoded.length * n }, (_, i) => i),
    trainerState: { globalStep: 4, maxSteps: 9, epoch: 0.5 },
    onRewardError: "throw",
    logMetric: () => {},
    ...extra,
  };
}

/** Says "see <turn>" after every action, rewards turn k with k, and is over after `length` turns. What happened is in `plays`. */
interface Play {
  readonly tokens: readonly number[];
  readonly action: string;
  readonly observation: string | undefined;
}
function recorder(length = 3): { factory: EnvironmentFactory; plays: Map<Environment, Play[]>; events: string[] } {
  const plays = new Map<Environment, Play[]>();
  const events: string[] = [];
  const factory: EnvironmentFactory = (row) => {
    const own: Play[] = [];
    const environment: Environment = {
      reset: () => (row.hint as string) ?? null,
      step(action, { tokens }) {
        const turn = own.length + 1;
        own.push({ tokens: [...tokens], action, observation: turn < length ? `see ${turn}` : undefined });
        return { observation: `see ${turn}`, reward: turn, done: turn === length };
      },
      close: () => {
        events.push("close");
      },
    };
    plays.set(environment, own);
    return environment;
  };
  return { factory, plays, events };
}

const run = (factory: EnvironmentFactory, options: EnvironmentRolloutOptions = {}, extra: Partial<RolloutRequest> = {}) =>
  environmentRollout(factory, options)(request(extra));
const encode = (text: string) => [...byteTokenizer.encode(text)];
const maskOf = (completion: RolloutCompletion) => [...(completion.mask as Uint8Array)];

describe("an episode", () => {
  test("is its prompt, the sampled tokens and the observations, never encoded again", async () => {
    const { factory, plays, events } = recorder();
    const completions = await run(factory, { maxActionTokens: 4 });
    expect(completions).toHaveLength(6);
    let unlike = 0;
    [...plays.values()].forEach((own, e) => {
      const completion = completions[e] as RolloutCompletion;
      const row = rows[Math.floor(e / 2)] as (typeof rows)[number];
      const tokens: number[] = [];
      const mask: number[] = [];
      const steps: { end: number; value: number }[] = [];
      for (const { tokens: action, action: text, observation } of own) {
        tokens.push(...action);
        mask.push(...action.map(() => 1));
        steps.push({ end: tokens.length - 1, value: steps.length + 1 });
        if (encode(text).join() !== action.join()) unlike++;
        const shown = observation === undefined ? [] : encode(`\n${observation}\n`);
        tokens.push(...shown);
        mask.push(...shown.map(() => 0));
      }
      expect([...completion.tokens]).toEqual(tokens);
      expect(maskOf(completion)).toEqual(mask);
      expect([...completion.promptTokens]).toEqual(encode(row.hint ? `${row.prompt}\n${row.hint}\n` : row.prompt));
      expect(completion).toMatchObject({
        promptIndex: Math.floor(e / 2),
        sampleIndex: e % 2,
        finishReason: "environment",
        reward: { total: 6, steps },
        turns: {
          prompt: row.hint ? `${row.prompt}\n${row.hint}\n` : row.prompt,
          completion: own.map(({ action, observation }) => action + (observation ? `\n${observation}\n` : "")).join(""),
        },
      });
      expect([...completion.logps].map((logp) => logp !== 0)).toEqual(mask.map((counts) => counts === 1));
    });
    // Random bytes: most actions would have come back as other tokens.
    expect(unlike).toBeGreaterThan(6);
    expect(events).toEqual(new Array(6).fill("close"));
  });

  test("does not depend on concurrency, on delays, or on what else is in the batch", async () => {
    const delayed: EnvironmentFactory = async (row, seed, context) => {
      const inner = await guessEnvironment({ high: 9, maxGuesses: 4 })(row, seed, context);
      const wait = (k: number) => new Promise((resolve) => setTimeout(resolve, (seed * 7 + context.sampleIndex * 5 + k * 3) % 11));
      let turn = 0;
      return {
        ...inner,
        async reset() {
          await wait(0);
          return undefined;
        },
        async step(action, context) {
          await wait(++turn);
          return inner.step(action, context);
        },
        report: () => ({}),
      };
    };
    const plain: EnvironmentFactory = async (...args) => {
      const inner = await guessEnvironment({ high: 9, maxGuesses: 4 })(...args);
      return { ...inner, reset: () => undefined, step: (action, context) => inner.step(action, context) };
    };
    const options = { maxActionTokens: 3 };
    const together = await run(plain, options);
    expect(new Set(together.map(({ tokens }) => tokens.join())).size).toBe(6);
    expect(await run(delayed, { ...options, maxConcurrent: 1 })).toEqual(together);
    expect(await run(delayed, { ...options, maxConcurrent: 3 })).toEqual(together);
    for (const p of [0, 1, 2]) {
      const [first, second] = [2 * p, 2 * p + 1];
      const alone = await environmentRollout(
        plain,
        options,
      )(request({ streams: Uint32Array.of(first, second) }, [rows[p] as object as never]));
      expect(alone).toEqual(together.slice(first, second + 1).map((completion) => ({ ...completion, promptIndex: 0 })));
    }
    expect(await run(plain, options, { seed: 4 })).not.toEqual(together);
  });

  test("samples of a prompt share a seed, other prompts and streams have others", async () => {
    const seeds: [number, number][] = [];
    const factory: EnvironmentFactory = (_row, seed, { sampleIndex, trainerState }) => {
      seeds.push([seed, sampleIndex]);
      expect(trainerState.globalStep).toBe(4);
      return { reset: () => null, step: () => ({ done: true }) };
    };
    await run(factory, { maxActionTokens: 1 });
    expect(seeds.map(([, sample]) => sample)).toEqual([0, 1, 0, 1, 0, 1]);
    const distinct = new Set(seeds.map(([seed]) => seed));
    expect(distinct.size).toBe(3);
    for (const seed of distinct) expect(Number.isSafeInteger(seed)).toBe(true);
    await run(factory, { maxActionTokens: 1 }, { seed: 4 });
    await run(factory, { maxActionTokens: 1 }, { streams: Uint32Array.from({ length: 6 }, (_, i) => 6 + i) });
    expect(new Set(seeds.map(([seed]) => seed)).size).toBe(9);
  });

  test("has no reward where its environment says nothing of one, and the final one goes to the last action", async () => {
    const silent = await run(() => ({ reset: () => null, step: () => ({ done: true }) }), { maxActionTokens: 2 });
    expect(silent.map(({ reward }) => reward)).toEqual(new Array(6).fill(null));
    const factory =
      (first: number | null): EnvironmentFactory =>
      () => {
        let turn = 0;
        return { reset: () => null, step: () => ({ reward: turn === 0 ? first : null, done: ++turn === 2 }), reward: async () => 5 };
      };
    const both = await run(factory(2), { maxActionTokens: 2 });
    for (const { reward, tokens } of both) {
      const first = (reward as RewardDetail).steps?.[0]?.end as number;
      expect(first).toBeLessThan(tokens.length - 1);
      expect(reward).toEqual({
        total: 7,
        steps: [
          { end: first, value: 2 },
          { end: tokens.length - 1, value: 5 },
        ],
      });
    }
    const last = await run(factory(null), { maxActionTokens: 2 });
    for (const { reward, tokens } of last) expect(reward).toEqual({ total: 5, steps: [{ end: tokens.length - 1, value: 5 }] });
  });
});

describe("limits", () => {
  const endless =
    (observation: string | null = "go on"): EnvironmentFactory =>
    () => ({
      reset: () => null,
      step: () => ({ observation, reward: 1, done: false }),
    });

  test("maxTurns cuts an episode short", async () => {
    const completions = await run(endless(), { maxTurns: 2, maxActionTokens: 3 });
    for (const { finishReason, reward } of completions) {
      expect(finishReason).toBe("length");
      expect((reward as RewardDetail).total).toBe(2);
    }
  });

  test("maxCompletionLength counts observations, and never ends with one", async () => {
    for (const maxNewTokens of [1, 4, 10, 11, 12, 13, 14, 25]) {
      const completions = await run(endless("abc"), { maxActionTokens: 4 }, { maxNewTokens });
      for (const completion of completions) {
        expect(completion.finishReason).toBe("length");
        expect(completion.tokens.length).toBeLessThanOrEqual(maxNewTokens);
        expect(maskOf(completion).at(-1)).toBe(1);
      }
    }
  });

  test("an action cut by the limit is played and said to be cut; one of maxActionTokens is whole", async () => {
    const seen: [number, boolean][] = [];
    const factory: EnvironmentFactory = () => ({
      reset: () => null,
      step(_action, { tokens, isCut }) {
        seen.push([tokens.length, isCut]);
        return { reward: 1, done: true };
      },
    });
    const cut = await run(factory, {}, { maxNewTokens: 3, eosTokenIds: [] });
    expect(seen).toEqual(new Array(6).fill([3, true]));
    expect(cut.map(({ finishReason }) => finishReason)).toEqual(new Array(6).fill("length"));
    const whole = await run(factory, { maxActionTokens: 3 }, { maxNewTokens: 3, eosTokenIds: [] });
    expect(seen.slice(6)).toEqual(new Array(6).fill([3, false]));
    expect(whole.map(({ finishReason }) => finishReason)).toEqual(new Array(6).fill("environment"));
  });

  test("the context is a limit too, and a first observation that fills it is refused", async () => {
    const long: EnvironmentFactory = () => ({ reset: () => "o".repeat(50), step: () => ({ observation: "x", done: false }) });
    const completions = await run(long, { maxActionTokens: 4 });
    for (const { promptTokens, tokens } of completions) expect(promptTokens.length + tokens.length).toBeLessThanOrEqual(64);
    const longer: EnvironmentFactory = () => ({ reset: () => "o".repeat(60), step: () => ({ done: true }) });
    await expect(run(longer)).rejects.toThrow(/prompt 0, sample 0.*context of 64, got 64 tokens/);
  });

  test("long observations are cut at a whole character and counted", async () => {
    const metrics: Record<string, number> = {};
    const logMetric = (name: string, value: number) => {
      metrics[name] = value;
    };
    const twice: EnvironmentFactory = () => {
      let turn = 0;
      return { reset: () => null, step: () => ({ observation: ++turn === 1 ? "naïveté" : "ok", done: turn === 3 }) };
    };
    const [completion] = await run(
      twice,
      { maxActionTokens: 2, maxObservationTokens: 3, renderObservation: (o) => `<${o}>` },
      { logMetric },
    );
    // ï has two bytes, of which three tokens hold one.
    const { tokens } = completion as RolloutCompletion;
    expect(byteTokenizer.decode(tokens.filter((_, t) => maskOf(completion as RolloutCompletion)[t] === 0))).toBe("<na><ok>");
    expect(metrics["environment/clipped_observation_ratio"]).toBe(0.5);
    expect(metrics["num_turns/mean"]).toBe(3);
  });

  test("an environment that shows nothing lets the policy go on", async () => {
    const [completion] = await run(endless(null), { maxTurns: 3, maxActionTokens: 1 });
    expect(maskOf(completion as RolloutCompletion)).toEqual([1, 1, 1]);
  });

  test("bad options are listed at once", () => {
    expect(() => environmentRollout(endless(), { maxTurns: 0, maxConcurrent: 1.5, timeoutMs: 0 })).toThrow(ConfigError);
    expect(() => environmentRollout(endless(), { maxTurns: 0, maxConcurrent: 1.5, timeoutMs: 0 })).toThrow(
      /`maxTurns`.*got 0.*`maxConcurrent`.*`timeoutMs`/,
    );
  });
});

describe("failures", () => {
  const closed: string[] = [];
  /** Fails in one method of prompt 1's second sample. */
  const failing = (method: "factory" | "reset" | "step" | "reward" | "report", fail: () => unknown): EnvironmentFactory => {
    closed.length = 0;
    return ({ prompt }, _seed, { sampleIndex }) => {
      const at = (name: string) => (name === method && prompt === "hello" && sampleIndex === 1 ? (fail() as never) : undefined);
      at("factory");
      return {
        reset: () => at("reset") ?? null,
        step: () => at("step") ?? { reward: 1, done: true },
        reward: () => at("reward") ?? 0,
        report: () => at("report") ?? {},
        close: () => {
          closed.push(prompt as string);
        },
      };
    };
  };
  const boom = () => {
    throw new TypeError("boom");
  };

  test.each(["factory", "reset", "step", "reward", "report"] as const)("a throwing %s is an EnvironmentError", async (method) => {
    const error = await run(failing(method, boom), { maxActionTokens: 2 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EnvironmentError);
    expect((error as Error).message).toMatch(/prompt 1, sample 1: \w+ must not throw, got TypeError: boom/);
    expect(closed).toHaveLength(method === "factory" ? 5 : 6);
  });

  test.each(["factory", "reset", "step", "reward", "report"] as const)(
    "with skip, an episode with a failing %s has no reward",
    async (method) => {
      const metrics: Record<string, number> = {};
      const logMetric = (name: string, value: number) => {
        metrics[name] = value;
      };
      const completions = await run(failing(method, boom), { maxActionTokens: 2 }, { onRewardError: "skip", logMetric });
      expect(completions.map(({ reward }) => (reward as RewardDetail | null)?.total ?? null)).toEqual([1, 1, 1, null, 1, 1]);
      expect(completions.every(({ tokens }) => tokens.length > 0)).toBe(true);
      expect(metrics["environment/failures"]).toBe(1);
    },
  );

  const nonsense: Record<string, [method: "reset" | "step" | "reward", value: unknown, message: RegExp]> = {
    "no result": ["step", 3, /object with a boolean `done`, got 3/],
    "no done": ["step", { reward: 1 }, /boolean `done`/],
    "a reward that is not finite": ["step", { reward: Number.NaN, done: true }, /finite number or null, got NaN/],
    "a reward that is no number": ["reward", "1", /finite number or null, got string/],
    "an observation that is no text": ["reset", 7, /text or messages, got number/],
    "messages in a text row": ["reset", [{ role: "user", content: "" }], /text where prompts are text/],
  };
  test.each(Object.entries(nonsense))("%s is an EnvironmentError", async (_name, [method, value, message]) => {
    const error = await run(
      failing(method, () => value),
      { maxActionTokens: 2 },
    ).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EnvironmentError);
    expect((error as Error).message).toMatch(message);
  });

  test("a step that never settles is given up", async () => {
    const aborted: boolean[] = [];
    const hanging: EnvironmentFactory = () => ({
      reset: () => null,
      step: (_action, { signal }) =>
        new Promise(() => {
          signal.addEventListener("abort", () => void aborted.push(true));
        }),
    });
    await expect(run(hanging, { timeoutMs: 20, maxActionTokens: 2, maxConcurrent: 2 })).rejects.toThrow(/step must settle within 20 ms/);
    // Nothing was begun after the first failures.
    expect(aborted).toEqual([true, true]);
  });

  test("an aborted run ends with its reason", async () => {
    const controller = new AbortController();
    const factory: EnvironmentFactory = () => ({
      reset: () => null,
      step: () => {
        controller.abort(new Error("enough"));
        return new Promise(() => {});
      },
    });
    await expect(run(factory, { maxActionTokens: 2 }, { signal: controller.signal })).rejects.toThrow("enough");
  });
});

test("credit crosses observations: every policy token sees what later turns earn, observations hold nothing", async () => {
  const { factory } = recorder(3);
  const completions = await run(factory, { maxActionTokens: 2 });
  const rollout = buildRollout(completions, false);
  const { offsets, completionStarts, mask } = rollout;
  const rewards = new Float64Array(rollout.tokens.length);
  // Poisoned: an observation's own value and reward are nobody's.
  const values = Float64Array.from(rollout.tokens, (_, n) => (mask[n] ? Math.sin(n) : Number.NaN));
  completions.forEach(({ reward }, s) => {
    for (const { end, value } of (reward as RewardDetail).steps ?? []) rewards[(completionStarts[s] as number) + end] = value;
  });
  const { advantages } = gae({ rewards, values, offsets, mask, gamma: 0.9, lambda: 0.8 });
  completions.forEach((_, s) => {
    // The recursion over the policy's own tokens, as if there were nothing between them.
    const own: number[] = [];
    for (let n = offsets[s] as number; n < (offsets[s + 1] as number); n++) if (mask[n]) own.push(n);
    let [next, carried] = [0, 0];
    for (const n of own.reverse()) {
      carried = (rewards[n] as number) + 0.9 * next - (values[n] as number) + 0.9 * 0.8 * carried;
      next = values[n] as number;
      expect(advantages[n]).toBeCloseTo(carried, 12);
    }
  });
  expect([...advantages].filter((_, n) => !mask[n]).every((a) => a === 0)).toBe(true);
});

describeDevices(
  "environment rollouts",
  (device) => {
    test("the sampler's log-probabilities are the training pass's", async () => {
      const own = tinyModel(device, { initializerRange: 0.3 });
      const { factory } = recorder(4);
      const completions = await run(factory, { maxActionTokens: 5 }, { model: own, temperature: 0.8, maxNewTokens: 50 });
      const rollout = buildRollout(completions, false);
      const settings = { microBatchRows: 4, microBatchTokens: Number.POSITIVE_INFINITY, temperature: 0.8 };
      expectClose(rollout.samplerLogps, await rolloutLogps(own.decoder, rollout, settings), { rtol: 0, atol: 2e-5 * slack(device) });
      own.decoder.dispose();
    });
  },
  ["reference", "wasm"],
);
