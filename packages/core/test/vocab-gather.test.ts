/** Single values under a vocabulary head: worked arithmetic, and agreement with token-logprob. */
import type { Device } from "@trimtab/kernels";
import { expect, it } from "vitest";
import { rowIndex } from "../src/autograd/gather";
import { Tape } from "../src/autograd/tape";
import { tokenLogprob } from "../src/autograd/token-logprob";
import { vocabGather } from "../src/autograd/vocab-gather";
import { tableOf } from "../src/tensor/token-table";
import { describeDevices, slack } from "./devices";
import { exact, leaves, valuesOf } from "./loss-values";

const HIDDEN = [1, 2, 3, -1, 0.5, 4];
const HEAD = [1, 0, 2, -2, 0.5, 3, 4, 1];

async function run(device: Device, targets: number[], upstream: number[], isFrozen = false) {
  const tape = new Tape(device);
  const hidden = exact(tape, HIDDEN, [3, 2]);
  const grad = isFrozen ? undefined : tape.constant(new Float32Array(8).fill(10), [4, 2]);
  const head = tableOf(exact(tape, HEAD, [4, 2]), grad);
  const gradients = leaves(tape, [hidden]);
  const y = vocabGather(tape, { hidden, head, targets: rowIndex(tape, Uint32Array.from(targets)) });
  const values = await valuesOf(device, y);
  tape.backward([[y, exact(tape, upstream)]]);
  const result = { values, dhidden: (await gradients())[0], dhead: grad && (await valuesOf(device, grad)) };
  tape.dispose();
  return result;
}

describeDevices("vocabGather", (device) => {
  it("dots each row with its target's, and adds to the head where a target repeats", async () => {
    const { values, dhidden, dhead } = await run(device, [3, 1, 3], [1, -2, 0.5]);
    // rows (1, 2), (3, -1), (0.5, 4) with head rows (4, 1), (2, -2), (4, 1)
    expect(values).toEqual([6, 8, 6]);
    expect(dhidden).toEqual([4, 1, -4, 4, 2, 0.5]);
    expect(dhead).toEqual([10, 10, 10 - 6, 10 + 2, 10, 10, 10 + 1 + 0.25, 10 + 2 + 2]);
  });

  it("leaves a frozen head alone", async () => {
    const { dhidden, dhead } = await run(device, [0, 0, 2], [1, 1, 1], true);
    expect(dhidden).toEqual([1, 0, 1, 0, 0.5, 3]);
    expect(dhead).toBeUndefined();
  });

  it("is logp + lse of token-logprob", async () => {
    const tape = new Tape(device, { grad: false });
    const hidden = exact(tape, HIDDEN, [3, 2]);
    const head = tableOf(exact(tape, HEAD, [4, 2]));
    const targets = rowIndex(tape, Uint32Array.of(2, 0, 1));
    const { logp, lse } = tokenLogprob(tape, hidden, head, targets.ids);
    const [q, l, s] = await Promise.all(
      [vocabGather(tape, { hidden, head, targets }), logp, lse].map((tensor) => valuesOf(device, tensor)),
    );
    q?.forEach((value, n) => {
      expect(Math.abs(value - ((l?.[n] as number) + (s?.[n] as number)))).toBeLessThan(1e-6 * slack(device));
    });
    tape.dispose();
  });
});
