/** A conformance case as data, and the trials it expands to. */
import { elementCount, evaluate } from "../src/bind";
import type { EntryPoint, TensorSpec } from "../src/contract";
import type { TensorData } from "../src/device";
import { ContractError } from "../src/errors";
import { computeReference } from "../src/reference/index";
import type { Tolerance } from "./expect-close";
import { createRandom, normals, type Random } from "./random";

/** Sizes of every dimension letter and values of every scalar of an entry point, by name. */
export type Values = Readonly<Record<string, number>>;

/** A departure from the default tolerance; the reason is part of it. */
export type StatedTolerance = Partial<Tolerance> & { readonly reason: string };

export interface Case {
  readonly entry: EntryPoint;
  /** Tells the cases of one entry point apart; empty when there is only one. */
  readonly name: string;
  /** One trial per element: all letters and scalars of the contract. */
  readonly sizes: readonly Values[];
  /**
   * Data of inputs, inout tensors and accumulating outputs, where plain normals will not do: indices, saved values of a
   * forward pass, NaN in places that cannot matter. The rest is drawn by {@link InputContext.draw}.
   */
  readonly inputs?: (context: InputContext) => Record<string, ArrayLike<number>>;
  /** For all outputs, or by output name where they differ. */
  readonly tolerance?: StatedTolerance | Readonly<Record<string, StatedTolerance>>;
  /** Outputs whose right value may be NaN; elsewhere a NaN in the reference is an error of the case. */
  readonly mayBeNaN?: readonly string[];
}

/** What a case's `inputs` works with. */
export interface InputContext {
  readonly values: Values;
  readonly random: Random;
  /** Number of elements of a tensor of the contract. */
  readonly count: (tensor: string) => number;
  /** The f32 data of a tensor: normals times `scale` with outliers of ± `outlier`; drawn once per name. */
  readonly draw: (tensor: string, options?: { readonly scale?: number; readonly outlier?: number }) => Float32Array;
  /**
   * Evaluates another entry point in f64, e.g. the forward pass whose saved values a backward pass reads. For timing, where f64 loops
   * would take minutes, it returns ones.
   */
  readonly compute: typeof computeReference;
  /** True when only time is measured: the data must be plausible, not consistent. */
  readonly isTimed: boolean;
}

/** One dispatch to check: a case at one size, with some optional tensors absent. */
export interface Trial {
  /** Unique and stable, e.g. `matmul_forward M=3 K=5 N=2 without bias`. */
  readonly id: string;
  readonly case: Case;
  readonly values: Values;
  readonly absent: readonly string[];
}

/**
 * Every trial of the cases. Sizes take turns with the subsets of optional tensors, so that both are covered without multiplying; the
 * first and the last size meet every subset.
 */
export function trialsOf(cases: readonly Case[]): Trial[] {
  return cases.flatMap((item) => {
    const optional = item.entry.tensors.filter((t) => t.optional).map((t) => t.name);
    const subsets = Array.from({ length: 2 ** optional.length }, (_, bits) => optional.filter((_, i) => ((bits >> i) & 1) === 1));
    return item.sizes.flatMap((values, i) => {
      const isEnd = i === 0 || i === item.sizes.length - 1;
      const chosen = isEnd ? subsets : [subsets[i % subsets.length] as string[]];
      return chosen.map((absent): Trial => ({ id: trialId(item, values, absent), case: item, values, absent }));
    });
  });
}

function trialId(item: Case, values: Values, absent: readonly string[]): string {
  const sizes = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const without = absent.length > 0 ? [`without ${absent.join(", ")}`] : [];
  return [item.entry.name, ...(item.name ? [`(${item.name})`] : []), ...sizes, ...without].join(" ");
}

/** The shape of a tensor of the contract. */
export function shapeOf(entry: EntryPoint, spec: TensorSpec, values: Values): number[] {
  for (const param of [...entry.dims, ...entry.scalars.map((s) => s.name)]) {
    if (values[param] === undefined) throw new ContractError(`${entry.name}: a conformance size must give \`${param}\`, got nothing.`);
  }
  return spec.axes.map((axis) => evaluate(axis, values));
}

/** Values with f32 scalars rounded to f32, as every device receives them. */
export function roundScalars(entry: EntryPoint, values: Values): Values {
  const rounded: Record<string, number> = { ...values };
  for (const { name, type } of entry.scalars) if (type === "f32") rounded[name] = Math.fround(values[name] as number);
  return rounded;
}

/** Outputs of the right size that hold 1: finite stand-ins for what a forward pass would save. */
const ones: typeof computeReference = (entry, _, values) =>
  Object.fromEntries(entry.tensors.map((spec) => [spec.name, new Float64Array(elementCount(shapeOf(entry, spec, values))).fill(1)]));

/** Host data of a trial: inputs, inout tensors and the start of accumulating outputs, in their dtypes. */
export function dataOf(trial: Trial, isTimed = false): Record<string, TensorData> {
  const { entry } = trial.case;
  const values = roundScalars(entry, trial.values);
  const random = createRandom(trial.id);
  const specs = new Map(entry.tensors.map((spec) => [spec.name, spec]));
  const drawn = new Map<string, Float32Array>();
  const count = (tensor: string) => {
    const spec = specs.get(tensor);
    if (!spec) throw new ContractError(`${entry.name}: the contract must have a tensor \`${tensor}\`, got none.`);
    return elementCount(shapeOf(entry, spec, values));
  };
  const draw: InputContext["draw"] = (tensor, { scale = 1, outlier = 12 } = {}) => {
    let data = drawn.get(tensor);
    if (!data) {
      data = normals(random, count(tensor), outlier);
      if (scale !== 1) data = data.map((x) => x * scale);
      drawn.set(tensor, data);
    }
    return data;
  };
  const given = trial.case.inputs?.({ values, random, count, draw, isTimed, compute: isTimed ? ones : computeReference }) ?? {};
  const result: Record<string, TensorData> = {};
  for (const spec of entry.tensors) {
    if ((spec.role === "out" && !spec.accumulates) || trial.absent.includes(spec.name)) continue;
    const data = given[spec.name] ?? (spec.dtype === "f32" ? draw(spec.name) : undefined);
    if (data === undefined) throw new ContractError(`${entry.name}: the case must give data for \`${spec.name}\`, got nothing.`);
    if (data.length !== count(spec.name)) {
      throw new ContractError(`${entry.name}: the case must give ${count(spec.name)} elements for \`${spec.name}\`, got ${data.length}.`);
    }
    result[spec.name] = spec.dtype === "u32" ? Uint32Array.from(data) : Float32Array.from(data);
  }
  return result;
}
