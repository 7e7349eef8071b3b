/** One optimiser step: the gradients of every micro-batch, clipping, AdamW, and one readback of all that a trainer wants to know. */
import type { Device } from "@trimtab/kernels";
import { Tape } from "../autograd/tape";
import type { Roots } from "../losses/objective";
import type { AdamW, StepOutcome } from "../optim/adamw";
import { inPhase } from "../profile/profiled-device";
import type { Tensor } from "../tensor/tensor";
import { Readback } from "./readback";

/** Where a micro-batch writes what is read back of it. */
export interface Report<Name extends string> {
  /** The place of `name`, for a kernel to write to. */
  window(name: Name): Tensor;
  /** Writes Σ x, x (N), to `name`, which has length 1. */
  sum(name: Name, x: Tensor): void;
  /** Copies x to `name`, which is as long. */
  copy(name: Name, x: Tensor): void;
}

/** A piece of a step that fits the device. Its gradients are added to those of the other pieces. */
export interface MicroBatch<Name extends string> {
  /** What is read back of it: a length for each name. */
  readonly reads: Readonly<Record<Name, number>>;
  /** Runs the forward passes, reports, and says where gradients start. */
  forward(tape: Tape, report: Report<Name>): Roots;
}

/** What one micro-batch reported. */
export type Reported<Name extends string> = Readonly<Record<Name, Float32Array>>;

/** An optimiser and its learning rate in this step. */
export interface Updating {
  readonly optimizer: AdamW;
  readonly learningRate: number;
}

export interface StepResult<Name extends string> {
  /** Of the first optimiser. */
  readonly outcome: StepOutcome;
  /** Of every optimiser, in order. */
  readonly outcomes: readonly StepOutcome[];
  /** One for each micro-batch. */
  readonly reports: readonly Reported<Name>[];
}

/**
 * Takes the step: one readback, whatever the number of micro-batches. Gradients must enter with the weights of the whole step. Dropout draws
 * from the optimiser's step and the micro-batch, so that a resumed run leaves out what the whole one does.
 */
export async function optimiserStep<Name extends string>(
  device: Device,
  updating: readonly Updating[],
  microBatches: readonly MicroBatch<Name>[],
  options: { readonly gradientCheckpointing: boolean },
): Promise<StepResult<Name>> {
  for (const { optimizer } of updating) optimizer.parameters.zeroGrads();
  const count = updating[0]?.optimizer.count ?? 0;
  return readReports(
    device,
    microBatches,
    (microBatch, report, i) => runBackward(device, microBatch, report, { ...options, draw: [count, i] }),
    updating,
  );
}

/** The gradients alone, added to what the parameters have: for steps that are not AdamW's. One readback. */
export async function gradientsOnly<Name extends string>(
  device: Device,
  microBatches: readonly MicroBatch<Name>[],
  options: { readonly gradientCheckpointing: boolean },
): Promise<readonly Reported<Name>[]> {
  const { reports } = await readReports(device, microBatches, (microBatch, report) => runBackward(device, microBatch, report, options), []);
  return reports;
}

/** The same forward passes without gradients and without a step: for values that a step needs beforehand. One readback. */
export async function forwardOnly<Name extends string>(
  device: Device,
  microBatches: readonly {
    readonly reads: Readonly<Record<Name, number>>;
    forward(tape: Tape, report: Report<Name>): void;
  }[],
): Promise<readonly Reported<Name>[]> {
  const { reports } = await readReports(
    device,
    microBatches,
    (microBatch, report) => {
      const tape = new Tape(device, { grad: false });
      try {
        inPhase(device, "forward", () => microBatch.forward(tape, report(tape)));
      } finally {
        tape.dispose();
      }
    },
    [],
  );
  return reports;
}

function runBackward<Name extends string>(
  device: Device,
  microBatch: MicroBatch<Name>,
  report: (tape: Tape) => Report<Name>,
  { gradientCheckpointing, draw }: { readonly gradientCheckpointing: boolean; readonly draw?: readonly [number, number] },
): void {
  const tape = new Tape(device, { checkpoint: gradientCheckpointing, draw });
  try {
    const roots = inPhase(device, "forward", () => microBatch.forward(tape, report(tape)));
    inPhase(device, "backward", () => tape.backward(roots));
  } finally {
    tape.dispose();
  }
}

async function readReports<Name extends string, Piece extends { readonly reads: Readonly<Record<Name, number>> }>(
  device: Device,
  pieces: readonly Piece[],
  run: (piece: Piece, report: (tape: Tape) => Report<Name>, index: number) => void,
  updating: readonly Updating[],
): Promise<StepResult<Name>> {
  const names = pieces.map(({ reads }) => Object.keys(reads) as Name[]);
  // Windows: (norm, coefficient) of every optimiser, then those of each micro-batch in the order of their names.
  const readback = new Readback(device, [...updating.map(() => 2), ...pieces.flatMap(({ reads }) => Object.values<number>(reads))]);
  try {
    let first = updating.length;
    const places = names.map((own) => {
      const place = new Map(own.map((name, i) => [name, first + i]));
      first += own.length;
      return place;
    });
    pieces.forEach((piece, i) => {
      const at = (name: Name) => (places[i] as Map<Name, number>).get(name) as number;
      run(
        piece,
        (tape) => ({
          window: (name) => readback.window(at(name)),
          sum: (name, x) => readback.sum(tape, x, at(name)),
          copy: (name, x) => readback.copy(x, at(name)),
        }),
        i,
      );
    });
    updating.forEach(({ optimizer, learningRate }, i) => {
      inPhase(device, "optimiser", () => optimizer.apply(learningRate));
      readback.copy(optimizer.stats, i);
    });
    const windows = await readback.read();
    const outcomes = updating.map(({ optimizer }, i) => optimizer.outcome(windows[i] as Float32Array));
    return {
      outcome: outcomes[0] as StepOutcome,
      outcomes,
      reports: places.map(
        (place) => Object.fromEntries([...place].map(([name, at]) => [name, windows[at] as Float32Array])) as Reported<Name>,
      ),
    };
  } finally {
    readback.dispose();
  }
}

/** Σ over micro-batches of element `index` of what `name` reported. */
export function total<Name extends string>(reports: readonly Reported<Name>[], name: Name, index = 0): number {
  return reports.reduce((sum, report) => sum + (report[name][index] as number), 0);
}
