/** The shape of a reference implementation: one function per entry point over f64 arrays. */
import { evaluate } from "../bind";
import type { EntryPoint } from "../contract";
import { ContractError } from "../errors";

/** Arrays by tensor name, in contract layout; an absent optional tensor is a missing key. */
export type ReferenceTensors = Readonly<Record<string, Float64Array>>;

/** Sizes of the dimension letters and values of the scalars, by name. */
export type ReferenceValues = Readonly<Record<string, number>>;

/** One entry point in plain loops. It reads inputs, overwrites or adds to outputs, in place. */
export interface Implementation {
  readonly entry: EntryPoint;
  readonly run: (tensors: ReferenceTensors, values: ReferenceValues) => void;
}

/** Ties a function to its entry point: `Tensor`, `Value` and `Optional` are the names of the contract it uses. */
export function implement<Tensor extends string, Value extends string, Optional extends string = never>(
  entry: EntryPoint,
  run: (
    tensors: Readonly<Record<Tensor, Float64Array> & Partial<Record<Optional, Float64Array>>>,
    values: Readonly<Record<Value, number>>,
  ) => void,
): Implementation {
  return { entry, run: run as unknown as Implementation["run"] };
}

/**
 * Evaluates one implementation on fresh arrays and returns every tensor by name, inputs included. `tensors` holds the
 * inputs, the inout tensors and what accumulating outputs start from; an optional tensor takes part when it is given.
 * Plain outputs are allocated here, filled with NaN.
 */
export function evaluateImplementation(
  { entry, run }: Implementation,
  tensors: Readonly<Record<string, ArrayLike<number> | undefined>>,
  values: ReferenceValues,
): Record<string, Float64Array> {
  const arrays: Record<string, Float64Array> = {};
  for (const spec of entry.tensors) {
    const given = tensors[spec.name];
    if (given !== undefined) {
      arrays[spec.name] = Float64Array.from(given);
    } else if (spec.role === "out" && !spec.accumulates && !spec.optional) {
      arrays[spec.name] = new Float64Array(spec.axes.reduce((count, axis) => count * evaluate(axis, values), 1)).fill(Number.NaN);
    } else if (!spec.optional) {
      throw new ContractError(`${entry.name}: tensor \`${spec.name}\` ${spec.shapeText} must be given to the reference, got nothing.`);
    }
  }
  run(arrays, values);
  return arrays;
}
