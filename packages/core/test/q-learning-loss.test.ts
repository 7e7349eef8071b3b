/** ILQL's loss: worked numbers and gradients on every device, the law of expectiles, and a small decision process whose values are known. */

import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gather } from "../src/autograd/gather";
import { Tape } from "../src/autograd/tape";
import { weighted } from "../src/losses/objective";
import { bellmanTarget, expectileLoss, type QLearningOptions, qLearningLoss } from "../src/losses/q-learning";
import { allocate, type Tensor, upload } from "../src/tensor/tensor";
import { describeDevices, slack } from "./devices";

const read = async (tape: Tape, tensor: Tensor) => [...((await tape.device.read(tensor)) as Float32Array)];

describeDevices("qLearningLoss", (device) => {
  const tolerance = 1e-6 * slack(device);
  const expectNear = (got: readonly number[], expected: readonly number[]) => {
    expect(got).toHaveLength(expected.length);
    got.forEach((value, i) => {
      expect(Math.abs(value - (expected[i] as number))).toBeLessThanOrEqual(tolerance * (1 + Math.abs(expected[i] as number)));
    });
  };

  // Two rows, of two tokens and of one.
  const offsets = Uint32Array.of(0, 2, 3);
  const given = {
    q1: [1, 2, 0.5],
    q2: [0, 3, 0.25],
    t1: [2, 1, 0.5],
    t2: [1.5, 4, 1],
    v: [1, 2, 0.75],
    r: [0.5, 1, -1],
    l1: [-1, -2, -0.5],
    l2: [-3, -0.25, -1],
    logp: [-2, -1, -0.5],
  };
  const options: QLearningOptions = { tau: 0.75, gamma: 0.5, cqlScale: 0.5, awacScale: 2, awacBeta: 1 };
  /** r + ½ V(s'): 0.5 + ½ · 2, then 1 and -1 with nothing after them. */
  const targets = [1.5, 1, -1];
  /** min Q̂ - V: 1.5 - 1, 1 - 2, 0.5 - 0.75. */
  const u = [0.5, -1, -0.25];
  /** τ where u is not negative, else 1 - τ. */
  const side = [0.75, 0.25, 0.25];

  function run(tape: Tape) {
    const leaf = (values: readonly number[]) => tape.constant(Float32Array.from(values));
    const inputs = {
      qs: [leaf(given.q1), leaf(given.q2)],
      targetQs: [leaf(given.t1), leaf(given.t2)],
      values: leaf(given.v),
      rewards: leaf(given.r),
      qLogps: [leaf(given.l1), leaf(given.l2)],
      logps: leaf(given.logp),
      offsets,
    };
    return { inputs, result: qLearningLoss(tape, inputs, options) };
  }

  it("gives the numbers worked out by hand", async () => {
    const tape = new Tape(device);
    const { result } = run(tape);
    expectNear(await read(tape, result.bellmanTargets), targets);
    expectNear(await read(tape, result.targetQs), [1.5, 1, 0.5]);
    const qLosses = [0.25 + 2.25, 1 + 4, 2.25 + 1.5625];
    const valueLosses = [0.75 * 0.25, 0.25, 0.25 * 0.0625];
    const policyLosses = [Math.exp(0.5) * 2, Math.exp(-1) * 1, Math.exp(-0.25) * 0.5];
    expectNear(await read(tape, result.qLosses), qLosses);
    expectNear(await read(tape, result.valueLosses), valueLosses);
    expectNear(await read(tape, result.cqlLosses as Tensor), [4, 2.25, 1.5]);
    expectNear(await read(tape, result.policyLosses as Tensor), policyLosses);
    const all = [4, 2.25, 1.5].map((cql, t) => qLosses[t]! + valueLosses[t]! + 0.5 * cql + 2 * policyLosses[t]!);
    expectNear(await read(tape, result.losses), all);
    tape.dispose();
  });

  it("sends gradients to the heads, the value and the policy, and to nothing that is a target", async () => {
    const tape = new Tape(device);
    const { inputs, result } = run(tape);
    // The gradient of a tensor without a maker lives until the tape is disposed of.
    tape.backward(weighted(tape, result.losses, [1, 10, 100]));
    const gradientOf = async (tensor: Tensor) => {
      const gradient = tape.grad(tensor);
      return gradient ? read(tape, gradient) : undefined;
    };
    const w = [1, 10, 100];
    expectNear(
      (await gradientOf(inputs.qs[0] as Tensor))!,
      given.q1.map((q, t) => 2 * w[t]! * (q - targets[t]!)),
    );
    expectNear(
      (await gradientOf(inputs.qs[1] as Tensor))!,
      given.q2.map((q, t) => 2 * w[t]! * (q - targets[t]!)),
    );
    expectNear(
      (await gradientOf(inputs.values))!,
      u.map((gap, t) => -2 * w[t]! * side[t]! * gap),
    );
    expectNear(
      (await gradientOf(inputs.qLogps[1] as Tensor))!,
      w.map((weight) => -0.5 * weight),
    );
    expectNear(
      (await gradientOf(inputs.logps))!,
      u.map((gap, t) => -2 * w[t]! * Math.exp(gap)),
    );
    for (const constant of [...inputs.targetQs, inputs.rewards]) expect(tape.grad(constant)).toBeUndefined();
    tape.dispose();
  });

  it("leaves out the terms that are not asked for", async () => {
    const tape = new Tape(device);
    const { inputs } = run(tape);
    const { losses, cqlLosses, policyLosses } = qLearningLoss(tape, { ...inputs, qLogps: [], logps: undefined }, options);
    expect([cqlLosses, policyLosses]).toEqual([undefined, undefined]);
    expectNear(await read(tape, losses), [2.6875, 5.25, 3.828125]);
    tape.dispose();
  });
});

describe("on the reference device", () => {
  const device = createReferenceDevice();

  it("an empty row, or one after another, bootstraps from nothing that is not its own", async () => {
    const tape = new Tape(device);
    const constant = (...values: number[]) => tape.constant(Float32Array.from(values));
    const inputs = { rewards: constant(1, 2, 3), values: constant(Number.NaN, 10, Number.NaN), offsets: Uint32Array.of(0, 0, 2, 2, 3) };
    expect(await read(tape, bellmanTarget(tape, inputs, 0.5))).toEqual([6, 2, 3]);
    tape.dispose();
  });

  it("the value where the expectile loss has no gradient is the expectile", async () => {
    const values = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(values, fc.double({ min: 0.05, max: 0.95, noNaN: true }), async (x, tau) => {
        const tape = new Tape(device);
        const u = tape.constant(
          Float32Array.from(
            x,
            (value) =>
              value -
              expectile(
                x,
                x.map(() => 1),
                tau,
              ),
          ),
        );
        tape.backward(weighted(tape, expectileLoss(tape, u, tau), 1));
        const slope = (await read(tape, tape.grad(u) as Tensor)).reduce((a, b) => a + b, 0);
        tape.dispose();
        expect(Math.abs(slope)).toBeLessThan(1e-4);
      }),
      { seed: 3, numRuns: 50 },
    );
    expect(expectile([1, 2, 6], [1, 1, 1], 0.5)).toBeCloseTo(3, 9);
    expect(expectile([1, 2, 6], [1, 1, 1], 1 - 1e-9)).toBeCloseTo(6, 6);
  });

  /** Three tokens, three steps: a state is the tokens so far, in base 4 with a leading 1. Behaviour and rewards are arbitrary but fixed. */
  const A = 3;
  const H = 3;
  const states: string[] = [];
  const grow = (state: string) => {
    states.push(state);
    if (state.length + 1 < H) for (let a = 0; a < A; a++) grow(state + a);
  };
  grow("");
  const behaviour = (state: string, a: number) =>
    [
      [0.6, 0.3, 0.1],
      [0.2, 0.2, 0.6],
      [0.1, 0.8, 0.1],
    ][(state.length + Number(`${state}0`)) % 3]![a]!;
  const reward = (state: string, a: number) => ((Number(`1${state}${a}`) * 7) % 11) / 5 - 1;
  const probability = (state: string): number =>
    state === "" ? 1 : probability(state.slice(0, -1)) * behaviour(state.slice(0, -1), Number(state.at(-1)));

  /** Q and V of the process by backward induction. */
  function exactValues(tau: number, gamma: number) {
    const V = new Map<string, number>();
    const Q = new Map<string, number>();
    for (const state of states.toReversed()) {
      const qs = Array.from({ length: A }, (_, a) => reward(state, a) + gamma * (V.get(state + a) ?? 0));
      qs.forEach((q, a) => {
        Q.set(state + a, q);
      });
      V.set(
        state,
        expectile(
          qs,
          qs.map((_, a) => behaviour(state, a)),
          tau,
        ),
      );
    }
    return { Q, V };
  }

  it.each([0.5, 0.8, 0.999])("values of a known process are found, τ = %f, with two heads and a target network", async (tau) => {
    const gamma = 0.9;
    const { Q, V } = exactValues(tau, gamma);
    const at = new Map(states.map((state, i) => [state, i]));
    // Every trajectory once, weighed by how often the behaviour takes it.
    const rows = states.filter((state) => state.length === H - 1).flatMap((state) => Array.from({ length: A }, (_, a) => state + a));
    const steps = rows.flatMap((row) => Array.from({ length: H }, (_, t) => ({ state: row.slice(0, t), action: Number(row[t]), row })));
    const index = Uint32Array.from(steps, ({ state, action }) => at.get(state)! * A + action);
    const stateIndex = Uint32Array.from(steps, ({ state }) => at.get(state)!);
    const offsets = Uint32Array.from({ length: rows.length + 1 }, (_, s) => s * H);
    const weights = steps.map(({ row }) => probability(row));
    const table = (length: number, value: number) =>
      upload(
        device,
        Float32Array.from({ length }, (_, i) => value + 0.01 * i),
      );
    const q = [table(states.length * A, 0), table(states.length * A, 1)];
    const target = q.map((leaf) => {
      const copy = allocate(device, leaf.shape);
      device.copy(leaf, copy);
      return copy;
    });
    const v = table(states.length, 0);
    const visits = (length: number, of: Uint32Array) => {
      const sums = new Float64Array(length);
      of.forEach((i, m) => {
        sums[i] = sums[i]! + weights[m]!;
      });
      return sums;
    };
    const visited = { q: visits(states.length * A, index), v: visits(states.length, stateIndex) };
    for (let iteration = 0; iteration < 500; iteration++) {
      const tape = new Tape(device);
      const { losses } = qLearningLoss(
        tape,
        {
          qs: q.map((leaf) => gather(tape, leaf, index)),
          targetQs: target.map((leaf) => gather(tape, leaf, index)),
          values: gather(tape, v, stateIndex),
          rewards: tape.constant(Float32Array.from(steps, ({ state, action }) => reward(state, action))),
          qLogps: [],
          offsets,
        },
        { tau, gamma, cqlScale: 0, awacScale: 0, awacBeta: 0 },
      );
      tape.backward(weighted(tape, losses, weights));
      // Newton's step where the loss is quadratic, shortened: gradients by how often a value is visited.
      const descend = (leaf: Tensor, often: Float64Array, rate: number) => {
        const gradient = device.readF64(tape.grad(leaf) as Tensor);
        device.writeF64(
          leaf,
          device.readF64(leaf).map((value, i) => value - (rate * gradient[i]!) / (2 * often[i]!)),
        );
      };
      for (const leaf of q) descend(leaf, visited.q, 0.5);
      descend(v, visited.v, 0.9);
      tape.dispose();
      target.forEach((leaf, i) => {
        const now = device.readF64(q[i]!);
        device.writeF64(
          leaf,
          device.readF64(leaf).map((old, k) => 0.7 * old + 0.3 * now[k]!),
        );
      });
    }
    for (const [i, state] of states.entries()) {
      expect(device.readF64(v)[i]).toBeCloseTo(V.get(state)!, 2);
      for (let a = 0; a < A; a++) {
        for (const leaf of q) expect(device.readF64(leaf)[i * A + a]).toBeCloseTo(Q.get(state + a)!, 2);
      }
    }
    // Near τ = 1 the value is that of the best policy among what the behaviour does.
    if (tau === 0.999) {
      const best = (state: string): number =>
        Math.max(...Array.from({ length: A }, (_, a) => reward(state, a) + (state.length + 1 < H ? gamma * best(state + a) : 0)));
      expect(V.get("")).toBeCloseTo(best(""), 1);
    }
  });
});

/** The τ-expectile of weighted values by bisection: where τ Σ w (x - e)⁺ = (1 - τ) Σ w (e - x)⁺. */
function expectile(x: readonly number[], w: readonly number[], tau: number): number {
  let [low, high] = [Math.min(...x), Math.max(...x)];
  for (let i = 0; i < 100; i++) {
    const e = (low + high) / 2;
    const balance = x.reduce((sum, value, k) => sum + w[k]! * (value > e ? tau : 1 - tau) * (value - e), 0);
    if (balance > 0) low = e;
    else high = e;
  }
  return (low + high) / 2;
}
