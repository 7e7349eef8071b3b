/** How cost grows with model size, sequence length, batch and threads: the time of a training step along each, with its exponent. */
import type { Chart, Device } from "@trimtab/core";
import { createDevice } from "@trimtab/node";
import type { Section, Target } from "./measure/section";
import { type LlamaShape, llamaConfig } from "./measure/shapes";
import { race } from "./measure/timing";
import { makeTrainingStep } from "./measure/training-step";

const base: LlamaShape = { name: "base", layers: 4, C: 128, heads: 4, kvHeads: 2, F: 344, V: 512, B: 8, T: 128 };

/** Channels and layers that make about so many times the parameters. */
const sized = (C: number, layers: number): LlamaShape => ({
  ...base,
  C,
  layers,
  heads: C / 32,
  kvHeads: C / 64,
  F: Math.round((C * 8) / 3 / 8) * 8,
});

interface Point {
  /** What grows, and what it is called on an axis. */
  readonly x: number;
  readonly ms: number;
  /** 6 N t and attention's 12 pairs H D L: what a step must compute. */
  readonly flops: number;
}

interface Series {
  readonly name: string;
  readonly xLabel: string;
  readonly points: readonly Point[];
}

export interface Scaling {
  readonly section: Section;
  readonly charts: readonly Chart[];
}

/** Along two decades where the machine allows it. */
export async function benchmarkScaling(
  device: Device,
  options: { readonly quick: boolean; readonly threads: number; readonly relaxed: boolean },
): Promise<Scaling> {
  const { quick } = options;
  const some = <T>(all: readonly T[]): readonly T[] => (quick ? all.slice(0, 3) : all);
  const sizes = some([sized(64, 2), sized(128, 2), sized(128, 8), sized(256, 6), sized(512, 6)]);
  const series: Series[] = [
    { name: "parameters", xLabel: "parameters", points: await along(device, sizes, ({ parameters }) => parameters) },
    {
      name: "batch",
      xLabel: "rows of 128 tokens",
      points: await along(
        device,
        some([1, 4, 16, 64, 128]).map((B) => ({ ...base, B })),
        ({ shape }) => shape.B,
      ),
    },
    {
      name: "length",
      xLabel: "tokens a row",
      points: await along(
        device,
        some([32, 128, 512, 2048]).map((T) => ({ ...base, B: 2, T })),
        ({ shape }) => shape.T,
      ),
    },
  ];
  if (device.info.kind === "wasm") series.push(await alongThreads(options));
  return {
    section: {
      title: `How a training step's cost grows, on ${device.info.name}`,
      columns: [
        "along",
        "from",
        "to",
        "ms at first",
        "ms at last",
        "time grows by",
        "arithmetic grows by",
        "exponent",
        "tokens x parameters at GFLOP/s",
      ],
      rows: series.map(({ name, points }) => {
        const [first, last] = [points[0] as Point, points.at(-1) as Point];
        const [time, work] = [last.ms / first.ms, last.flops / first.flops];
        return [name, first.x, last.x, first.ms, last.ms, time, work, exponentOf(points), last.flops / last.ms / 1e6];
      }),
      notes: ["exponent: of time in arithmetic, by least squares of the logarithms; arithmetic counts attention's pairs"],
      targets: series.filter(({ name }) => name !== "threads").map(growthTarget),
    },
    charts: series.map(({ name, xLabel, points }) => ({
      title: `Cost against ${name}`,
      description: "Milliseconds a training step; the second line grows as the arithmetic does.",
      xLabel,
      yLabel: "ms",
      smooth: false,
      logarithmic: true,
      series: [
        { name: "measured", points: points.map(({ x, ms }) => [x, ms] as const) },
        {
          name: "as its arithmetic",
          points: points.map(({ x, flops }) => [x, ((points[0] as Point).ms * flops) / (points[0] as Point).flops] as const),
        },
      ],
    })),
  };
}

async function along(
  device: Device,
  shapes: readonly LlamaShape[],
  xOf: (made: { readonly shape: LlamaShape; readonly parameters: number }) => number,
): Promise<Point[]> {
  const points: Point[] = [];
  for (const shape of shapes) {
    const { run, parameters, tokens, dispose } = makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T);
    const [timing] = await race([{ name: "", run }], { minRounds: 3, maxRounds: 20, budgetMs: 2500 });
    dispose();
    const pairs = (shape.B * shape.T * (shape.T + 1)) / 2;
    points.push({
      x: xOf({ shape, parameters }),
      ms: timing?.bestMs as number,
      flops: 6 * parameters * tokens + 12 * pairs * shape.C * shape.layers,
    });
  }
  return points;
}

/** Threads take arithmetic apart and add none: its curve falls as 1 over their number. */
async function alongThreads({
  threads,
  relaxed,
  quick,
}: {
  readonly threads: number;
  readonly relaxed: boolean;
  readonly quick: boolean;
}): Promise<Series> {
  const points: Point[] = [];
  const shape = quick ? base : sized(256, 6);
  for (let count = 1; count <= threads; count *= 2) {
    const device = await createDevice("wasm", { threads: count, relaxed });
    const [point] = await along(device, [shape], () => count);
    await device.destroy();
    points.push({ ...(point as Point), flops: (point as Point).flops / count });
  }
  return { name: "threads", xLabel: "threads", points };
}

/** Time is to grow as arithmetic does: how far the exponent is from 1. */
function growthTarget({ name, points }: Series): Target {
  const what = `growth of a training step's time with its arithmetic along ${name}: exponent's distance from 1`;
  return { what, target: 10, measured: 100 * Math.abs(exponentOf(points) - 1), unit: " %", isMost: true };
}

/** The slope of log ms over log flops. */
function exponentOf(points: readonly Point[]): number {
  const logs = points.map(({ flops, ms }) => [Math.log(flops), Math.log(ms)] as const);
  const mean = (k: 0 | 1) => logs.reduce((sum, log) => sum + log[k], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  return logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}
