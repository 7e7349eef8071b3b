/** From tensors and scalars to sizes: checks every shape against the contract and resolves the dimension letters. */
import type { Axis, EntryPoint, ParamSpec, TensorSpec } from "./contract";
import type { DispatchArgs, TensorRef } from "./device";
import { ShapeError } from "./errors";

/** A checked call: everything a device needs to run an entry point. */
export interface BoundCall {
  readonly entry: EntryPoint;
  /** In contract order; undefined where an optional tensor is absent. */
  readonly tensors: readonly (TensorRef | undefined)[];
  /** Sizes of the dimension letters and values of the scalars, by name. */
  readonly values: Readonly<Record<string, number>>;
}

/** Checks `args` against `entry`; throws ShapeError naming the op, the tensor, and where two shapes disagree. */
export function bind(entry: EntryPoint, args: DispatchArgs): BoundCall {
  const tensors = tensorsOf(entry, args);
  const values = seenBefore(entry, args, tensors) ?? resolve(entry, args, tensors);
  entry.tensors.forEach((spec, i) => {
    const tensor = tensors[i];
    if (tensor === undefined) return;
    const end = tensor.byteOffset + elementCount(tensor.shape) * 4;
    if (end > tensor.buffer.byteLength) {
      throw new ShapeError(
        `${entry.name}: \`${spec.name}\` must lie inside its buffer of ${tensor.buffer.byteLength} bytes, got an end at ${end}.`,
      );
    }
  });
  return { entry, tensors, values };
}

/** The tensors in contract order, their presence and types checked. */
function tensorsOf(entry: EntryPoint, args: DispatchArgs): (TensorRef | undefined)[] {
  return entry.tensors.map((spec) => {
    const tensor = args.tensors[spec.name];
    if (tensor === undefined) {
      if (spec.optional) return undefined;
      throw new ShapeError(`${entry.name}: tensor \`${spec.name}\` ${spec.shapeText} must be given, got nothing.`);
    }
    if (tensor.dtype !== spec.dtype) throw new ShapeError(`${entry.name}: \`${spec.name}\` must be ${spec.dtype}, got ${tensor.dtype}.`);
    return tensor;
  });
}

/** What a call was found to mean: the next call with the same shapes and scalars, as in the next layer or step, means the same. */
interface Resolved {
  readonly shapes: readonly (readonly number[] | undefined)[];
  readonly scalars: readonly number[];
  readonly values: Readonly<Record<string, number>>;
}

/** Calls remembered of each entry point: a model has fewer kinds of linear layer. */
const REMEMBERED = 8;
const remembered = new WeakMap<EntryPoint, Resolved[]>();

function seenBefore(
  entry: EntryPoint,
  args: DispatchArgs,
  tensors: readonly (TensorRef | undefined)[],
): Readonly<Record<string, number>> | undefined {
  const same = ({ shapes, scalars }: Resolved): boolean => {
    for (let i = 0; i < scalars.length; i++) if (!Object.is(args.scalars?.[(entry.scalars[i] as ParamSpec).name], scalars[i])) return false;
    for (let i = 0; i < shapes.length; i++) {
      const [shape, known] = [tensors[i]?.shape, shapes[i]];
      if (shape?.length !== known?.length) return false;
      if (shape && known) for (let axis = 0; axis < known.length; axis++) if (shape[axis] !== known[axis]) return false;
    }
    return true;
  };
  return remembered.get(entry)?.find(same)?.values;
}

/** The sizes of the letters and the scalars; remembered. */
function resolve(entry: EntryPoint, args: DispatchArgs, tensors: readonly (TensorRef | undefined)[]): Readonly<Record<string, number>> {
  const values: Record<string, number> = {};
  const fixedBy: Record<string, string> = {};
  const scalars: number[] = [];
  for (const { name, type } of entry.scalars) {
    const value = args.scalars?.[name];
    if (value === undefined) throw new ShapeError(`${entry.name}: scalar \`${name}\` must be given, got nothing.`);
    if (type === "u32" && !(Number.isInteger(value) && value >= 0 && value <= 0xffffffff)) {
      throw new ShapeError(`${entry.name}: scalar \`${name}\` must be an unsigned 32-bit integer, got ${value}.`);
    }
    values[name] = value;
    fixedBy[name] = "the scalar";
    scalars.push(value);
  }
  entry.tensors.forEach((spec, t) => {
    const tensor = tensors[t];
    if (tensor === undefined) return;
    if (tensor.shape.length !== spec.axes.length) throw disagreement(entry, spec, tensor, `it has ${tensor.shape.length} axes`);
    spec.axes.forEach(({ letter }, i) => {
      if (letter === undefined || letter in values) return;
      values[letter] = tensor.shape[i] as number;
      fixedBy[letter] = `\`${spec.name}\``;
    });
  });
  entry.tensors.forEach((spec, t) => {
    const tensor = tensors[t];
    if (spec.optional) values[`has_${spec.name}`] = tensor === undefined ? 0 : 1;
    if (tensor === undefined) return;
    spec.axes.forEach((axis, i) => {
      const expected = evaluate(axis, values);
      if (tensor.shape[i] === expected) return;
      const where = axis.letter !== undefined ? `${axis.letter} is ${expected} in ${fixedBy[axis.letter]}` : `${axis.text} is ${expected}`;
      throw disagreement(entry, spec, tensor, where);
    });
  });
  const known = remembered.get(entry) ?? [];
  known.unshift({ shapes: tensors.map((tensor) => tensor && [...tensor.shape]), scalars, values });
  known.length = Math.min(known.length, REMEMBERED);
  remembered.set(entry, known);
  return values;
}

/** The parameter block of a call: dims, scalars, flags, four bytes each, padded to 16. */
export function packParams(call: BoundCall): ArrayBuffer {
  const { params } = call.entry;
  const bytes = new ArrayBuffer(Math.max(16, Math.ceil(params.length / 4) * 16));
  const u32 = new Uint32Array(bytes);
  const f32 = new Float32Array(bytes);
  params.forEach((param, i) => {
    const value = call.values[param.name] as number;
    if (param.type === "u32") u32[i] = value;
    else f32[i] = value;
  });
  return bytes;
}

/** Product of a shape's axes; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** The size of an axis expression for given letters. */
export function evaluate(axis: Axis, values: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const { coefficient, letters } of axis.terms) {
    let product = coefficient;
    for (const letter of letters) product *= values[letter] as number;
    sum += product;
  }
  return sum;
}

function disagreement(entry: EntryPoint, spec: TensorSpec, tensor: TensorRef, where: string): ShapeError {
  return new ShapeError(`${entry.name}: \`${spec.name}\` must be ${spec.shapeText}, got (${tensor.shape.join(", ")}): ${where}.`);
}
