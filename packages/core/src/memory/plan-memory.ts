/**
 * What training will take, before anything is loaded: the trainer itself runs on a device that allocates, checks and counts as the real one and holds
 * nothing. Nothing is estimated, so that a plan cannot drift from what it plans.
 */
import { type Device, type DeviceInfo, type DeviceMemory, MEMORY_KINDS, type MemoryKind, OutOfMemoryError } from "@trimtab/kernels";
import { Decoder } from "../models/decoder";
import { rehearsalOf } from "./rehearsal";

/** What to plan for. */
export interface MemoryRequest<Options extends object> {
  /** The device to train on: `device.info`. */
  readonly device: DeviceInfo;
  /** `createDryDevice` of @trimtab/kernels/dry. */
  readonly createDryDevice: (info: DeviceInfo) => Promise<Device>;
  /** The trainer. */
  readonly train: (options: Options) => AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>;
  /**
   * The trainer's options, with models on the device that is given: load them there as always, which reads config.json and the headers of the weights
   * alone. Called once or several times.
   */
  readonly options: (device: Device) => Options | Promise<Options>;
  /** What may be used, in bytes. Default: all that the device has, where that is known. */
  readonly memoryBudget?: number | undefined;
}

/** One line of a plan. */
export interface MemoryPart {
  readonly kind: MemoryKind;
  /** In words, e.g. "weights of reference". */
  readonly what: string;
  readonly bytes: number;
}

export interface MemoryPlan {
  /** How memory is used when most of it is. The sum is `peakBytes`. */
  readonly parts: readonly MemoryPart[];
  readonly peakBytes: number;
  /** Undefined where nobody knows how much there is. */
  readonly budgetBytes: number | undefined;
  /** False where the run would end with OutOfMemoryError; the plan is then that on a device with more memory. */
  readonly fits: boolean;
}

/** What the lines of a plan are called. */
const NAMES: Readonly<Record<MemoryKind, string>> = {
  weights: "copies of weights",
  gradients: "gradients",
  optimizer: "optimiser state",
  activations: "activations",
  logits: "logits of sampling",
  cache: "key/value cache",
  scratch: "scratch of single ops",
  other: "inputs, rounding, fragments",
};

/** Plans the memory of a run as its options have it. Throws what the trainer throws for bad options and rows. */
export async function planMemory<Options extends object>(request: MemoryRequest<Options>): Promise<MemoryPlan> {
  const found = await planWithin(request);
  return found ?? { ...(await rehearse(request, undefined)), budgetBytes: budgetOf(request), fits: false };
}

/** The plan of a run that fits its budget; undefined where it does not. */
export async function planWithin<Options extends object>(request: MemoryRequest<Options>): Promise<MemoryPlan | undefined> {
  const budgetBytes = budgetOf(request);
  try {
    return { ...(await rehearse(request, budgetBytes)), budgetBytes, fits: true };
  } catch (error) {
    if (error instanceof OutOfMemoryError && budgetBytes !== undefined) return undefined;
    throw error;
  }
}

function budgetOf({ device, memoryBudget }: Pick<MemoryRequest<object>, "device" | "memoryBudget">): number | undefined {
  if (memoryBudget === undefined || device.memoryBytes === undefined) return memoryBudget ?? device.memoryBytes;
  return Math.min(memoryBudget, device.memoryBytes);
}

async function rehearse<Options extends object>(
  { device: info, createDryDevice, train, options }: MemoryRequest<Options>,
  memoryBytes: number | undefined,
): Promise<Pick<MemoryPlan, "parts" | "peakBytes">> {
  const device = await createDryDevice({ ...info, memoryBytes });
  try {
    const opened = await options(device);
    const loaded = device.memory().live.weights;
    const models = weightsByModel(opened);
    const rehearsal = rehearsalOf(opened);
    let step = 0;
    for await (const _ of await train(rehearsal.options)) {
      step += 1;
      if (rehearsal.isOver(step)) break;
    }
    return partsOf(device.memory(), models, loaded);
  } finally {
    await device.destroy();
  }
}

/** The weights of each model in a trainer's options; an adapter's stand beside those of its base. */
function weightsByModel(options: object): MemoryPart[] {
  const parts: MemoryPart[] = [];
  const seen = new Set<unknown>();
  for (const [name, value] of Object.entries(options)) {
    const decoder = (value as { readonly decoder?: unknown } | null | undefined)?.decoder;
    if (!(decoder instanceof Decoder)) continue;
    const { parameters, adapter } = decoder;
    for (const [what, set] of [
      [`weights of ${name}`, parameters],
      [`adapter of ${name}`, adapter?.parameters],
    ] as const) {
      if (set && !seen.has(set)) parts.push({ kind: "weights", what, bytes: set.byteLength });
      seen.add(set);
    }
  }
  return parts;
}

function partsOf(memory: DeviceMemory, models: readonly MemoryPart[], loaded: number): Pick<MemoryPlan, "parts" | "peakBytes"> {
  const { atPeak, peakBytes } = memory;
  const named = models.reduce((sum, { bytes }) => sum + bytes, 0);
  const used = MEMORY_KINDS.reduce((sum, kind) => sum + atPeak[kind], 0);
  const parts: MemoryPart[] = [
    ...models,
    { kind: "weights", what: "other weights, tables of positions", bytes: Math.min(loaded, atPeak.weights) - named },
    ...MEMORY_KINDS.map((kind) => ({ kind, what: NAMES[kind], bytes: atPeak[kind] - (kind === "weights" ? loaded : 0) })),
  ];
  const rest = peakBytes - used;
  return {
    parts: parts.map((part) => (part.kind === "other" ? { ...part, bytes: part.bytes + rest } : part)).filter(({ bytes }) => bytes > 0),
    peakBytes,
  };
}
