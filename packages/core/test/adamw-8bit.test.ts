/** AdamW with moments in 8 bits: its codes, how it learns, what it saves, and that a saved state comes back bit for bit. */
import { expect, it } from "vitest";
import { captureOptimizer, captureParameters, restoreOptimizer, restoreParameters } from "../src/checkpoint/capture";
import { ParameterSet } from "../src/nn/parameters";
import { AdamW } from "../src/optim/adamw";
import { dynamicCodes } from "../src/optim/quantized-moments";
import { sft } from "../src/trainers/sft";
import { describeDevices } from "./devices";
import { allOf, tinyModel } from "./trainer-model";

it("has the codes of a dynamic tree", () => {
  for (const isSigned of [true, false]) {
    const codes = dynamicCodes(isSigned);
    expect([codes.length, new Set(codes).size, codes[255]]).toEqual([256, 256, 1]);
    expect(codes.includes(0)).toBe(true);
    codes.forEach((code, i) => {
      if (i > 0) expect(code).toBeGreaterThan(codes[i - 1] as number);
    });
  }
  // Seven decades: 64 means of [0.1, 1] in the highest, 1 in the lowest; twice as many without signs.
  const signed = dynamicCodes(true);
  expect(signed[254]).toBeCloseTo(0.1 + (0.9 * 63.5) / 64, 6);
  expect(signed[0]).toBeCloseTo(-(0.1 + (0.9 * 63.5) / 64), 6);
  expect(signed.find((code) => code > 0)).toBeCloseTo(0.55e-6, 12);
  expect(dynamicCodes(false).at(-2)).toBeCloseTo(0.1 + (0.9 * 127.5) / 128, 6);
  expect(dynamicCodes(false)[1]).toBeCloseTo(0.325e-6, 12);
});

describeDevices("AdamW in 8 bits", (device) => {
  it("learns as in f32, in a quarter of the memory", async () => {
    const dataset = ["abab", "abba", "baab"].map((text) => ({ text: text.repeat(4) }));
    const run = async (optim: "adamw_torch" | "adamw_8bit") => {
      const steps = await allOf(
        sft({ model: tinyModel(device), dataset, optim, maxSteps: 12, learningRate: 0.02, lrSchedulerType: "constant" }),
      );
      return steps.map(({ metrics }) => metrics.loss as number);
    };
    const [full, packed] = [await run("adamw_torch"), await run("adamw_8bit")];
    expect(full[11]).toBeLessThan(0.6 * (full[0] as number));
    expect(Math.abs((packed[11] as number) - (full[11] as number))).toBeLessThan(0.05 * (full[0] as number));
    // The moments differ: otherwise nothing would have been quantized.
    expect(packed[11]).not.toBe(full[11]);

    const parameters = new ParameterSet(device, [{ name: "w", shape: [1024, 1000], init: { constant: 0 } }]);
    const before = device.memory().live.optimizer;
    const optimizer = new AdamW(parameters, { is8bit: true });
    const bytes = device.memory().live.optimizer - before;
    // Two bytes a value, a scale of four for every 256, and what is in f32 at a time.
    expect(bytes).toBeLessThanOrEqual(1_024_000 * (2 + 8 / 256) + 2 * 4 * 2 ** 18 + 4096);
    optimizer.dispose();
    parameters.dispose();
    expect(device.memory().live.optimizer).toBe(before);
  });

  it("goes on from a saved state bit for bit, and leaves everything as it is where a step is skipped", async () => {
    const specs = [
      { name: "w", shape: [50, 13], init: { std: 1 } },
      { name: "b", shape: [70], init: { constant: 0 } },
    ];
    const make = () => {
      const parameters = new ParameterSet(device, specs);
      parameters.initialise(3);
      return { parameters, optimizer: new AdamW(parameters, { is8bit: true, maxGradNorm: 0, weightDecay: 0.1 }) };
    };
    const take = async ({ parameters, optimizer }: ReturnType<typeof make>, step: number) => {
      parameters.zeroGrads();
      for (const { grad, shape } of parameters.all) {
        const count = shape.reduce((product, size) => product * size, 1);
        const values = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + step) * 10 ** ((i % 5) - 3));
        if (step === 2) values[0] = Number.NaN;
        if (grad) device.write(grad, values);
      }
      return optimizer.step(0.01);
    };
    const one = make();
    for (const step of [0, 1]) await take(one, step);
    const saved = { weights: await captureParameters(one.parameters), optimizer: await captureOptimizer(one.optimizer) };
    expect((await take(one, 2)).skipped).toBe(true);
    expect(await captureOptimizer(one.optimizer)).toEqual(saved.optimizer);
    // The reference device keeps f64, which a state rounds to f32.
    if (device.info.kind === "reference") return;
    const other = make();
    restoreParameters(other.parameters, saved.weights);
    restoreOptimizer(other.optimizer, saved.optimizer);
    expect(await captureOptimizer(other.optimizer)).toEqual(saved.optimizer);
    for (const run of [one, other]) await take(run, 3);
    expect(await captureParameters(other.parameters)).toEqual(await captureParameters(one.parameters));
    expect(await captureOptimizer(other.optimizer)).toEqual(await captureOptimizer(one.optimizer));
    expect(Math.max(...(saved.optimizer.m.get("w") as Float32Array))).toBeGreaterThan(0);
  });
});
