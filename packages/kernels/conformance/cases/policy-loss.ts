/** Conformance of the fused clipped policy loss. */
import { POLICY_SUMS, policyLoss } from "../../src/ops/policy-loss";
import type { Case, InputContext, Values } from "../case";
import type { GradientCheck } from "../gradient";
import { EDGES, FEW_EDGES, sweep, withValues } from "../sizes";

const SUMS = Object.keys(POLICY_SUMS).length;

const SYMMETRIC: Values = { Q: SUMS, epsilon_low: 0.2, epsilon_high: 0.2, delta: 0, beta: 0.04 };
const TWO_SIDED: Values = { Q: SUMS, epsilon_low: 0.2, epsilon_high: 0.28, delta: 1.5, beta: 0.1 };

/** Log-ratios at least this far from the edges of the clip, where rounding would decide a count or a branch. */
const MARGIN = 1e-3;

/** Old log-probabilities so near that some ratios are clipped on either side and some are exactly 1. */
function policyInputs({ values, draw, random }: Pick<InputContext, "values" | "random" | "draw">) {
  const logps = draw("logps", { outlier: 1 }).map((x) => -Math.abs(x));
  const edges = [1 - values.epsilon_low!, 1 + values.epsilon_high!, values.delta || 1e9].map(Math.log);
  const oldLogps = logps.map((logp, n) => {
    if (n % 5 === 0) return logp;
    for (;;) {
      const old = Math.fround(logp + 0.3 * random.normal());
      if (edges.every((edge) => Math.abs(logp - old - edge) > MARGIN)) return old;
    }
  });
  const refLogps = logps.map((logp) => logp + 0.5 * random.normal());
  return { logps, oldLogps, refLogps, weights: logps.map(() => random.uniform()) };
}

/** A mask with zeros whose rows hold NaN everywhere else. */
function masked(context: InputContext, isMasked: (n: number) => boolean) {
  const hide = (data: Float32Array) => data.map((x, n) => (isMasked(n) ? Number.NaN : x));
  const { logps, oldLogps, refLogps, weights } = policyInputs(context);
  return {
    logps: hide(logps),
    oldLogps: hide(oldLogps),
    refLogps: hide(refLogps),
    weights: hide(weights),
    advantages: hide(context.draw("advantages", { outlier: 3 })),
    mask: logps.map((_, n) => (isMasked(n) ? 0 : 1)),
  };
}

export const policyLossCases: Case[] = [
  {
    entry: policyLoss.fused,
    name: "symmetric",
    sizes: withValues([...sweep("N", EDGES, { N: 1 }), { N: 1030 }], SYMMETRIC),
    inputs: (context) => masked(context, (n) => n % 4 === 3),
  },
  {
    entry: policyLoss.fused,
    name: "two-sided",
    sizes: withValues([...sweep("N", FEW_EDGES, { N: 1 }), { N: 5003 }], TWO_SIDED),
    inputs: (context) => masked(context, (n) => n % 3 === 1),
  },
  {
    entry: policyLoss.fused,
    name: "all masked",
    sizes: withValues(sweep("N", [1, 65], { N: 1 }), SYMMETRIC),
    inputs: (context) => masked(context, () => true),
    tolerance: { rtol: 0, atol: 0, reason: "nothing counts, so everything is 0" },
  },
  {
    entry: policyLoss.fused,
    name: "log-ratios beyond the clamp",
    sizes: [{ N: 6, ...SYMMETRIC, beta: 0 }],
    inputs: () => ({
      logps: [-1, -30, -0.5, -60, -1, -2],
      oldLogps: [-30, -1, -60, -0.5, -1, -2],
      refLogps: [-1, -30, -0.5, -60, -1, -2],
      advantages: [1, 1, -1, -1, 0, 2],
      weights: [1, 1, 1, 1, 1, 0],
      mask: [1, 1, 1, 1, 1, 1],
    }),
    tolerance: { scale: "element", reason: "a ratio of e^20 beside ratios of 1" },
  },
];

const COUNT = 12;

const PARAMETERS: Readonly<Record<string, Values>> = { symmetric: SYMMETRIC, "two-sided": TWO_SIDED, "no KL": { ...SYMMETRIC, beta: 0 } };

export const policyLossGradients: GradientCheck[] = Object.entries(PARAMETERS).map(([name, parameters]) => {
  const values: Values = { N: COUNT, ...parameters };
  return {
    name: `policy_loss_fused (${name})`,
    covers: ["policy_loss_fused"],
    forward: policyLoss.fused,
    values,
    inputs: (random) => {
      const draw = () => Float32Array.from({ length: COUNT }, random.normal);
      return {
        ...policyInputs({ values, random, draw }),
        advantages: draw(),
        mask: Array.from({ length: COUNT }, (_, n) => (n % 4 === 3 ? 0 : 1)),
      };
    },
    outputs: ["sums"],
    upstream: { sums: Array.from({ length: SUMS }, (_, i) => (i === POLICY_SUMS.loss ? 1 : 0)) },
    backward: ({ outputs }) => ({ logps: outputs.dlogps }),
  };
});
