/** PPO's surrogate with a KL penalty: worked numbers, and the exact gradient of KL(π_old ‖ π) by enumeration. */
import { expect, test } from "vitest";
import { Tape } from "../src/autograd/tape";
import { klPenaltyLoss } from "../src/losses/policy/kl-penalty";
import { allocate } from "../src/tensor/tensor";
import { describeDevices, slack } from "./devices";

const softmax = (logits: readonly number[]) => {
  const exps = logits.map(Math.exp);
  const total = exps.reduce((a, b) => a + b, 0);
  return exps.map((e) => e / total);
};

describeDevices("the KL penalty", (device) => {
  /** losses, kl and Σ w dL/dlogp of tokens, read from the device. */
  async function run(
    logps: readonly number[],
    oldLogps: readonly number[],
    advantages: readonly number[],
    beta: number,
    weights: readonly number[],
  ) {
    const tape = new Tape(device);
    const constant = (values: readonly number[]) => tape.constant(Float32Array.from(values));
    const logp = tape.alloc([logps.length]);
    device.write(logp, Float32Array.from(logps));
    const gradient = allocate(device, [logps.length]);
    tape.record([logp], () => device.copy(tape.gradOrZero(logp), gradient));
    const { losses, kl } = klPenaltyLoss(tape, { logps: logp, oldLogps: constant(oldLogps), advantages: constant(advantages) }, { beta });
    const [values, kls] = [[...(await device.read(losses))], [...(await device.read(kl))]];
    tape.backward([[losses, constant(weights)]]);
    const gradients = [...(await device.read(gradient))];
    device.free(gradient.buffer);
    tape.dispose();
    return { losses: values, kl: kls, gradients };
  }

  const near = (actual: readonly number[], expected: readonly number[]) => {
    expected.forEach((value, i) => {
      expect(Math.abs((actual[i] as number) - value)).toBeLessThan(1e-6 * slack(device) * Math.max(1, Math.abs(value)));
    });
  };

  test("worked numbers", async () => {
    const { losses, kl, gradients } = await run([-1, -1.5], [-1, -1], [2, -1], 3, [1, 1]);
    // r = 1 and e^(-1/2); KL = 0 and e^(-1/2) - 1 + 1/2; dL/dlogp = -r A + β (r - 1)
    const r = Math.exp(-0.5);
    near(kl, [0, r - 0.5]);
    near(losses, [-2, r + 3 * (r - 0.5)]);
    near(gradients, [-2, r + 3 * (r - 1)]);
  });

  test("over samples of the old policy its expected gradient is that of KL(π_old ‖ π): p - p_old per logit", async () => {
    const [now, old] = [softmax([0.3, -1, 0.8, 0]), softmax([0, 0.5, -0.2, 1])];
    const { gradients, kl } = await run(now.map(Math.log), old.map(Math.log), [0, 0, 0, 0], 1, old);
    // Through log-softmax: dL/dlogit_j = g_j - p_j Σ g
    const total = gradients.reduce((a, b) => a + b, 0);
    near(
      gradients.map((g, j) => g - (now[j] as number) * total),
      now.map((p, j) => p - (old[j] as number)),
    );
    const exact = old.reduce((sum, p, i) => sum + p * Math.log(p / (now[i] as number)), 0);
    near([old.reduce((sum, p, i) => sum + p * (kl[i] as number), 0)], [exact]);
  });

  test("a log-ratio beyond ±20 is clamped and has no gradient", async () => {
    const { losses, gradients } = await run([0, -50], [-50, 0], [1, 1], 1, [1, 1]);
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(gradients.map(Math.abs)).toEqual([0, 0]);
  });
});
