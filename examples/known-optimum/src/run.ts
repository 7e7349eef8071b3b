/** Runs an algorithm and keeps its curve. */
import type { Algorithm, Arena } from "./algorithm";

/** How often a curve is measured. */
const POINTS = 20;

export interface Result {
  readonly name: string;
  readonly page: string;
  readonly setting: string;
  readonly measures: string;
  readonly steps: number;
  readonly seconds: number;
  readonly reached: number;
  readonly optimum: number;
  /** What was reached, of the optimum. */
  readonly percent: number;
  readonly further: Readonly<Record<string, number>>;
  /** The measure after some of the steps, the first before any. */
  readonly curve: readonly (readonly [step: number, value: number])[];
}

/** Trains and measures, `points` times on the way. The time is that of training, without measuring. */
export async function runAlgorithm(algorithm: Algorithm, arena: Arena, points = POINTS): Promise<Result> {
  const { name, page, setting, measures, stepCount } = algorithm;
  const run = await algorithm.start(arena);
  try {
    const curve: [number, number][] = [[0, (await run.measure()).value]];
    const every = Math.ceil(stepCount / points);
    let [steps, milliseconds, started] = [0, 0, performance.now()];
    for await (const _ of run.steps) {
      steps++;
      if (steps % every !== 0) continue;
      milliseconds += performance.now() - started;
      curve.push([steps, (await run.measure()).value]);
      started = performance.now();
    }
    milliseconds += performance.now() - started;
    const { value: reached, optimum } = await run.measure();
    if (curve.at(-1)?.[0] !== steps) curve.push([steps, reached]);
    return {
      ...{ name, page, setting, measures, steps, seconds: milliseconds / 1000, reached, optimum },
      percent: (100 * reached) / optimum,
      further: (await run.further?.()) ?? {},
      curve,
    };
  } finally {
    run.dispose();
  }
}
