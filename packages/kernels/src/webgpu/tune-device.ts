/** Finds out by measurement how the products of matrices are best cut on one GPU, and which kernels it runs faster with subgroups. Nothing calls it by itself. */
import { type ExpectCloseOptions, expectClose, MismatchError } from "../../conformance/expect-close";
import { DeviceError, ShapeError } from "../errors";
import {
  KERNEL_CLASSES,
  type KernelClass,
  type KernelForm,
  type ProductChoice,
  type ProductClass,
  type ProductLayout,
  type TuningChoices,
  type TuningTable,
  tableOf,
} from "../tuning";
import type { WebGpuDevice } from "./device";
import { type Cut, cut, type ProductShape, productClass } from "./plans/cut";
import { KERNEL_CALLS, productCall, type TunedCall } from "./tune-calls";
import { Clock } from "./tune-clock";

export interface TuneOptions {
  /** A clock in milliseconds; it counts where the GPU has no timestamps. */
  readonly now: () => number;
  /** Samples of each cut and form, of which the best counts; they take turns, so that a slow spell hits all. Default 7. */
  readonly samples?: number | undefined;
  /** Calls are repeated until one sample takes about this long. Default 10 ms. */
  readonly sampleMs?: number | undefined;
  /** Measure a GPU that is emulated on the CPU too: only to see that it works. Default false. */
  readonly allowSoftware?: boolean | undefined;
  /** Default: all three. */
  readonly layouts?: readonly ProductLayout[] | undefined;
  /** What is measured in each layout. Default: the products of training and decoding a model of SmolLM2-135M's shape, and a square one. */
  readonly shapes?: readonly ProductShape[] | undefined;
  /** Kernels that are measured with subgroups too, where the GPU has them. Default: all classes. */
  readonly kernels?: readonly KernelClass[] | undefined;
  /** Told of each class as soon as it is decided. */
  readonly onClass?: ((tuned: TunedClass) => void) | undefined;
}

interface Timed {
  /** Of the best sample. */
  readonly ms: number;
  /** What runs where nothing was measured. */
  readonly isRule: boolean;
  /** What runs with the table: the rule's or another. */
  readonly isChosen: boolean;
  /** Its result differs from the rule's, in these words; it is not chosen. */
  readonly problem?: string;
}

/** One way to compute one product. */
export interface TimedCut extends Timed {
  readonly shape: ProductShape;
  readonly tile: Cut["tile"];
  readonly slices: number;
  readonly gflops: number;
}

/** One way to compute one call of a kernel. */
export interface TimedForm extends Timed {
  readonly call: string;
  /** Undefined: the one that needs no subgroups. */
  readonly form: KernelForm | undefined;
}

interface Decided {
  /** Time by the rule over time as chosen, over all that was measured; 1 by the rule. */
  readonly gain: number;
}

export interface TunedProducts extends Decided {
  readonly name: ProductClass;
  /** Undefined where nothing was better than the rule. */
  readonly choice: ProductChoice | undefined;
  readonly cuts: readonly TimedCut[];
}

export interface TunedKernels extends Decided {
  readonly name: KernelClass;
  /** Undefined where subgroups are not better. */
  readonly choice: KernelForm | undefined;
  readonly forms: readonly TimedForm[];
}

export type TunedClass = TunedProducts | TunedKernels;

export interface Tuning {
  /** Of this adapter alone: `joinTuning` adds it to what was kept. */
  readonly table: TuningTable;
  readonly classes: readonly TunedClass[];
  /** Whose clock it was. */
  readonly clock: "gpu" | "host";
}

const SHAPES: readonly ProductShape[] = [
  { rows: 4096, columns: 1536, depth: 576 },
  { rows: 2048, columns: 2048, depth: 2048 },
  { rows: 4096, columns: 16, depth: 576 },
  { rows: 32, columns: 1536, depth: 576 },
  { rows: 16, columns: 576, depth: 4096 },
  { rows: 576, columns: 576, depth: 4096 },
  { rows: 256, columns: 576, depth: 1536 },
];

const TILES_TRIED = [undefined, "large", "small"] as const;
const GROUPS_TRIED = [0, 256, 1024, 4096] as const;
const CANDIDATES: readonly ProductChoice[] = TILES_TRIED.flatMap((tile) =>
  GROUPS_TRIED.map((groups): ProductChoice => ({ ...(tile ? { tile } : {}), groups })),
);

/** A choice must make its class this much faster, as noise would not, and may cost nothing measured more than this. */
const LEAST_GAIN = 1.03;
const MOST_LOSS = 1.02;
/** Between two forms of a kernel: the conformance suite holds each to 2e-5 of the truth. */
const FORM_TOLERANCE = { rtol: 4e-5 };

/**
 * Measures the classes of products and kernels on `device`, made without a table or with any. A candidate whose result is not the rule's, to within the
 * tolerance of the conformance suite, is not chosen. Takes some seconds on a hardware GPU, and about 200 MB of it. Throws DeviceError on an emulated GPU,
 * ShapeError for shapes of no class.
 */
export async function tuneDevice(device: WebGpuDevice, options: TuneOptions): Promise<Tuning> {
  const { layouts = ["forward", "input", "weight"], shapes = SHAPES, kernels = KERNEL_CLASSES, onClass } = options;
  if (device.info.software && !options.allowSoftware) {
    throw new DeviceError(
      `tuneDevice: the GPU must be hardware, got ${device.info.name}, whose speed says nothing of any GPU. Allow software to try the measurement itself.`,
    );
  }
  const clock = new Clock(device, options.now);
  const choices: { -readonly [name in keyof TuningChoices]: TuningChoices[name] } = {};
  const classes: TunedClass[] = [];
  const tell = (tuned: TunedClass) => {
    if (tuned.choice) Object.assign(choices, { [tuned.name]: tuned.choice });
    classes.push(tuned);
    onClass?.(tuned);
  };
  for (const layout of layouts) {
    for (const [name, members] of byClass(layout, shapes)) tell(await tuneProducts(device, clock, { layout, name, members }, options));
  }
  for (const name of kernels) {
    // Attention of an emulated GPU has one form.
    if (device.tuner.hasSubgroups && (name === "reductions" || !device.info.software))
      tell(await tuneKernels(device, clock, name, options));
  }
  return { table: tableOf(device.tuner.key, choices), classes, clock: clock.kind };
}

function byClass(layout: ProductLayout, shapes: readonly ProductShape[]): Map<ProductClass, ProductShape[]> {
  const found = new Map<ProductClass, ProductShape[]>();
  for (const shape of shapes) {
    const name = productClass(layout, shape);
    if (!name) {
      const { rows, columns, depth } = shape;
      throw new ShapeError(
        `tuneDevice: a shape must be large, narrow or deep, got (${rows}, ${depth}) · (${depth}, ${columns}). Take a larger one.`,
      );
    }
    found.set(name, [...(found.get(name) ?? []), shape]);
  }
  return found;
}

interface AskedProducts {
  readonly layout: ProductLayout;
  readonly name: ProductClass;
  readonly members: readonly ProductShape[];
}

async function tuneProducts(device: WebGpuDevice, clock: Clock, asked: AskedProducts, options: TuneOptions): Promise<TunedProducts> {
  const { layout, name, members } = asked;
  const measured = [];
  for (const shape of members) {
    const key = ({ tile, slice }: Cut) => `${tile} ${slice}`;
    const cutOf = (choice?: ProductChoice) => cut(shape, device.tuner.scratchBytes, choice);
    // Several candidates come to the same cut, which is measured once. The rule's own is the first.
    const distinct = new Map<string, ProductChoice | undefined>([[key(cutOf()), undefined]]);
    for (const candidate of CANDIDATES) if (!distinct.has(key(cutOf(candidate)))) distinct.set(key(cutOf(candidate)), candidate);
    const tried = [...distinct.values()];
    const forms = tried.map((choice): TuningChoices => (choice ? { [name]: choice } : {}));
    const times = await timed(clock, productCall(device, layout, shape), forms, options);
    const cuts = tried.map((choice, i) => {
      const { tile, slices } = cutOf(choice);
      const { ms } = times[i] as Time;
      const gflops = (2 * shape.rows * shape.columns * shape.depth) / ms / 1e6;
      return { shape, tile, slices, gflops, isRule: i === 0, ...(times[i] as Time) };
    });
    const keys = [...distinct.keys()];
    measured.push({ tried: cuts, at: (choice: ProductChoice) => cuts[keys.indexOf(key(cutOf(choice)))] as (typeof cuts)[number] });
  }
  const { choice, gain, all } = decide(CANDIDATES, measured);
  return { name, choice, gain, cuts: all };
}

async function tuneKernels(device: WebGpuDevice, clock: Clock, name: KernelClass, options: TuneOptions): Promise<TunedKernels> {
  const measured = [];
  for (const [call, make] of Object.entries(KERNEL_CALLS[name])) {
    const [plain, other] = await timed(clock, make(device), [{}, { [name]: "subgroups" }], options, FORM_TOLERANCE);
    const rule = { call, form: undefined, isRule: true, ...(plain as Time) };
    const subgroups = { call, form: "subgroups", isRule: false, ...(other as Time) } as const;
    measured.push({ tried: [rule, subgroups], at: () => subgroups });
  }
  const { choice, gain, all } = decide<KernelForm, Omit<TimedForm, "isChosen">>(["subgroups"], measured);
  return { name, choice, gain, forms: all };
}

/** What was measured of one call, the rule's first, and what a candidate comes to there. */
interface Measured<Candidate, Way> {
  readonly tried: readonly Way[];
  at(candidate: Candidate): Way;
}

/** The fastest candidate that is the rule's equal or better everywhere. */
function decide<Candidate, Way extends Omit<Timed, "isChosen">>(
  candidates: readonly Candidate[],
  measured: readonly Measured<Candidate, Way>[],
): { choice: Candidate | undefined; gain: number; all: (Way & { isChosen: boolean })[] } {
  let [choice, least]: [Candidate | undefined, number] = [undefined, 1 / LEAST_GAIN];
  for (const candidate of candidates) {
    const times = measured.map(({ tried, at }) => {
      const { ms, problem } = at(candidate);
      return problem === undefined ? ms / (tried[0] as Way).ms : Number.POSITIVE_INFINITY;
    });
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    if (mean < least && times.every((time) => time <= MOST_LOSS)) [choice, least] = [candidate, mean];
  }
  const all = measured.flatMap(({ tried, at }) => {
    const chosen = choice === undefined ? tried[0] : at(choice);
    return tried.map((way) => ({ ...way, isChosen: way === chosen }));
  });
  return { choice, gain: choice === undefined ? 1 : 1 / least, all };
}

type Time = Pick<Timed, "ms" | "problem">;

/** Times one call with each of `forms`, of which the first is what the others' results are compared with; frees it. */
async function timed(
  clock: Clock,
  call: TunedCall,
  forms: readonly TuningChoices[],
  { samples = 7, sampleMs = 10 }: TuneOptions,
  tolerance: ExpectCloseOptions = {},
): Promise<Time[]> {
  try {
    let expected: Float32Array | undefined;
    const tried = [];
    for (const choices of forms) {
      const result = await call.result(choices);
      expected ??= result;
      const problem = problemWith(result, expected, { ...tolerance, label: "the result", rowLength: call.rowLength });
      tried.push({ choices, problem, ms: Number.POSITIVE_INFINITY });
    }
    const repeats = await clock.repeatsFor(call, sampleMs);
    for (let i = 0; i < samples; i++) {
      for (const one of tried) one.ms = Math.min(one.ms, await clock.time(call, one.choices, repeats));
    }
    return tried.map(({ ms, problem }) => ({ ms, ...(problem === undefined ? {} : { problem }) }));
  } finally {
    call.free();
  }
}

function problemWith(result: Float32Array, expected: Float32Array, options: ExpectCloseOptions): string | undefined {
  try {
    expectClose(result, expected, options);
    return undefined;
  } catch (error) {
    if (error instanceof MismatchError) return error.message;
    throw error;
  }
}
