/** AdamW against torch.optim, and its laws: clipping, decay groups, skipped steps, and independence of how buffers are cut. */
import type { Device } from "@trimtab/kernels";
import { describe, expect, it } from "vitest";
import golden from "../../../fixtures/rl/schedules.json";
import { type Parameter, ParameterSet, type ParameterSpec } from "../src/nn/parameters";
import { AdamW, type AdamWOptions } from "../src/optim/adamw";
import type { Tensor } from "../src/tensor/tensor";
import { describeDevices, slack } from "./devices";

const vector = (name: string, length: number): ParameterSpec => ({ name, shape: [length], init: { constant: 0 } });
const matrix = (name: string, rows: number, columns: number): ParameterSpec => ({ name, shape: [rows, columns], init: { constant: 0 } });

function setUp(device: Device, specs: readonly ParameterSpec[], options: AdamWOptions) {
  const parameters = new ParameterSet(device, specs);
  return { parameters, optimizer: new AdamW(parameters, options) };
}

const read = async (device: Device, tensor: Tensor) => [...((await device.read(tensor)) as Float32Array)];
const values = (device: Device, parameter: Parameter) => read(device, parameter.value);

describeDevices("AdamW", (device) => {
  it("equals torch.optim.AdamW step by step", async () => {
    const found = golden.cases.find(({ name }) => name === "optimizer_adamw");
    const {
      inputs,
      expect: expected,
      params,
    } = found as unknown as {
      inputs: { p0: number[]; grads: number[][] };
      expect: { params_after_each_step: number[][] };
      params: { lr: number; betas: [number, number]; eps: number; weight_decay: number };
    };
    const { lr, betas, eps, weight_decay: weightDecay } = params;
    const { parameters, optimizer } = setUp(device, [vector("p", inputs.p0.length)], {
      betas,
      eps,
      weightDecay,
      decays: () => true,
      maxGradNorm: 0,
    });
    const p = parameters.get("p");
    device.write(p.value, Float32Array.from(inputs.p0));
    for (const [step, gradient] of inputs.grads.entries()) {
      parameters.zeroGrads();
      device.write(p.grad as Tensor, Float32Array.from(gradient));
      const { gradNorm } = await optimizer.step(lr);
      expect(Math.abs(gradNorm - Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0)))).toBeLessThan(1e-6);
      (await values(device, p)).forEach((value, i) => {
        const difference = Math.abs(value - (expected.params_after_each_step[step]?.[i] as number));
        expect(difference).toBeLessThan(slack(device) * 1e-6);
      });
    }
    expect(optimizer.count).toBe(6);
    optimizer.dispose();
    parameters.dispose();
  });

  it("clips by the norm of all gradients together", async () => {
    // Norm 10 over two parameters: the moments get a tenth of the gradient (norm + 1e-6 in the quotient).
    const { parameters, optimizer } = setUp(device, [vector("a", 1), matrix("b", 1, 1)], { maxGradNorm: 1 });
    parameters.zeroGrads();
    device.write(parameters.get("a").grad as Tensor, Float32Array.of(6));
    device.write(parameters.get("b").grad as Tensor, Float32Array.of(-8));
    expect((await optimizer.step(0)).gradNorm).toBeCloseTo(10, 5);
    const moments = (await read(device, optimizer.m[0] as Tensor)).filter((m) => m !== 0);
    expect(moments.map((m) => Number((m / 0.1).toFixed(5)))).toEqual([-0.8, 0.6]);
    expect(await values(device, parameters.get("a"))).toEqual([0]);
    optimizer.dispose();
    parameters.dispose();
  });

  it("decays matrices only, unless told otherwise", async () => {
    const { parameters, optimizer } = setUp(device, [matrix("w", 2, 3), vector("b", 3), matrix("u", 1, 2)], { weightDecay: 0.5 });
    for (const p of parameters.all) device.write(p.value, new Float32Array(p.shape.reduce((a, b) => a * b, 1)).fill(1));
    parameters.zeroGrads();
    await optimizer.step(0.5);
    expect(await values(device, parameters.get("w"))).toEqual([0.75, 0.75, 0.75, 0.75, 0.75, 0.75]);
    expect(await values(device, parameters.get("u"))).toEqual([0.75, 0.75]);
    expect(await values(device, parameters.get("b"))).toEqual([1, 1, 1]);
    optimizer.dispose();
    parameters.dispose();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("a gradient of %s changes nothing and does not count", async (poison) => {
    const { parameters, optimizer } = setUp(device, [matrix("w", 2, 2), vector("b", 2)], { weightDecay: 0.1 });
    const state = async () => [
      await Promise.all(parameters.shards.map((s) => read(device, s))),
      await Promise.all([...optimizer.m, ...optimizer.v].map((s) => read(device, s))),
      optimizer.count,
    ];
    device.write(parameters.get("w").value, Float32Array.of(1, -2, 3, -4));
    parameters.zeroGrads();
    device.write(parameters.get("w").grad as Tensor, Float32Array.of(0.5, 0.25, -1, 2));
    expect((await optimizer.step(0.01)).skipped).toBe(false);
    const before = await state();
    device.write(parameters.get("b").grad as Tensor, Float32Array.of(1, poison));
    const outcome = await optimizer.step(0.01);
    expect(outcome.skipped).toBe(true);
    expect(Number.isFinite(outcome.gradNorm)).toBe(false);
    expect(await state()).toEqual(before);
    expect(optimizer.count).toBe(1);
    optimizer.dispose();
    parameters.dispose();
  });

  describe("cut into several buffers", () => {
    const specs = [matrix("a", 8, 16), vector("n", 16), matrix("b", 4, 16), matrix("c", 16, 16)];

    async function train(on: Device): Promise<number[][]> {
      const { parameters, optimizer } = setUp(on, specs, { weightDecay: 0.1 });
      parameters.all.forEach((p, k) => {
        const count = p.shape.reduce((x, y) => x * y, 1);
        const fill = (phase: number) => Float32Array.from({ length: count }, (_, i) => ((i * 37 + k * 11 + phase) % 23) / 23 - 0.4);
        on.write(p.value, fill(0));
        parameters.grads();
        on.write(p.grad as Tensor, fill(5));
      });
      for (let step = 0; step < 3; step++) await optimizer.step(0.01);
      const byName = [...parameters.all].sort((x, y) => x.name.localeCompare(y.name));
      const result = await Promise.all(byName.map((p) => values(on, p)));
      optimizer.dispose();
      parameters.dispose();
      return result;
    }

    it("takes the same steps, up to the order of the norm's sum", async () => {
      const small: Device = new Proxy(device, {
        get(target, key) {
          if (key === "info") return { ...target.info, maxBufferBytes: 1024 };
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      expect(new ParameterSet(small, specs).shards.length).toBeGreaterThan(1);
      const [whole, cut] = [await train(device), await train(small)];
      whole.flat().forEach((value, i) => {
        expect(Math.abs(value - (cut.flat()[i] as number))).toBeLessThan(1e-6);
      });
    });
  });
});
