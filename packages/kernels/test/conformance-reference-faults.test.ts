/** The suite must be able to fail: devices with planted faults, a wrong gradient, an empty reference, skips. */
import { describe, expect, it } from "vitest";
import { type Case, cases, checkGradient, conformance, execute, gradientChecks, measure, runTrial, trialsOf } from "../conformance/index";
import { isRequired } from "../conformance/vitest";
import { type BoundCall, bind, elementCount } from "../src/bind";
import type { Device, TensorRef } from "../src/device";
import { createReferenceDevice, type ReferenceDevice } from "../src/reference/index";

/** The reference device with something done after (or instead of) every dispatch. */
function faulty(fault: (device: ReferenceDevice, call: BoundCall) => void, dispatches = true): Device {
  const device = createReferenceDevice();
  const original = device.dispatch.bind(device);
  device.dispatch = (entry, args) => {
    if (dispatches) original(entry, args);
    fault(device, bind(entry, args));
  };
  return device;
}

const named = (name: string): Case => cases.find((item) => item.entry.name === name) as Case;
const trial = (name: string, index = 3) => trialsOf([named(name)])[index]!;

/** Changes one element `at` of a tensor's whole buffer, counted from the tensor's first. */
function poke(device: ReferenceDevice, tensor: TensorRef, at: number, value: number): void {
  device.writeF64({ ...tensor, byteOffset: tensor.byteOffset + 4 * at, shape: [1] }, Float64Array.of(value));
}

describe("a planted fault fails its trial", () => {
  const target = trial("matmul_forward");
  const output = (call: BoundCall) => call.tensors.at(-1)!;

  it("a write before the output", async () => {
    const device = faulty((d, call) => poke(d, output(call), -1, 0));
    await expect(runTrial(device, target)).rejects.toThrow(/the guard band of `y` must not change, got 0 at element -1/);
  });

  it("a write behind the output", async () => {
    const device = faulty((d, call) => poke(d, output(call), elementCount(output(call).shape), 7));
    await expect(runTrial(device, target)).rejects.toThrow(/the guard band of `y` must not change, got 7/);
  });

  it("a write far behind the output", async () => {
    const device = faulty((d, call) => poke(d, output(call), elementCount(output(call).shape) + 63, 7));
    await expect(runTrial(device, target)).rejects.toThrow(/guard band/);
  });

  it("a changed input", async () => {
    const device = faulty((d, call) => poke(d, call.tensors[0]!, 0, 0.5));
    await expect(runTrial(device, target)).rejects.toThrow(/the input of `x` must not change/);
  });

  it("an element never written", async () => {
    await expect(
      runTrial(
        faulty(() => {}, false),
        target,
      ),
    ).rejects.toThrow(/`y`: .* elements differ/);
    const device = faulty((d, call) => poke(d, output(call), 0, Number.NaN));
    await expect(runTrial(device, target)).rejects.toThrow(/got NaN/);
  });

  it("a value off by one part in a thousand", async () => {
    const device = faulty((d, call) => poke(d, output(call), 0, d.readF64(output(call))[0]! * 1.001 + 1e-3));
    await expect(runTrial(device, target)).rejects.toThrow(/the worst is \[0\]/);
  });

  it("an accumulating output that is overwritten", async () => {
    const device = createReferenceDevice();
    const original = device.dispatch.bind(device);
    device.dispatch = (entry, args) => {
      const dw = args.tensors.dw!;
      device.writeF64(dw, new Float64Array(elementCount(dw.shape)));
      original(entry, args);
    };
    await expect(runTrial(device, trial("matmul_backward_weight"))).rejects.toThrow(/`dw`/);
  });

  it("a wrong token, by one", async () => {
    const device = faulty((d, call) => {
      const tokens = call.tensors.at(-2)!;
      d.write(
        tokens,
        Uint32Array.from(d.readF64(tokens), (token) => token + 1),
      );
    });
    await expect(runTrial(device, trial("sample_forward"))).rejects.toThrow(/`tokens`/);
  });
});

describe("the runner", () => {
  it("yields failures and skips, never throws", async () => {
    const device = faulty(() => {
      throw new Error("driver on fire");
    });
    const results = [];
    const skip = [{ reason: "not today", cases: ["fill_set"] }];
    for await (const result of conformance({ device, cases: [named("fill_set"), named("rope_rotate")], skip })) results.push(result);
    expect(results.filter((r) => r.status === "skipped").every((r) => r.id.startsWith("fill_set ") && r.message === "not today")).toBe(
      true,
    );
    expect(
      results.filter((r) => r.status === "failed").every((r) => r.id.startsWith("rope_rotate ") && r.message === "driver on fire"),
    ).toBe(true);
    expect(new Set(results.map((r) => r.status))).toEqual(new Set(["skipped", "failed"]));
  });

  it("frees what it allocates", async () => {
    const device = createReferenceDevice();
    await runTrial(device, trial("matmul_forward"));
    expect(device.counters.liveBytes).toBe(0);
    const broken = faulty(() => {
      throw new Error("broken");
    });
    await expect(runTrial(broken, trial("matmul_forward"))).rejects.toThrow("broken");
    expect(broken.counters.liveBytes).toBe(0);
  });

  it("gives every trial its own id, and the same data each time", async () => {
    const trials = trialsOf(cases);
    expect(new Set(trials.map((t) => t.id)).size).toBe(trials.length);
    const [a, b] = [
      await execute(createReferenceDevice(), trial("rms_norm_forward")),
      await execute(createReferenceDevice(), trial("rms_norm_forward")),
    ];
    expect(a).toEqual(b);
  });

  it("meets every optional tensor present and absent", () => {
    for (const item of cases) {
      const trials = trialsOf([item]);
      for (const spec of item.entry.tensors.filter((t) => t.optional)) {
        expect(new Set(trials.map((t) => t.absent.includes(spec.name))).size, `${item.entry.name} ${spec.name}`).toBe(2);
      }
    }
  });

  it("refuses a case whose reference is NaN", async () => {
    const item: Case = { ...named("fill_set"), sizes: [{ N: 3, value: Number.NaN }] };
    await expect(runTrial(createReferenceDevice(), trialsOf([item])[0]!)).rejects.toThrow(
      "the reference must be free of NaN, got NaN at [0].",
    );
  });

  it("times a case with an injected clock", async () => {
    let clock = 0;
    const device = faulty(() => {
      clock += 2;
    });
    const result = await measure(
      device,
      named("matmul_forward"),
      { M: 10, K: 100, N: 50 },
      { now: () => clock, absent: ["bias", "addend"] },
    );
    expect(result).toMatchObject({ medianMs: 2, bestMs: 2, dispatchesPerSample: 10 });
    expect(result.gflops).toBeCloseTo((2 * 10 * 100 * 50) / 2e6, 12);
    expect(result.gigabytesPerSecond).toBeCloseTo((4 * (1000 + 5000 + 500)) / 2e6, 12);
    expect(device.counters.liveBytes).toBe(0);
  });
});

describe("measure", () => {
  it("runs every case at its largest size without consulting the reference for saved values", async () => {
    let clock = 0;
    const device = faulty(() => {
      clock += 1;
    }, false);
    for (const item of cases) {
      const result = await measure(device, item, item.sizes.at(-1)!, { now: () => clock, samples: 1, sampleMs: 1 });
      expect(Number.isFinite(result.gflops) && result.gigabytesPerSecond >= 0, item.entry.name).toBe(true);
    }
  });
});

describe("the gradient check", () => {
  it("fails for each gradient that is off by one percent", () => {
    for (const check of gradientChecks) {
      const pass = (change: string | undefined) => () =>
        checkGradient({
          ...check,
          backward: (context) => {
            const gradients = check.backward(context);
            return Object.fromEntries(Object.entries(gradients).map(([name, g]) => [name, name === change ? g?.map((x) => 1.01 * x) : g]));
          },
        });
      const inputs: string[] = [];
      checkGradient({
        ...check,
        backward: (context) => {
          const gradients = check.backward(context);
          // A gradient that is 0 everywhere (of `keep` to its mask) cannot be scaled.
          inputs.push(...Object.keys(gradients).filter((name) => gradients[name]?.some((x) => x !== 0)));
          return gradients;
        },
      });
      for (const name of inputs) expect(pass(name), `${check.name} d${name}`).toThrow(/elements differ/);
    }
  });
});

describe("REQUIRE_DEVICES", () => {
  it("names devices, whatever stands in parentheses", () => {
    const before = process.env.REQUIRE_DEVICES;
    try {
      process.env.REQUIRE_DEVICES = "reference, wasm";
      expect(["reference", "wasm (8 threads)", "wasm-relaxed", "webgpu"].map(isRequired)).toEqual([true, true, false, false]);
      delete process.env.REQUIRE_DEVICES;
      expect(isRequired("reference")).toBe(false);
    } finally {
      if (before !== undefined) process.env.REQUIRE_DEVICES = before;
    }
  });
});
