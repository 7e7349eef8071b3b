/** Profiles: time by phase with a clock that the test turns, the same computation with and without, and the passes of a real GPU queue. */
import { type Device, newCounters, ops } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, it } from "vitest";
import { formatProfile, profileFlame, profileTable } from "../src/profile/profile-report";
import { profiled } from "../src/profile/profiled-device";
import { Profiler } from "../src/profile/profiler";
import { renderFlame } from "../src/report/flame";
import { allocate, upload } from "../src/tensor/tensor";
import { grpo } from "../src/trainers/grpo";
import { describeDevices } from "./devices";
import { allOf, tinyModel, weightsOf } from "./trainer-model";

/** A clock that only the test moves. */
function handTurned() {
  let at = 1000;
  const pass = (ms: number) => {
    at += ms;
  };
  return { now: () => at, pass };
}

const named = (profile: ReturnType<Profiler["take"]>) => Object.fromEntries(profile.phases.map(({ name, ms }) => [name, ms]));
const NOTHING = { flops: 0, bytes: 0 };

describe("Profiler", () => {
  it("gives every moment to the innermost phase, across awaits and errors", async () => {
    const { now, pass } = handTurned();
    const profiler = new Profiler({ now }, false);
    pass(3);
    profiler.within("forward", () => {
      pass(5);
      profiler.within("backward", () => pass(7));
      pass(11);
    });
    await profiler.within("rollout", async () => {
      await Promise.resolve();
      pass(13);
    });
    expect(() =>
      profiler.within("forward", () => {
        pass(17);
        throw new Error("in vain");
      }),
    ).toThrow("in vain");
    pass(19);
    const profile = profiler.take();
    expect(profile.ms).toBe(3 + 5 + 7 + 11 + 13 + 17 + 19);
    expect(named(profile)).toEqual({ other: 22, forward: 33, backward: 7, rollout: 13 });
    expect(profile.phases[0]?.name).toBe("forward");
    profiler.reset();
    pass(2);
    expect(profiler.take()).toEqual({ ms: 2, phases: [{ name: "other", ms: 2, ops: [] }] });
  });

  it("adds up calls, work and what the machine could at best", () => {
    const { now, pass } = handTurned();
    const profiler = new Profiler({ now, bound: ({ flops }) => flops / 10 }, false);
    profiler.within("forward", () => {
      profiler.time("matmul_forward", { flops: 20, bytes: 4 }, () => pass(3));
      profiler.time("matmul_forward", { flops: 40, bytes: 8 }, () => pass(5));
      profiler.time("copy", NOTHING, () => pass(9));
      pass(1);
    });
    expect(profiler.take().phases).toEqual([
      {
        name: "forward",
        ms: 18,
        ops: [
          { name: "copy", calls: 1, ms: 9, cost: NOTHING, boundMs: 0 },
          { name: "matmul_forward", calls: 2, ms: 8, cost: { flops: 60, bytes: 12 }, boundMs: 6 },
        ],
      },
    ]);
  });

  it("takes a queue's own times where the device runs behind the host's back", () => {
    const { now, pass } = handTurned();
    const profiler = new Profiler({ now }, true);
    profiler.within("forward", () => {
      const add = profiler.count("matmul_forward", NOTHING);
      pass(1);
      add(20);
      add(10);
    });
    profiler.within("reward", () => pass(4));
    pass(45);
    expect(named(profiler.take())).toEqual({ forward: 30, reward: 4, "host and waiting": 16 });
  });
});

describe("a profile shown", () => {
  const { now, pass } = handTurned();
  const profiler = new Profiler({ now, bound: () => 3 }, false);
  profiler.within("forward", () => {
    profiler.time("<matmul>", { flops: 12e6, bytes: 6e6 }, () => pass(6));
    pass(2);
  });
  profiler.within("reward", () => pass(4));
  const profile = profiler.take();

  it("is a table with rates, shares of the whole and of the ceiling", () => {
    expect(profileTable(profile, 2).rows).toEqual([
      ["forward", "4", "66.7", "", "", "", ""],
      ["  <matmul>", "3", "50.0", "0.5", "2", "1", "50"],
      ["  host", "1", "16.7", "", "", "", ""],
      ["reward", "2", "33.3", "", "", "", ""],
    ]);
    expect(formatProfile(profile, 2).split("\n")[2]).toBe("forward        4  66.7");
  });

  it("is a picture whose bars are as wide as they took long", () => {
    const svg = renderFlame(profileFlame(profile, 2));
    const bars = [...svg.matchAll(/<title>(.*?)<\/title><rect class="frame s\d" x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g)];
    expect(bars.map(([, title, x, y, width]) => [title, Number(x), Number(y), Number(width)])).toEqual([
      ["step: 6 ms, 100.0 %", 0, 0, 999],
      ["forward: 4 ms, 66.7 %", 0, 24, 665.7],
      ["&lt;matmul&gt;: 3 ms, 50.0 %", 0, 48, 499],
      ["reward: 2 ms, 33.3 %", 666.7, 24, 332.3],
    ]);
  });
});

describe("a profiled device", () => {
  it("computes the same bits, and counts every dispatch of a GRPO step in its phase", async () => {
    const run = async (device: Device) => {
      const model = tinyModel(device);
      await allOf(
        grpo({
          model,
          prompts: [{ prompt: "ab" }, { prompt: "ba" }],
          rewards: [({ completions }) => completions.map((completion) => String(completion).length % 3)],
          numGenerations: 2,
          perDeviceTrainBatchSize: 4,
          maxCompletionLength: 3,
          maxSteps: 2,
          learningRate: 1e-2,
          beta: 0.1,
        }),
      );
      return weightsOf(model);
    };
    const plain = createReferenceDevice();
    const [device, { now, pass }] = [createReferenceDevice(), handTurned()];
    const timed = profiled(device, {
      now: () => {
        pass(1);
        return now();
      },
    });
    expect(await run(timed)).toEqual(await run(plain));
    expect(device.counters).toEqual(plain.counters);
    const { ms, phases } = timed.profiler.take();
    expect(phases.map(({ name }) => name).sort()).toEqual(["backward", "forward", "optimiser", "other", "reward", "rollout"]);
    expect(phases.reduce((sum, phase) => sum + phase.ms, 0)).toBeCloseTo(ms, 9);
    const of = (phase: string) => phases.find(({ name }) => name === phase)?.ops.map(({ name }) => name) ?? [];
    expect(of("rollout")).toContain("kv_cache_extend");
    expect(of("reward")).toEqual([]);
    expect(of("forward")).toContain("attention_forward");
    expect(of("backward")).toContain("attention_backward");
    expect(of("backward")).not.toContain("attention_forward");
    expect(of("optimiser")).toContain("adamw_step");
    const dispatches = phases.flatMap((phase) => phase.ops.filter(({ name }) => name.includes("_") || name === "adamw_clip"));
    expect(dispatches.reduce((sum, { calls }) => sum + calls, 0)).toBe(device.counters.dispatches);
  });

  it("needs timestamps of a GPU", () => {
    const info = { ...createReferenceDevice().info, kind: "webgpu", name: "webgpu (old)" } as const;
    const device = { ...createReferenceDevice(), info, counters: newCounters() } as unknown as Device;
    expect(() => profiled(device, { now: () => 0 })).toThrow("webgpu (old) must have timestamp queries, got none.");
  });
});

describeDevices(
  "passes timed by the GPU",
  (device) => {
    it("are told apart by op, add up over batches, and change no result", async () => {
      const timed = profiled(device, { now: () => performance.now() });
      const x = upload(
        timed,
        Float32Array.from({ length: 128 * 128 }, (_, i) => (i % 13) - 6),
        [128, 128],
      );
      const y = allocate(timed, [128, 128]);
      const z = allocate(timed, [128, 128]);
      // more than one batch of 256
      const CALLS = 300;
      for (let i = 0; i < CALLS; i++) timed.dispatch(ops.matmul.backwardInput, { tensors: { dy: x, w: x, dx: y } });
      timed.dispatch(ops.matmul.forward, { tensors: { x, w: x, y: z } });
      timed.copy(y, z);
      const values = await timed.read(z);
      device.dispatch(ops.matmul.backwardInput, { tensors: { dy: x, w: x, dx: z } });
      expect(await device.read(z)).toEqual(values);
      const { ms, phases } = timed.profiler.take();
      const all = phases.flatMap((phase) => phase.ops);
      expect(all.map(({ name, calls }) => [name, calls])).toEqual([
        ["matmul_backward_input", CALLS],
        ["matmul_forward", 1],
      ]);
      for (const op of all) expect(op.ms).toBeGreaterThan(0);
      expect(all.reduce((sum, op) => sum + op.ms, 0)).toBeLessThan(ms);
      for (const { buffer } of [x, y, z]) device.free(buffer);
    });
  },
  ["webgpu"],
);
