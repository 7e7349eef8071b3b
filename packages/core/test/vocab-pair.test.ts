/** Divergences over the vocabulary against TRL's and PyTorch's numbers (fixtures/rl), their laws, and numeric gradients. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import preferences from "../../../fixtures/rl/dpo.json";
import ppo from "../../../fixtures/rl/ppo.json";
import { Tape } from "../src/autograd/tape";
import { vocabPair } from "../src/autograd/vocab-pair";
import { ConfigError } from "../src/errors";
import { tableOf } from "../src/tensor/token-table";
import { describeDevices, slack } from "./devices";
import { exact, leaves, valuesOf } from "./loss-values";

type Rows = number[][];

interface Side {
  /** (N, C) */
  readonly hidden: Rows;
  /** (V, C) */
  readonly head: Rows;
  readonly temperature?: number;
}

/** Divergences, and the gradients of Σ weights · divergence to the learning side. */
async function run(device: Device, learning: Side, fixed: Side, beta: number, weights: number[]) {
  const tape = new Tape(device);
  const matrix = (rows: Rows) => exact(tape, rows.flat(), [rows.length, rows[0]!.length]);
  const hidden = matrix(learning.hidden);
  const shape = [learning.head.length, learning.head[0]!.length];
  const grad = tape.constant(new Float32Array(learning.head.flat().length), shape);
  const gradients = leaves(tape, [hidden]);
  const divergence = vocabPair(tape, {
    learning: { ...learning, hidden, head: tableOf(matrix(learning.head), grad) },
    fixed: { ...fixed, hidden: matrix(fixed.hidden), head: tableOf(matrix(fixed.head)) },
    beta,
  });
  const divergences = await valuesOf(device, divergence);
  tape.backward([[divergence, exact(tape, weights)]]);
  const result = { divergences, dhidden: (await gradients())[0] as number[], dhead: await valuesOf(device, grad) };
  tape.dispose();
  return result;
}

/** With it, hidden states are logits. */
const identity = (size: number): Rows => Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)));

const logitsAs = (hidden: Rows, temperature?: number): Side => ({
  hidden,
  head: identity(hidden[0]!.length),
  ...(temperature === undefined ? {} : { temperature }),
});

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!), `[${i}]: ${value} against ${expected[i]}`).toBeLessThan(
      tolerance * Math.max(1, Math.abs(expected[i]!)),
    );
  });
}

interface DistillationCase {
  readonly name: string;
  readonly params: { readonly beta: number; readonly temperature: number };
  readonly inputs: { readonly student_logits: number[][][]; readonly teacher_logits: number[][][]; readonly labels: Rows };
  readonly expect: { readonly loss: number; readonly grad_student_logits: number[][][] };
}
const distillation = (preferences.cases as unknown as DistillationCase[]).filter(({ name }) => name.startsWith("gkd_jsd_"));
const exactKl = ppo.cases.find(({ name }) => name === "kl_exact_and_entropy") as unknown as {
  readonly inputs: { readonly logits_a: Rows; readonly logits_b: Rows };
  readonly expect: { readonly kl: number[]; readonly grad_a_of_mean_kl: Rows };
};

describeDevices("vocabPair", (device) => {
  const tolerance = 1e-6 * slack(device);

  it("has four of TRL's cases", () => expect(distillation.map(({ params }) => params.beta)).toEqual([0, 0.3, 0.5, 1]));

  it.each(distillation)("equals TRL's $name", async ({ params: { beta, temperature }, inputs, expect: golden }) => {
    const keep = inputs.labels.flat().map((label) => label !== -100);
    const kept = <T>(rows: T[][]) => rows.flat().filter((_, i) => keep[i]);
    const student = kept(inputs.student_logits);
    const teacher = kept(inputs.teacher_logits);
    const weights = student.map(() => 1 / student.length);
    const { divergences, dhidden, dhead } = await run(
      device,
      logitsAs(student, temperature),
      logitsAs(teacher, temperature),
      beta,
      weights,
    );
    expectClose([divergences.reduce((sum, d, n) => sum + d * weights[n]!, 0)], [golden.loss], tolerance);
    const gradient = kept(golden.grad_student_logits);
    expectClose(dhidden, gradient.flat(), tolerance);
    // dhead = Σ_n dz[n] ⊗ hidden[n], and with an identity for a head dz is dhidden.
    const expected = identity(student[0]!.length).flatMap((row, v) =>
      row.map((_, c) => gradient.reduce((sum, dz, n) => sum + dz[v]! * student[n]![c]!, 0)),
    );
    expectClose(dhead, expected, tolerance);
  });

  it("equals PyTorch's KL over the whole vocabulary", async () => {
    const { logits_a, logits_b } = exactKl.inputs;
    const weights = logits_a.map(() => 1 / logits_a.length);
    const { divergences, dhidden } = await run(device, logitsAs(logits_a), logitsAs(logits_b), 1, weights);
    expectClose(divergences, exactKl.expect.kl, tolerance);
    expectClose(dhidden, exactKl.expect.grad_a_of_mean_kl.flat(), tolerance);
    // From the other side, beta = 0 is the same number.
    const { divergences: turned } = await run(device, logitsAs(logits_b), logitsAs(logits_a), 0, weights);
    expectClose(turned, exactKl.expect.kl, tolerance);
  });

  it("is 0 with a gradient of 0 between equal sides", async () => {
    const side = logitsAs(exactKl.inputs.logits_a, 0.7);
    for (const beta of [0, 0.4, 1]) {
      const { divergences, dhidden, dhead } = await run(device, side, side, beta, [1, -2, 3, 4, 5, 6]);
      expectClose(
        [...divergences, ...dhidden, ...dhead],
        [...divergences, ...dhidden, ...dhead].map(() => 0),
        1e-6,
      );
      expectClose(
        divergences,
        divergences.map(() => 0),
        1e-12,
      );
    }
  });

  it("outlives probabilities that underflow", async () => {
    // p = (1, 0, 0), q = (0, 1, 0) as far as any float can tell.
    const [learning, fixed] = [logitsAs([[400, 0, 0]]), logitsAs([[0, 400, 0]])];
    expectClose((await run(device, learning, fixed, 0, [1])).divergences, [400], tolerance);
    expectClose((await run(device, learning, fixed, 1, [1])).divergences, [400], tolerance);
    const { divergences, dhidden } = await run(device, learning, fixed, 0.5, [1]);
    expectClose(divergences, [Math.LN2], tolerance);
    expectClose(dhidden, [0, 0, 0], tolerance);
    expectClose((await run(device, learning, fixed, 0, [1])).dhidden, [1, -1, 0], tolerance);
  });
});

const rowsOf = (rows: number, columns: number) =>
  fc.array(fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: columns, maxLength: columns }), {
    minLength: rows,
    maxLength: rows,
  });

describeDevices(
  "laws of vocabPair",
  (device) => {
    const close = 1e-5;
    it("no divergence is negative, Jensen-Shannon is symmetric, swaps with 1 - beta, and is at most the entropy of beta", async () => {
      await fc.assert(
        fc.asyncProperty(rowsOf(2, 5), rowsOf(2, 5), fc.double({ min: 0.01, max: 0.99, noNaN: true }), async (a, b, beta) => {
          const of = async (first: Rows, second: Rows, at: number) =>
            (await run(device, logitsAs(first), logitsAs(second), at, [1, 1])).divergences;
          const entropy = -beta * Math.log(beta) - (1 - beta) * Math.log(1 - beta);
          const between = await of(a, b, beta);
          for (const value of [...between, ...(await of(a, b, 0)), ...(await of(a, b, 1))]) expect(value).toBeGreaterThanOrEqual(-1e-15);
          for (const value of between) expect(value).toBeLessThanOrEqual(entropy + close);
          expectClose(await of(b, a, 1 - beta), between, close);
        }),
        { numRuns: 20, seed: 7 },
      );
    });
  },
  ["reference", "wasm"],
);

describe("vocabPair", () => {
  const device = createReferenceDevice();
  afterAll(() => device.destroy());

  it.each([0, 0.3, 1])("has the gradient of its values, beta %f, sides of different widths and temperatures", async (beta) => {
    const wave = (rows: number, columns: number, phase: number) =>
      Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => 2 * Math.sin(1.7 * i + 2.9 * j + phase)));
    const learning = { hidden: wave(3, 2, 1), head: wave(7, 2, 2), temperature: 0.8 };
    const fixed = { hidden: wave(3, 4, 3), head: wave(7, 4, 4), temperature: 1.3 };
    const weights = [1, -0.5, 2];
    const { dhidden, dhead } = await run(device, learning, fixed, beta, weights);
    const loss = async () =>
      (await run(device, learning, fixed, beta, weights)).divergences.reduce((sum, d, n) => sum + d * weights[n]!, 0);
    for (const [rows, gradient] of [
      [learning.hidden, dhidden],
      [learning.head, dhead],
    ] as const) {
      const numeric: number[] = [];
      for (const row of rows) {
        for (const [i, value] of [...row.entries()]) {
          row[i] = value + 1e-5;
          const above = await loss();
          row[i] = value - 1e-5;
          numeric.push((above - (await loss())) / 2e-5);
          row[i] = value;
        }
      }
      expectClose(gradient, numeric, 1e-8);
    }
  });

  it("refuses a beta that is no weight", () => {
    const tape = new Tape(device);
    const side = { hidden: exact(tape, [1, 2], [1, 2]), head: tableOf(exact(tape, [1, 2], [1, 2])) };
    for (const beta of [-0.1, 1.1, 1e-9, 1 - 1e-9, Number.NaN]) {
      expect(() => vocabPair(tape, { learning: side, fixed: side, beta })).toThrow(ConfigError);
    }
    tape.dispose();
  });
});
