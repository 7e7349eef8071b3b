/** Fisher-vector products by central differences: against JᵀFJv from an explicit Jacobian in f64, and f32 devices against the reference device. */
import { type Device, elementCount, fillNormal, hostMath } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { Tape } from "../src/autograd/tape";
import { collate } from "../src/data/batch";
import { Decoder } from "../src/models/decoder";
import { targetHidden } from "../src/models/logprobs";
import { logits } from "../src/nn/head";
import { fisherProduct } from "../src/optim/fisher-product";
import { ParameterSpace } from "../src/optim/flat-vector";
import { OldPolicy } from "../src/trainers/old-policy";
import { describeDevices } from "./devices";
import { llamaConfig } from "./generate-model";

const V = 13;
const temperature = 0.9;
const config = { ...llamaConfig, vocabSize: V, hiddenSize: 8, intermediateSize: 12, heads: 2, kvHeads: 1 };

/** Two micro-batches; in every sequence all but the first two tokens count, each with another weight. */
const sequence = (length: number, salt: number) => ({
  tokens: Uint32Array.from({ length }, (_, i) => (i * 5 + salt) % V),
  mask: Uint8Array.from({ length }, (_, i) => (i > 1 ? 1 : 0)),
});
const batches = [collate([sequence(5, 1), sequence(4, 7)], V), collate([sequence(6, 3)], V)];
const weights = batches.map(({ targets }) => Float32Array.from(targets, (_, m) => (1 + m) / 30));

/** Parameters that move: all of a tied or an untied model, or some. */
const cases = [
  { name: "an untied model", tied: false, isChosen: () => true },
  { name: "a tied model", tied: true, isChosen: () => true },
  { name: "attention outputs only", tied: false, isChosen: (name: string) => name.endsWith("attention.out") },
];
type Case = (typeof cases)[number];

function open(device: Device, { tied, isChosen }: Case) {
  const decoder = new Decoder(device, { ...config, tied });
  decoder.parameters.initialise(3);
  const space = new ParameterSpace(decoder.parameters, isChosen);
  const dispose = () => {
    space.dispose();
    decoder.dispose();
  };
  return { decoder, space, dispose };
}

/** A normal direction, parameter by parameter. */
const directionOf = (space: ParameterSpace, seed: number) =>
  space.parameters.map(({ shape }, i) => fillNormal(new Float32Array(elementCount(shape)), seed, i));

/** F v by central differences, in the parameters' order. */
async function byDifferences(device: Device, of: Case, seed: number): Promise<number[]> {
  const { decoder, space, dispose } = open(device, of);
  const old = new OldPolicy(decoder, batches, temperature);
  const gradient = async () => {
    space.clear(space.grads);
    batches.forEach((batch, i) => {
      const tape = new Tape(device);
      tape.backward([[old.divergence(tape, targetHidden(tape, decoder, batch), i), tape.constant(weights[i]!)]]);
      tape.dispose();
    });
    return space.grads;
  };
  // The gradient's own windows say where each parameter lies in a vector.
  const places = space.parameters.map((parameter) => parameter.grad!);
  directionOf(space, seed).forEach((values, i) => {
    device.write(places[i]!, values);
  });
  const [v, out] = [space.zeros(), space.zeros()];
  space.copy(space.grads, v);
  const before = await Promise.all(space.values.map((part) => device.read(part)));
  await fisherProduct(space, { values: space.values, gradient }, { damping: 0 })(v, out);
  expect(await Promise.all(space.values.map((part) => device.read(part)))).toEqual(before);
  space.copy(out, space.grads);
  const result = await Promise.all(places.map((place) => device.read(place)));
  for (const vector of [v, out]) space.free(vector);
  old.dispose();
  dispose();
  return result.flatMap((part) => [...part]);
}

/** The same from the definition: Σ_t w_t J_tᵀ (diag p_t - p_t p_tᵀ) J_t v, one backward pass for each row of J. */
function byJacobian(of: Case, seed: number): number[] {
  const device = createReferenceDevice();
  const { decoder, space } = open(device, of);
  const v = directionOf(space, seed).flatMap((part) => [...part]);
  const result = v.map(() => 0);
  batches.forEach((batch, i) => {
    const M = batch.targets.length;
    const tape = new Tape(device, { grad: false });
    const z = device.readF64(logits(tape, targetHidden(tape, decoder, batch), decoder.head)).map((x) => x / temperature); // (M, V)
    tape.dispose();
    const J = Array.from({ length: M * V }, (_, row) => {
      space.clear(space.grads);
      const recording = new Tape(device);
      const z = logits(recording, targetHidden(recording, decoder, batch), decoder.head);
      const one = Float32Array.from({ length: M * V }, (_, k) => (k === row ? 1 : 0));
      recording.backward([[z, recording.constant(one, [M, V])]]);
      recording.dispose();
      return space.parameters.flatMap(({ grad }) => Array.from(device.readF64(grad!), (x) => x / temperature));
    });
    for (let m = 0; m < M; m++) {
      const exps = Array.from(z.subarray(m * V, (m + 1) * V), (x) => hostMath.exp(x));
      const p = exps.map((x) => x / exps.reduce((a, b) => a + b, 0));
      const rows = J.slice(m * V, (m + 1) * V);
      const Jv = rows.map((row) => dot(row, v));
      p.forEach((q, j) => {
        const coefficient = weights[i]![m]! * q * (Jv[j]! - dot(p, Jv));
        rows[j]!.forEach((x, k) => {
          result[k] = result[k]! + coefficient * x;
        });
      });
    }
  });
  return result;
}

const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);

function expectNear(a: readonly number[], b: readonly number[], relative: number): void {
  const difference = a.map((x, i) => x - b[i]!);
  expect(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))).toBeGreaterThan(1 - relative);
  expect(Math.sqrt(dot(difference, difference) / dot(b, b))).toBeLessThan(relative);
}

describe("on the reference device", () => {
  it.each(cases)("$name: the product is that of the explicit Jacobian", async (of) => {
    for (const seed of [1, 2]) expectNear(await byDifferences(createReferenceDevice(), of, seed), byJacobian(of, seed), 1e-3);
  });
});

describeDevices(
  "in f32",
  (device) => {
    it.each(cases)("$name: the product is the reference device's, and the parameters are put back to the last bit", async (of) => {
      expectNear(await byDifferences(device, of, 1), await byDifferences(createReferenceDevice(), of, 1), 1e-2);
    });
  },
  ["wasm", "wasm-relaxed", "webgpu"],
);
