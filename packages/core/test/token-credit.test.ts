/** Credit per token: TRL's own rewards, advantages and returns, rewards for steps and tokens, credit across an environment's tokens, whitening. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/ppo.json";
import type { StepReward } from "../src/rl/rewards";
import { buildRollout, type Rollout, type RolloutEnd } from "../src/rl/rollout";
import { valuedRollout } from "../src/rl/score-slots";
import { assignCredit, type CreditOptions, whitenCounting, withoutRows } from "../src/rl/token-credit";

/** Completions of given masks behind prompts of two tokens. */
function rolloutOf(masks: readonly (readonly number[])[], ends: readonly RolloutEnd[] = masks.map(() => "stop")): Rollout {
  return buildRollout(
    masks.map((mask, s) => ({
      promptTokens: Uint32Array.of(1, 2),
      tokens: Uint32Array.from(mask, (_, t) => 3 + t),
      logps: new Float32Array(mask.length),
      mask: Uint8Array.from(mask),
      finishReason: ends[s] as RolloutEnd,
    })),
    false,
  );
}

/** Values of each completion token, with zeros for the prompts. */
const flat = (rows: readonly (readonly number[])[]) => rows.flatMap((row) => [0, 0, ...row]);

const plain: CreditOptions = { klCoef: 0, klEstimator: "k1", gamma: 1, lam: 1, whitenRewards: false };

function creditOf(rollout: Rollout, scores: readonly number[], options: Partial<CreditOptions> = {}, parts: Parts = {}) {
  const zeros = new Float64Array(rollout.tokens.length);
  const { steps = [], tokens = [], values = zeros } = parts;
  return assignCredit(
    {
      rollout,
      valueMask: rollout.mask,
      scores,
      stepRewards: rollout.ends.map((_, s) => steps[s]),
      tokenRewards: rollout.ends.map((_, s) => tokens[s]),
      logps: zeros,
      refLogps: undefined,
      values,
    },
    { ...plain, ...options },
  );
}

interface Parts {
  readonly steps?: readonly (readonly StepReward[] | undefined)[];
  readonly tokens?: readonly (readonly number[] | undefined)[];
  readonly values?: ArrayLike<number>;
}

describe("TRL's PPOTrainer", () => {
  // biome-ignore lint/suspicious/noExplicitAny: goldens are JSON with a different shape per case
  const cases = (golden.cases as any[]).filter(({ source }) => source === "trl-lifted");

  test.each(cases.map((c) => [c.name, c]))("gives the same rewards, advantages and returns with its score placement: %s", (_, c) => {
    const { params, inputs, expect: expected } = c;
    const width = inputs.values[0].length as number;
    const lengths = (inputs.last_index as number[]).map((last) => last + 1);
    const rows = rolloutOf(lengths.map((length) => new Array<number>(length).fill(1)));
    const { rollout, valueMask } = valuedRollout(rows, "trl", width);
    const slots = lengths.map((length) => (length < width ? 1 : 0));
    /** A padded golden as it lies in the rollout; TRL pads log-probabilities with 1, of which nothing may depend. */
    const laid = (table: number[][]) => flat(table.map((row, s) => row.slice(0, (lengths[s] as number) + (slots[s] as number))));
    const credit = assignCredit(
      {
        rollout,
        valueMask,
        scores: inputs.scores,
        stepRewards: lengths.map(() => undefined),
        tokenRewards: lengths.map(() => undefined),
        logps: laid(inputs.old_logps),
        refLogps: laid(inputs.ref_logps),
        values: laid(inputs.values),
      },
      {
        klCoef: params.kl_coef,
        klEstimator: params.kl_estimator,
        gamma: params.gamma,
        lam: params.lam,
        whitenRewards: params.whiten_rewards,
      },
    );
    const near = (actual: ArrayLike<number>, table: number[][]) => {
      laid(table).forEach((value, n) => {
        if (valueMask[n]) expect(Math.abs((actual[n] as number) - value)).toBeLessThan(1e-6);
      });
    };
    near(credit.rewards, expected.rewards);
    near(credit.returns, expected.returns);
    // TRL's advantages are whitened over the policy's tokens and 0 elsewhere.
    near(whitenCounting(credit.advantages, rollout.mask, true), expected.advantages);
  });

  test("its placement adds a position to completions that ended below the limit, and to no others", () => {
    const rows = withoutRows(rolloutOf([[1, 1], [1], [1, 1, 1], [1]], ["stop", "length", "stop", "stop"]), (row) => row === 3);
    const { rollout, valueMask } = valuedRollout(rows, "trl", 3);
    expect([...rollout.offsets]).toEqual([0, 5, 8, 13, 16]);
    expect([...rollout.completionStarts]).toEqual([2, 7, 10, 15]);
    expect([...rollout.tokens]).toEqual([1, 2, 3, 4, 4, 1, 2, 3, 1, 2, 3, 4, 5, 1, 2, 3]);
    expect([...rollout.mask]).toEqual([0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0]);
    expect([...valueMask]).toEqual([0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0]);
    expect(valuedRollout(rows, "last", 3)).toEqual({ rollout: rows, valueMask: rows.mask });
  });
});

describe("credit", () => {
  test("the score falls on the last token that the policy chose, and crosses those that it did not", () => {
    const { rewards, advantages, returns } = creditOf(rolloutOf([[1, 0, 0, 1, 0], [1]]), [2, -1]);
    expect([...rewards]).toEqual(flat([[0, 0, 0, 2, 0], [-1]]));
    expect([...advantages]).toEqual(flat([[2, 0, 0, 2, 0], [-1]]));
    expect([...returns]).toEqual([...advantages]);
  });

  test("the value of the next token that counts is the bootstrap, whatever lies between (worked by hand)", () => {
    const values = flat([[1, 99, Number.NaN, 3]]);
    const { advantages } = creditOf(rolloutOf([[1, 0, 0, 1]]), [10], { gamma: 0.5, lam: 0.5 }, { values });
    // δ_3 = 10 - 3 = 7;  δ_0 = 0.5 · 3 - 1 = 0.5;  A_0 = 0.5 + 0.25 · 7
    expect([...advantages]).toEqual(flat([[2.25, 0, 0, 7]]));
  });

  test("steps and tokens are paid where they were earned, and the end gets what they leave of the score", () => {
    const steps = [
      [
        { end: 0, value: 1 },
        { end: 2, value: 0.5 },
      ],
      undefined,
    ];
    const tokens = [undefined, [0.25, 0.25]];
    const { rewards } = creditOf(
      rolloutOf([
        [1, 1, 1, 1],
        [1, 1],
      ]),
      [2, 1],
      {},
      { steps, tokens },
    );
    expect([...rewards]).toEqual(
      flat([
        [1, 0, 0.5, 0.5],
        [0.25, 0.75],
      ]),
    );
  });

  test("what an environment's token earned goes to the action before it; before the first action, to the end", () => {
    const steps = [
      [
        { end: 0, value: 5 },
        { end: 3, value: 1 },
      ],
    ];
    const { rewards } = creditOf(rolloutOf([[0, 1, 0, 0, 1]]), [6], {}, { steps });
    expect([...rewards]).toEqual(flat([[0, 1, 0, 0, 5]]));
  });

  test("however it is split, a completion's undiscounted return is its score less its KL (law)", () => {
    const row = fc.record({
      mask: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 6 }).filter((mask) => mask.includes(1)),
      score: fc.double({ min: -5, max: 5, noNaN: true }),
      parts: fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 6, maxLength: 6 }),
      logRatios: fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 6, maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 3 }), (rows) => {
        const rollout = rolloutOf(rows.map(({ mask }) => mask));
        const logps = flat(rows.map(({ mask, logRatios }) => mask.map((_, t) => logRatios[t] as number)));
        const credit = assignCredit(
          {
            rollout,
            valueMask: rollout.mask,
            scores: rows.map(({ score }) => score),
            stepRewards: rows.map(({ parts }) => [{ end: 0, value: parts[0] as number }]),
            tokenRewards: rows.map(({ mask, parts }) => mask.map((_, t) => parts[t] as number)),
            logps,
            refLogps: logps.map(() => 0),
            values: new Float64Array(logps.length),
          },
          { ...plain, klCoef: 0.1 },
        );
        rows.forEach(({ mask, score, logRatios }, s) => {
          const first = (rollout.completionStarts[s] as number) + mask.indexOf(1);
          const kl = mask.reduce((sum, m, t) => sum + (m ? (logRatios[t] as number) : 0), 0);
          expect(credit.kl[s]).toBeCloseTo(kl, 9);
          expect(credit.returns[first]).toBeCloseTo(score - 0.1 * kl, 9);
        });
      }),
    );
  });

  test("a row that is left out earns nothing and teaches nothing, NaN or not", () => {
    const rollout = withoutRows(rolloutOf([[1, 1], [1]]), (row) => row === 0);
    const { rewards, advantages } = creditOf(rollout, [Number.NaN, 1], {}, { steps: [[{ end: 1, value: 3 }]] });
    expect([...rewards]).toEqual(flat([[0, 0], [1]]));
    expect([...advantages]).toEqual(flat([[0, 0], [1]]));
  });

  test("whitening leaves a single value without spread alone, or at 0 without its mean", () => {
    const mask = Uint8Array.of(0, 1, 0);
    expect([...whitenCounting(Float64Array.of(9, 4, 9), mask, true)]).toEqual([0, 0, 0]);
    expect([...whitenCounting(Float64Array.of(0, 4, 0), mask, false)]).toEqual([0, 4, 0]);
    const [a, b] = whitenCounting(Float64Array.of(1, 3), Uint8Array.of(1, 1), true);
    expect([a, b]).toEqual([-(b as number), b]);
    expect(b).toBeCloseTo(Math.SQRT1_2, 7);
  });
});
