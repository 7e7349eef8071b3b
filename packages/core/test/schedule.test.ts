/** Learning-rate schedules against transformers' own factors (fixtures/rl/schedules.json). */
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/rl/schedules.json";
import { lrSchedule, ScheduleError, type ScheduleName, type ScheduleOptions } from "../src/optim/schedule";

const run = { warmupSteps: 5, totalSteps: 25 };
const cases: Record<string, [ScheduleName, ScheduleOptions]> = {
  constant_with_warmup: ["constant_with_warmup", run],
  linear: ["linear", run],
  cosine: ["cosine", run],
  "cosine_min_lr_rate0.1": ["cosine_with_min_lr", { ...run, minRate: 0.1 }],
  inverse_sqrt: ["inverse_sqrt", run],
  polynomial_p2: ["polynomial", { ...run, power: 2 }],
  wsd: ["warmup_stable_decay", { ...run, decaySteps: 6, minRate: 0.1 }],
};

describe("lrSchedule", () => {
  for (const { name, expect: expected } of golden.cases) {
    if (!("factor" in expected)) continue;
    test(`${name} gives transformers' factors`, () => {
      const [schedule, options] = cases[name]!;
      const factor = lrSchedule(schedule, options);
      (expected.factor as number[]).forEach((value, step) => {
        expect(factor(step)).toBeCloseTo(value, 12);
      });
    });
  }

  test("constant has no warm-up; restarts end at 0", () => {
    expect(lrSchedule("constant", { warmupSteps: 5 })(0)).toBe(1);
    const restarts = lrSchedule("cosine_with_restarts", { totalSteps: 10, numCycles: 2 });
    expect([restarts(0), restarts(5), restarts(10)]).toEqual([1, 1, 0]);
  });

  test("every wrong option is named at once", () => {
    expect(() => lrSchedule("warmup_stable_decay", { warmupSteps: -1 })).toThrow(/warmupSteps.*totalSteps.*decaySteps/);
    expect(() => lrSchedule("sine" as ScheduleName)).toThrow(ScheduleError);
  });
});
