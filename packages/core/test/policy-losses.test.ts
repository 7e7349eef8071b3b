/** Laws of the policy objectives: the policy gradient at ratio 1, homogeneity, splits, KL gradients by enumeration and by sampling. */
import { uniform } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mul, sub, unary } from "../src/autograd/elementwise";
import { segmentBroadcast, sum } from "../src/autograd/segment";
import { Tape } from "../src/autograd/tape";
import { nllLoss } from "../src/losses/nll";
import { segmentsOf } from "../src/losses/policy/inputs";
import { type KlEstimator, klEstimate, straightThroughKl } from "../src/losses/policy/kl";
import { entropyThreshold, offPolicyMask, samplerCorrection, samplerFactors } from "../src/losses/policy/modifiers";
import { type PolicyObjective, policyObjective, policySurrogates, TOKEN_LEVEL_ONLY } from "../src/losses/policy/objectives";
import { policyGradientLoss, ratioLoss } from "../src/losses/policy/policy-gradient";
import { boundedExp, type ImportanceSamplingLevel, importanceRatios } from "../src/losses/policy/ratios";
import { valueLoss } from "../src/losses/policy/value-loss";
import { entropyWeight, type LossType, type StepTotals, tokenWeights } from "../src/losses/token-weights";
import { klEstimators } from "../src/rl/kl-reward";
import type { Tensor } from "../src/tensor/tensor";
import { differentiate, exact, leaves, valuesOf } from "./loss-values";

const device = createReferenceDevice();
const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

const lossTypes = Object.keys(policySurrogates) as LossType[];
const levels: ImportanceSamplingLevel[] = ["token", "sequence", "sequence_token"];
const variants = lossTypes.flatMap((lossType) =>
  levels.filter((level) => level === "token" || !TOKEN_LEVEL_ONLY.has(lossType)).map((level) => ({ lossType, level })),
);

interface Extra {
  readonly beta?: number;
  readonly isKlCorrected?: boolean;
  readonly klEstimator?: KlEstimator;
  readonly delta?: number;
  readonly dualClip?: number;
}

const objectiveOf = (lossType: LossType, level: ImportanceSamplingLevel, extra: Extra = {}): PolicyObjective =>
  policyObjective({
    lossType,
    level,
    clip: { epsilonLow: 0.2, epsilonHigh: lossType === "cispo" ? 1.3 : 0.3, delta: extra.delta ?? 0, dualClip: extra.dualClip ?? 0 },
    beta: extra.beta ?? 0,
    klEstimator: extra.klEstimator ?? "k3",
    isKlCorrected: extra.isKlCorrected ?? false,
    sapo: { temperaturePos: 1, temperatureNeg: 1.05 },
    vespo: { kPos: 2, lambdaPos: 3, kNeg: 3, lambdaNeg: 2 },
  });

interface Batch {
  readonly lengths: readonly number[];
  readonly logps: readonly number[];
  readonly oldLogps?: readonly number[] | undefined;
  readonly refLogps?: readonly number[] | undefined;
  readonly advantages: readonly number[];
  readonly weights: readonly number[];
}

async function run(objective: PolicyObjective, batch: Batch) {
  const tape = new Tape(device);
  const logps = exact(tape, batch.logps);
  const gradients = leaves(tape, [logps]);
  const offsets = Uint32Array.from({ length: batch.lengths.length + 1 }, (_, s) => total(batch.lengths.slice(0, s)));
  const { roots, loss } = objective(tape, {
    logps,
    oldLogps: batch.oldLogps ? exact(tape, batch.oldLogps) : logps,
    refLogps: batch.refLogps && exact(tape, batch.refLogps),
    advantages: exact(tape, batch.advantages),
    weights: exact(tape, batch.weights),
    segments: segmentsOf(tape, offsets),
  });
  const [value] = await valuesOf(device, loss);
  tape.backward(roots);
  const [gradient] = (await gradients()) as [number[]];
  tape.dispose();
  return { loss: value as number, gradient };
}

const expectNear = (got: readonly number[], wanted: readonly number[], tolerance = 1e-9) => {
  expect(got.length).toBe(wanted.length);
  wanted.forEach((value, i) => {
    expect(Math.abs((got[i] as number) - value), `${i}: ${got[i]} against ${value}`).toBeLessThanOrEqual(tolerance);
  });
};

const between = (min: number, max: number) => fc.double({ min, max, noNaN: true });

/** Completions with one advantage each and everything that an objective may ask for. */
const batches = fc
  .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 })
  .chain((lengths) => {
    const n = total(lengths);
    const perToken = (min: number, max: number) => fc.array(between(min, max), { minLength: n, maxLength: n });
    return fc.record({
      lengths: fc.constant(lengths),
      logps: perToken(-3, -0.1),
      moves: perToken(-0.6, 0.6),
      refLogps: perToken(-3, -0.1),
      rows: fc.array(between(-2, 2), { minLength: lengths.length, maxLength: lengths.length }),
      weights: perToken(0.1, 1),
    });
  })
  .map(({ moves, rows, ...batch }) => ({
    ...batch,
    oldLogps: batch.logps.map((logp, t) => logp - (moves[t] as number)),
    advantages: batch.lengths.flatMap((length, s) => new Array<number>(length).fill(rows[s] as number)),
  }));

describe("every objective", () => {
  test.each(variants)("has the policy gradient on fresh completions: $lossType, $level", async ({ lossType, level }) => {
    const batch = { lengths: [2, 1], logps: [-1, -2, -3], advantages: [0.5, 0.5, -2], weights: [0.25, 0.25, 0.5] };
    const wanted = [-0.125, -0.125, 1];
    expectNear((await run(objectiveOf(lossType, level), batch)).gradient, wanted, 1e-12);
    // Recorded log-probabilities of the same policy are the same policy.
    expectNear((await run(objectiveOf(lossType, level), { ...batch, oldLogps: batch.logps })).gradient, wanted, 1e-12);
  });

  test.each(variants)("is homogeneous in the advantage, exactly 0 at 0: $lossType, $level", async ({ lossType, level }) => {
    await fc.assert(
      fc.asyncProperty(batches, between(0, 3), async (batch, c) => {
        const objective = objectiveOf(lossType, level, { delta: lossType === "grpo" ? 1.5 : 0, dualClip: lossType === "bnpo" ? 2 : 0 });
        const scaled = (factor: number) =>
          run(objective, { ...batch, refLogps: undefined, advantages: batch.advantages.map((a) => factor * a) });
        const [one, other, none] = [await scaled(1), await scaled(c), await scaled(0)];
        expectNear([other.loss, ...other.gradient], [c * one.loss, ...one.gradient.map((g) => c * g)]);
        expect([none.loss + 0, ...none.gradient].every((value) => value === 0)).toBe(true);
      }),
      { numRuns: 15, seed: 1 },
    );
  });

  test.each(variants)("is the sum of its micro-batches: $lossType, $level", async ({ lossType, level }) => {
    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const objective = objectiveOf(lossType, level, { beta: 0.3, isKlCorrected: true });
        const whole = await run(objective, batch);
        let at = 0;
        let loss = 0;
        const gradient: number[] = [];
        for (const length of batch.lengths) {
          const cut = (values: readonly number[]) => values.slice(at, at + length);
          const part = await run(objective, {
            lengths: [length],
            logps: cut(batch.logps),
            oldLogps: cut(batch.oldLogps),
            refLogps: cut(batch.refLogps),
            advantages: cut(batch.advantages),
            weights: cut(batch.weights),
          });
          loss += part.loss;
          gradient.push(...part.gradient);
          at += length;
        }
        expectNear([loss, ...gradient], [whole.loss, ...whole.gradient]);
      }),
      { numRuns: 10, seed: 2 },
    );
  });

  // Objectives that detach something have no derivative in this sense: cispo, vespo and sequence_token.
  const whole = variants.filter(({ lossType, level }) => level !== "sequence_token" && lossType !== "cispo" && lossType !== "vespo");
  test.each(whole)("agrees with central differences, KL term included: $lossType, $level", async ({ lossType, level }) => {
    const batch = {
      lengths: [3, 2],
      logps: [-1.2, -0.4, -2.1, -0.9, -1.5],
      oldLogps: [-1.3, -0.45, -1.6, -1.1, -1.28],
      refLogps: [-1, -0.6, -2, -1.4, -1.2],
      advantages: [0.7, 0.7, 0.7, -1.1, -1.1],
      weights: [0.2, 0.3, 0.1, 0.25, 0.15],
    };
    for (const klEstimator of ["k1", "k2", "k3", "abs"] as const) {
      for (const isKlCorrected of [false, true]) {
        // A cap within the clip range and one beyond it.
        for (const delta of lossType === "dapo" ? [1.1, 1.5] : [0]) {
          const objective = objectiveOf(lossType, level, { beta: 0.4, isKlCorrected, klEstimator, delta });
          const { gradient } = await run(objective, batch);
          const h = 1e-6;
          const numeric: number[] = [];
          for (let t = 0; t < batch.logps.length; t++) {
            const at = (shift: number) =>
              run(objective, { ...batch, logps: batch.logps.map((logp, u) => (u === t ? logp + shift : logp)) });
            numeric.push(((await at(h)).loss - (await at(-h)).loss) / (2 * h));
          }
          expectNear(gradient, numeric, 1e-7);
        }
      }
    }
  });

  test("GSPO-token has GSPO's gradient where a completion has one advantage and its tokens one weight", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const even = { ...batch, weights: batch.lengths.flatMap((length) => new Array<number>(length).fill(1 / length)) };
        const [gspo, token] = [await run(objectiveOf("grpo", "sequence"), even), await run(objectiveOf("grpo", "sequence_token"), even)];
        // 1 / 3 is rounded to f32 on one of the two ways.
        expectNear([token.loss, ...token.gradient], [gspo.loss, ...gspo.gradient], 1e-7);
      }),
      { numRuns: 30, seed: 3 },
    );
  });

  test("the fused op and its composition are the same objective", async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const fused = await run(objectiveOf("grpo", "token", { beta: 0.2, delta: 1.4 }), batch);
        // A dual clip far out changes nothing but the path.
        const composed = await run(objectiveOf("grpo", "token", { beta: 0.2, delta: 1.4, dualClip: 1e6 }), batch);
        expectNear([composed.loss, ...composed.gradient], [fused.loss, ...fused.gradient]);
      }),
      { numRuns: 30, seed: 4 },
    );
  });

  test("clips bound: dual clip the loss where A < 0, delta the ratio, and log-ratios end at 20", async () => {
    const far = { lengths: [1], logps: [0], oldLogps: [-3], advantages: [-1], weights: [1] };
    const r = Math.exp(3);
    expect((await run(objectiveOf("grpo", "token"), far)).loss).toBeCloseTo(r, 9);
    for (const [extra, bound] of [[{ dualClip: 3 }, 3] as const, [{ delta: 4 }, 4] as const]) {
      const { loss, gradient } = await run(objectiveOf("grpo", "token", extra), far);
      expectNear([loss, ...gradient], [bound, 0]);
    }
    // A positive advantage never meets the dual clip.
    const good = { ...far, advantages: [1] };
    const [withDual, without] = [
      await run(objectiveOf("grpo", "token", { dualClip: 3 }), good),
      await run(objectiveOf("grpo", "token"), good),
    ];
    expectNear([withDual.loss, ...withDual.gradient], [without.loss, ...without.gradient]);
    const absurd = { ...far, oldLogps: [-1000] };
    for (const { lossType, level } of variants) {
      const { loss, gradient } = await run(objectiveOf(lossType, level), absurd);
      expect([loss, ...gradient].every(Number.isFinite)).toBe(true);
    }
  });

  test("without a clip: REINFORCE's gradient, and the ratio's", async () => {
    const [logps, old, advantages] = [
      [-1, -2],
      [-1.5, -1],
      [2, -3],
    ];
    const plain = await differentiate(
      device,
      [logps!],
      (tape, [x]) => policyGradientLoss(tape, { logps: x!, advantages: exact(tape, advantages!) }),
      1,
    );
    expect(plain.gradients).toEqual([[-2, 3]]);
    expect(plain.losses).toEqual([2, -6]);
    const ratio = await differentiate(
      device,
      [logps!],
      (tape, [x]) => {
        const ratios = importanceRatios.token(tape, {
          logps: x!,
          oldLogps: exact(tape, old!),
          segments: segmentsOf(tape, Uint32Array.of(0, 2)),
        });
        return ratioLoss(tape, { ratios, advantages: exact(tape, advantages!) });
      },
      1,
    );
    expectNear(ratio.gradients[0]!, [-2 * Math.exp(0.5), 3 * Math.exp(-1)], 1e-12);
  });
});

describe("KL estimators as losses (rl-algorithms.md 0.1)", () => {
  const softmax = (logits: readonly number[]) => {
    const weights = logits.map(Math.exp);
    return weights.map((w) => w / total(weights));
  };
  const kl = (p: readonly number[], q: readonly number[]) => total(p.map((pi, i) => pi * Math.log(pi / q[i]!)));
  /** ∇ KL(π ‖ π_ref) and ∇ KL(π_ref ‖ π) to the logits of π. */
  const reverse = (p: readonly number[], q: readonly number[]) => p.map((pi, i) => pi * (Math.log(pi / q[i]!) - kl(p, q)));
  const forward = (p: readonly number[], q: readonly number[]) => p.map((pi, i) => pi - q[i]!);
  const zero = (p: readonly number[]) => p.map(() => 0);

  type Term = (tape: Tape, a: Tensor, ratio: Tensor) => Tensor;
  type Gradient = (p: readonly number[], q: readonly number[]) => number[];
  const terms: Record<string, { term: Term; gradient: Gradient; value: "kl" | "k2" }> = {
    k1: { term: (tape, a) => klEstimate(tape, a, "k1"), gradient: zero, value: "kl" },
    k2: { term: (tape, a) => klEstimate(tape, a, "k2"), gradient: reverse, value: "k2" },
    k3: { term: (tape, a) => klEstimate(tape, a, "k3"), gradient: forward, value: "kl" },
    "ratio k1": { term: (tape, a, ratio) => mul(tape, ratio, klEstimate(tape, a, "k1")), gradient: reverse, value: "kl" },
    "ratio k3": { term: (tape, a, ratio) => mul(tape, ratio, klEstimate(tape, a, "k3")), gradient: reverse, value: "kl" },
    "k1+": { term: (tape, a) => straightThroughKl(tape, a, "k1"), gradient: reverse, value: "kl" },
    "k3+": { term: (tape, a) => straightThroughKl(tape, a, "k3"), gradient: reverse, value: "kl" },
  };

  /** log-softmax on the tape, then the term for each outcome. */
  const termsOf = (tape: Tape, logits: Tensor, q: readonly number[], term: Term) => {
    const n = q.length;
    const lse = unary(tape, "log", sum(tape, unary(tape, "exp", logits)));
    const logp = sub(tape, logits, segmentBroadcast(tape, lse, tape.constant(Uint32Array.of(0, n)), n));
    const ratio = boundedExp(tape, sub(tape, logp, { ...logp }));
    return term(tape, sub(tape, logp, exact(tape, q.map(Math.log))), ratio);
  };

  const logits = fc.array(between(-2, 2), { minLength: 5, maxLength: 5 });

  test.each(Object.keys(terms))("expected gradient and value by enumeration: %s", async (name) => {
    const { term, gradient, value } = terms[name]!;
    await fc.assert(
      fc.asyncProperty(logits, logits, async (theta, phi) => {
        const [p, q] = [softmax(theta), softmax(phi)];
        const result = await differentiate(device, [theta], (tape, [x]) => ({ losses: termsOf(tape, x!, q, term) }), p);
        expectNear(result.gradients[0]!, gradient(p, q), 1e-9);
        const wanted = value === "kl" ? kl(p, q) : total(p.map((pi, i) => pi * 0.5 * Math.log(pi / q[i]!) ** 2));
        expect(result.loss).toBeCloseTo(wanted, 9);
      }),
      { numRuns: 25, seed: 5 },
    );
  });

  test("the sampled gradient converges to the same, and the estimators can be told apart", async () => {
    const [p, q] = [softmax([0.9, -0.4, 0.1, 1.2, -1]), softmax([-0.3, 0.8, 0.5, -0.6, 0.4])];
    const draws = 20_000;
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < draws; i++) {
      let left = uniform(7, 1, i);
      let outcome = 0;
      while (outcome < 4 && left >= p[outcome]!) left -= p[outcome++]!;
      counts[outcome]!++;
    }
    for (const [name, { term, gradient }] of Object.entries(terms)) {
      // The gradient of one draw of each outcome, then mean and standard error over the draws.
      const each = await Promise.all(
        p.map((_, x) =>
          differentiate(
            device,
            [p.map(Math.log)],
            (tape, [theta]) => ({ losses: termsOf(tape, theta!, q, term) }),
            p.map((_, i) => (i === x ? 1 : 0)),
          ),
        ),
      );
      const moments = p.map((_, i) => {
        const mean = total(each.map(({ gradients }, x) => (counts[x]! / draws) * gradients[0]![i]!));
        const square = total(each.map(({ gradients }, x) => (counts[x]! / draws) * gradients[0]![i]! ** 2));
        return { mean, error: Math.sqrt(Math.max(0, square - mean * mean) / draws) };
      });
      const isWithin = (wanted: readonly number[]) =>
        moments.every(({ mean, error }, i) => Math.abs(mean - wanted[i]!) <= 4 * error + 1e-12);
      expect(isWithin(gradient(p, q)), name).toBe(true);
      const others = [zero, reverse, forward].filter((other) => other !== gradient);
      expect(
        others.some((other) => isWithin(other(p, q))),
        `${name} could be another`,
      ).toBe(false);
    }
  });

  test("k3 is never negative, and 0 only where the log-probabilities agree", () => {
    fc.assert(
      fc.property(between(-15, 15), (a) => {
        expect(klEstimators.k3(a)).toBeGreaterThanOrEqual(0);
        if (Math.abs(a) > 1e-6) expect(klEstimators.k3(a)).toBeGreaterThan(0);
      }),
    );
    expect(klEstimators.k3(1e-9)).toBeCloseTo(5e-19, 24);
  });

  test("the KL term of a corrected objective has the reverse gradient on fresh samples", async () => {
    const [p, q] = [softmax([0.3, -0.7, 1.1]), softmax([-0.2, 0.4, 0.1])];
    const theta = p.map(Math.log);
    const gradientOf = (isKlCorrected: boolean) =>
      differentiate(
        device,
        [theta],
        (tape, [x]) => {
          const lse = unary(tape, "log", sum(tape, unary(tape, "exp", x!)));
          const logps = sub(tape, x!, segmentBroadcast(tape, lse, tape.constant(Uint32Array.of(0, 3)), 3));
          const { roots } = objectiveOf("grpo", "token", { beta: 1, isKlCorrected: isKlCorrected, dualClip: 1e6 })(tape, {
            logps,
            oldLogps: logps,
            refLogps: exact(tape, q.map(Math.log)),
            advantages: exact(tape, [0, 0, 0]),
            weights: exact(tape, p),
            segments: segmentsOf(tape, Uint32Array.of(0, 1, 2, 3)),
          });
          return { losses: roots[0]![0] };
        },
        p,
      );
    expectNear((await gradientOf(true)).gradients[0]!, reverse(p, q), 1e-9);
    expectNear((await gradientOf(false)).gradients[0]!, forward(p, q), 1e-9);
  });
});

describe("modifiers", () => {
  test("the most uncertain tokens: torch.quantile's interpolation", () => {
    // torch.quantile(tensor([1, 2, 3, 4, 10]), 0.8) = 5.2; of [4, 1], 0.5: 2.5
    expect(entropyThreshold([10, 1, 3, 2, 4], 0.2)).toBeCloseTo(5.2, 12);
    expect(entropyThreshold([4, 1], 0.5)).toBe(2.5);
    expect(entropyThreshold([3, 1, 2], 1)).toBe(1);
    expect(entropyThreshold([], 0.2)).toBe(Number.NEGATIVE_INFINITY);
  });

  test("sampler correction: per token or completion, clamped or dropped", () => {
    const log = Math.log;
    const inputs = { oldLogps: [log(2), log(0.5), 0, log(9)], samplerLogps: [0, 0, 0, 0], offsets: [0, 3, 4] };
    const at = (mode: Parameters<typeof samplerCorrection>[1]["mode"], clipMin = 0) =>
      [...samplerCorrection(inputs, { mode, clipMax: 3, clipMin })].map((w) => Number(w.toFixed(9)));
    expect(at("token_truncate")).toEqual([2, 0.5, 1, 3]);
    expect(at("token_mask")).toEqual([2, 0.5, 1, 0]);
    expect(at("token_truncate", 0.8)).toEqual([2, 0.8, 1, 3]);
    expect(at("token_mask", 0.8)).toEqual([2, 0, 1, 0]);
    expect(at("sequence_truncate")).toEqual([1, 1, 1, 3]);
    expect(at("sequence_mask")).toEqual([1, 1, 1, 0]);
    const long = { oldLogps: [log(2), log(2), 0], samplerLogps: [0, 0, 0], offsets: [0, 2, 3] };
    const options = { mode: "sequence_truncate" as const, clipMax: 5, clipMin: 0 };
    expectNear([...samplerCorrection(long, options)], [4, 4, 1], 1e-12);
    expectNear([...samplerFactors(long, options)], [2, 2, 1], 1e-12);
    expect([...samplerFactors(long, { ...options, mode: "sequence_mask", clipMax: 3 })]).toEqual([0, 0, 1]);
  });

  test("off-policy mask: only completions with A < 0 that the policy has left, without a gradient", async () => {
    const tape = new Tape(device);
    const logps = exact(tape, [-1, -1, -1, -1, -1, -1]);
    const read = leaves(tape, [logps]);
    const advantages = offPolicyMask(
      tape,
      {
        logps,
        behaviourLogps: exact(tape, [-0.2, -0.6, -0.4, -0.4, -0.8, -0.8]),
        advantages: exact(tape, [-1, -1, 1, 1, -1, -1]),
        segments: segmentsOf(tape, Uint32Array.of(0, 2, 4, 6)),
      },
      0.5,
    );
    expect(await valuesOf(device, advantages)).toEqual([0, 0, 1, 1, -1, -1]);
    const ones = exact(tape, [1, 1, 1, 1, 1, 1]);
    tape.backward([
      [advantages, ones],
      [logps, ones],
    ]);
    expect(await read()).toEqual([[1, 1, 1, 1, 1, 1]]);
    tape.dispose();
  });
});

describe("reductions", () => {
  /** rl-algorithms.md, appendix B. */
  const losses = [
    [0.5, -0.2, 0.1, 0.3],
    [1, 0.4],
  ];
  const totals: StepTotals = { sequences: 2, tokens: 6, generationTokens: 6, maxCompletionLength: 8 };
  const reduce = (lossType: LossType) => total(losses.map((row) => total(row) * tokenWeights[lossType](row.length, totals)));

  test("the page's example", () => {
    expect(reduce("grpo")).toBeCloseTo(0.4375, 12);
    expect(reduce("sapo")).toBeCloseTo(0.4375, 12);
    expect(reduce("gmpo")).toBeCloseTo(0.4375, 12);
    expect(reduce("bnpo")).toBeCloseTo(0.35, 12);
    for (const lossType of ["dapo", "cispo", "vespo"] as const) expect(reduce(lossType)).toBeCloseTo(0.35, 12);
    expect(reduce("dr_grpo")).toBeCloseTo(0.13125, 12);
    expect(reduce("luspo")).toBeCloseTo(1.05, 12);
  });

  test("the entropy bonus averages over the tokens that take part, or over the generation batch where the loss does", () => {
    expect(entropyWeight("grpo", totals, 3)).toBeCloseTo(1 / 3, 12);
    expect(entropyWeight("luspo", totals)).toBeCloseTo(1 / 6, 12);
    expect(entropyWeight("cispo", { ...totals, generationTokens: 12 }, 3)).toBeCloseTo(1 / 12, 12);
  });
});

test("nll: the gradient is minus the weight", async () => {
  const tape = new Tape(device);
  const logps = exact(tape, [-1, -2]);
  const gradients = leaves(tape, [logps]);
  tape.backward(nllLoss(tape, logps, 0.25));
  expect(await gradients()).toEqual([[-0.25, -0.25]]);
  tape.dispose();
});

describe("value loss", () => {
  test("clips around the recorded value and takes the worse branch", async () => {
    const run = (cliprangeValue: number) =>
      differentiate(
        device,
        [[1, 0, 0.1]],
        (tape, [values]) => {
          const inputs = { values: values!, oldValues: exact(tape, [0, 0, 0]), returns: exact(tape, [2, 2, 0]) };
          const { losses, clipped } = valueLoss(tape, inputs, { cliprangeValue });
          return clipped ? { losses, clipped } : { losses };
        },
        1,
      );
    // 1 -> clipped to 0.2, error 1.8 instead of 1: constant. 0 and 0.1 are within the range: plain squares.
    const clipped = await run(0.2);
    expectNear(clipped.losses, [0.5 * 1.8 ** 2, 2, 0.005], 1e-12);
    expectNear(clipped.gradients[0]!, [0, -2, 0.1], 1e-12);
    expect(clipped.others.clipped).toEqual([1, 0, 0]);
    const plain = await run(0);
    expectNear(plain.losses, [0.5, 2, 0.005], 1e-12);
    expectNear(plain.gradients[0]!, [-1, -2, 0.1], 1e-12);
  });
});
