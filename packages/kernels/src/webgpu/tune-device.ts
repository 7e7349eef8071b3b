/** Finds out by measurement how the products of matrices are best cut on one GPU. Nothing calls it by itself. */
import { expectClose, MismatchError } from "../../conformance/expect-close";
import type { EntryPoint } from "../contract";
import type { DispatchArgs, TensorRef } from "../device";
import { DeviceError, ShapeError } from "../errors";
import { ops } from "../ops/index";
import { type ProductChoice, type ProductChoices, type ProductClass, type ProductLayout, type TuningTable, tableOf } from "../tuning";
import type { WebGpuDevice } from "./device";
import { type Cut, cut, type ProductShape, productClass } from "./plans/cut";

export interface TuneOptions {
  /** A clock in milliseconds; it counts where the GPU has no timestamps. */
  readonly now: () => number;
  /** Samples of each cut, of which the best counts; they take turns, so that a slow spell hits all. Default 7. */
  readonly samples?: number | undefined;
  /** Products are repeated until one sample takes about this long. Default 10 ms. */
  readonly sampleMs?: number | undefined;
  /** Measure a GPU that is emulated on the CPU too: only to see that it works. Default false. */
  readonly allowSoftware?: boolean | undefined;
  /** Default: all three. */
  readonly layouts?: readonly ProductLayout[] | undefined;
  /** What is measured in each layout. Default: the products of training and decoding a model of SmolLM2-135M's shape, and a square one. */
  readonly shapes?: readonly ProductShape[] | undefined;
  /** Told of each class as soon as it is decided. */
  readonly onClass?: ((tuned: TunedClass) => void) | undefined;
}

/** One way to compute one product. */
export interface TimedCut {
  readonly shape: ProductShape;
  readonly tile: Cut["tile"];
  readonly slices: number;
  /** Of the best sample. */
  readonly ms: number;
  readonly gflops: number;
  /** What runs where nothing was measured. */
  readonly isRule: boolean;
  /** What runs with the table: the rule's cut or another. */
  readonly isChosen: boolean;
  /** Its result differs from the rule's, in these words; it is not chosen. */
  readonly problem?: string;
}

export interface TunedClass {
  readonly name: ProductClass;
  /** Undefined where nothing was better than the rule. */
  readonly choice: ProductChoice | undefined;
  /** Time by the rule over time as chosen, over all shapes; 1 by the rule. */
  readonly gain: number;
  readonly cuts: readonly TimedCut[];
}

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

/** A choice must make its class this much faster, as noise would not, and may cost no shape more than this. */
const LEAST_GAIN = 1.03;
const MOST_LOSS = 1.02;
const MAX_REPEATS = 512;

/**
 * Measures the classes of products on `device`, made without a table or with any. A candidate whose result is not the rule's, to within the tolerance of
 * the conformance suite, is not chosen. Takes some seconds on a hardware GPU, and about 100 MB of it. Throws DeviceError on an emulated GPU, ShapeError
 * for shapes of no class.
 */
export async function tuneDevice(device: WebGpuDevice, options: TuneOptions): Promise<Tuning> {
  const { layouts = ["forward", "input", "weight"], shapes = SHAPES, onClass } = options;
  if (device.info.software && !options.allowSoftware) {
    throw new DeviceError(
      `tuneDevice: the GPU must be hardware, got ${device.info.name}, whose speed says nothing of any GPU. Allow software to try the measurement itself.`,
    );
  }
  const clock = new Clock(device, options.now);
  const choices: { [name in ProductClass]?: ProductChoice } = {};
  const classes: TunedClass[] = [];
  for (const layout of layouts) {
    for (const [name, members] of byClass(layout, shapes)) {
      const measured: MeasuredShape[] = [];
      for (const shape of members) measured.push(await measureShape(device, clock, { layout, name, shape }, options));
      const tuned = decide(name, measured);
      if (tuned.choice) choices[name] = tuned.choice;
      classes.push(tuned);
      onClass?.(tuned);
    }
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

type MeasuredCut = Omit<TimedCut, "isChosen">;

/** The candidates at one shape; several come to the same cut, which is measured once. */
interface MeasuredShape {
  readonly rule: MeasuredCut;
  readonly cuts: readonly MeasuredCut[];
  readonly byCandidate: ReadonlyMap<ProductChoice, MeasuredCut>;
}

/** The fastest candidate that is the rule's equal or better at every shape. */
function decide(name: ProductClass, shapes: readonly MeasuredShape[]): TunedClass {
  let [choice, least]: [ProductChoice | undefined, number] = [undefined, 1 / LEAST_GAIN];
  for (const candidate of CANDIDATES) {
    const times = shapes.map(({ rule, byCandidate }) => {
      const { ms, problem } = byCandidate.get(candidate) as MeasuredCut;
      return problem === undefined ? ms / rule.ms : Number.POSITIVE_INFINITY;
    });
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    if (mean < least && times.every((time) => time <= MOST_LOSS)) [choice, least] = [candidate, mean];
  }
  const cuts = shapes.flatMap(({ rule, cuts: all, byCandidate }) => {
    const chosen = choice ? byCandidate.get(choice) : rule;
    return all.map((one): TimedCut => ({ ...one, isChosen: one === chosen }));
  });
  return { name, choice, gain: choice ? 1 / least : 1, cuts };
}

interface Asked {
  readonly layout: ProductLayout;
  readonly name: ProductClass;
  readonly shape: ProductShape;
}

async function measureShape(device: WebGpuDevice, clock: Clock, asked: Asked, options: TuneOptions): Promise<MeasuredShape> {
  const { samples = 7, sampleMs = 10 } = options;
  const { name, shape } = asked;
  const key = ({ tile, slice }: Cut) => `${tile} ${slice}`;
  const cutOf = (choice?: ProductChoice) => cut(shape, device.tuner.scratchBytes, choice);
  // The rule's own is the first, and what the others are compared with.
  const distinct = new Map<string, ProductChoice | undefined>([[key(cutOf()), undefined]]);
  for (const candidate of CANDIDATES) if (!distinct.has(key(cutOf(candidate)))) distinct.set(key(cutOf(candidate)), candidate);
  const product = new Product(device, asked);
  try {
    let expected: Float32Array | undefined;
    const tried = [];
    for (const choice of distinct.values()) {
      const choices: ProductChoices = choice ? { [name]: choice } : {};
      const result = await product.result(choices);
      expected ??= result;
      tried.push({ choice, choices, problem: problemWith(result, expected, shape.columns), ms: Number.POSITIVE_INFINITY });
    }
    const repeats = await clock.repeatsFor(product, sampleMs);
    for (let i = 0; i < samples; i++) {
      for (const one of tried) one.ms = Math.min(one.ms, await clock.time(product, one.choices, repeats));
    }
    const cuts = tried.map(({ choice, problem, ms }, i): MeasuredCut => {
      const { tile, slices } = cutOf(choice);
      const gflops = (2 * shape.rows * shape.columns * shape.depth) / ms / 1e6;
      return { shape, tile, slices, ms, gflops, isRule: i === 0, ...(problem === undefined ? {} : { problem }) };
    });
    const at = new Map([...distinct.keys()].map((text, i) => [text, cuts[i] as MeasuredCut]));
    const byCandidate = new Map(CANDIDATES.map((candidate) => [candidate, at.get(key(cutOf(candidate))) as MeasuredCut]));
    return { rule: cuts[0] as MeasuredCut, cuts, byCandidate };
  } finally {
    product.free();
  }
}

function problemWith(result: Float32Array, expected: Float32Array, rowLength: number): string | undefined {
  try {
    expectClose(result, expected, { label: "the result", rowLength });
    return undefined;
  } catch (error) {
    if (error instanceof MismatchError) return error.message;
    throw error;
  }
}

/** One product with its operands on the device. */
class Product {
  readonly entry: EntryPoint;
  readonly args: DispatchArgs;
  readonly #device: WebGpuDevice;
  readonly #out: TensorRef;

  constructor(device: WebGpuDevice, { layout, shape: { rows, columns, depth } }: Asked) {
    this.#device = device;
    const tensor = (...shape: [number, number]): TensorRef => {
      const made = { buffer: device.alloc(4 * shape[0] * shape[1]), byteOffset: 0, shape, dtype: "f32" as const };
      device.write(made, operand(shape[0] * shape[1]));
      return made;
    };
    this.#out = tensor(rows, columns);
    if (layout === "forward") {
      this.entry = ops.matmul.forward;
      this.args = { tensors: { x: tensor(rows, depth), w: tensor(columns, depth), y: this.#out } };
    } else if (layout === "input") {
      this.entry = ops.matmul.backwardInput;
      this.args = { tensors: { dy: tensor(rows, depth), w: tensor(depth, columns), dx: this.#out } };
    } else {
      this.entry = ops.matmul.backwardWeight;
      this.args = { tensors: { dy: tensor(depth, rows), x: tensor(depth, columns), dw: this.#out } };
    }
  }

  async result(choices: ProductChoices): Promise<Float32Array> {
    this.#device.write(this.#out, new Float32Array(this.#out.shape[0]! * this.#out.shape[1]!));
    this.#device.tuner.withChoices(choices, () => this.#device.dispatch(this.entry, this.args));
    return (await this.#device.read(this.#out)) as Float32Array;
  }

  free(): void {
    for (const tensor of Object.values(this.args.tensors)) if (tensor) this.#device.free(tensor.buffer);
  }
}

/** Numbers in [-1, 1) without a pattern that a product would show. */
function operand(count: number): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(count);
  let state = 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    numbers[i] = state / 2 ** 31;
  }
  return numbers;
}

/** The GPU's own clock, or the host's where that has none or stands still. */
class Clock {
  kind: "gpu" | "host";
  readonly #device: WebGpuDevice;
  readonly #now: () => number;

  constructor(device: WebGpuDevice, now: () => number) {
    this.#device = device;
    this.#now = now;
    this.kind = device.dispatchTimed ? "gpu" : "host";
  }

  /** Milliseconds of one product, repeated. */
  async time({ entry, args }: Product, choices: ProductChoices, repeats: number): Promise<number> {
    const device = this.#device;
    const begin = this.#now();
    let gpuMs = 0;
    device.tuner.withChoices(choices, () => {
      for (let i = 0; i < repeats; i++) {
        if (this.kind === "gpu") device.dispatchTimed?.(entry, args, (ms) => (gpuMs += ms));
        else device.dispatch(entry, args);
      }
    });
    await device.sync();
    return (this.kind === "gpu" ? gpuMs : this.#now() - begin) / repeats;
  }

  /** How often a product must be repeated for a sample of `sampleMs`; this also lets the GPU come to its speed. */
  async repeatsFor(product: Product, sampleMs: number): Promise<number> {
    let repeats = 1;
    for (;;) {
      const sample = repeats * (await this.time(product, {}, repeats));
      if (sample >= sampleMs || repeats >= MAX_REPEATS) {
        if (sample > 0 || this.kind === "host") return repeats;
        this.kind = "host";
        repeats = 1;
      } else {
        const factor = Math.min(8, Math.max(2, sampleMs / Math.max(sample, 1e-6)));
        repeats = Math.min(MAX_REPEATS, Math.ceil(repeats * factor));
      }
    }
  }
}
