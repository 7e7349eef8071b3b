/** Values in and out of pure objectives: exact constants, leaves whose gradients can be read, and one call that gives loss and gradients. */
import type { Device } from "@trimtab/kernels";
import type { ReferenceDevice } from "@trimtab/kernels/reference";
import { Tape } from "../src/autograd/tape";
import { allocate, type Tensor } from "../src/tensor/tensor";

/** Numbers as they are stored: f64 on the reference device. */
export async function valuesOf(device: Device, tensor: Tensor): Promise<number[]> {
  return [...("readF64" in device ? (device as ReferenceDevice).readF64(tensor) : await device.read(tensor))];
}

/** A tensor of the tape, on the reference device without rounding to f32. */
export function exact(tape: Tape, values: ArrayLike<number>, shape: readonly number[] = [values.length]): Tensor {
  const tensor = tape.alloc(shape);
  if ("writeF64" in tape.device) (tape.device as ReferenceDevice).writeF64(tensor, Float64Array.from(values));
  else tape.device.write(tensor, Float32Array.from(values));
  return tensor;
}

/** Makes `tensors` the leaves of a fresh tape; their gradients can be read once `backward` has run. */
export function leaves(tape: Tape, tensors: readonly Tensor[]): () => Promise<number[][]> {
  const kept = tensors.map(({ shape }) => allocate(tape.device, shape));
  tape.record(tensors, () => {
    tensors.forEach((tensor, i) => {
      tape.device.copy(tape.gradOrZero(tensor), kept[i] as Tensor);
    });
  });
  return async () => {
    const gradients = await Promise.all(kept.map((gradient) => valuesOf(tape.device, gradient)));
    for (const { buffer } of kept) tape.device.free(buffer);
    return gradients;
  };
}

export interface Outcome {
  /** Unreduced. */
  readonly losses: number[];
  /** Σ weight · losses */
  readonly loss: number;
  /** Of the loss, to each leaf. */
  readonly gradients: number[][];
  /** What the objective named besides its losses. */
  readonly others: Readonly<Record<string, number[]>>;
}

/** Runs an objective on leaves and reduces it with `weights` (one for all, or one each). */
export async function differentiate<T extends { readonly losses: Tensor }>(
  device: Device,
  values: readonly (readonly number[])[],
  objective: (tape: Tape, leaves: Tensor[]) => T,
  weights: number | readonly number[],
): Promise<Outcome> {
  const tape = new Tape(device);
  const tensors = values.map((value) => exact(tape, value));
  const gradients = leaves(tape, tensors);
  const { losses, ...named } = objective(tape, tensors);
  const unreduced = await valuesOf(device, losses);
  const others: Record<string, number[]> = {};
  for (const [name, tensor] of Object.entries(named)) others[name] = await valuesOf(device, tensor as Tensor);
  const all = typeof weights === "number" ? unreduced.map(() => weights) : weights;
  tape.backward([[losses, exact(tape, all)]]);
  const result = {
    losses: unreduced,
    loss: unreduced.reduce((sum, value, i) => sum + value * (all[i] as number), 0),
    gradients: await gradients(),
    others,
  };
  tape.dispose();
  return result;
}
