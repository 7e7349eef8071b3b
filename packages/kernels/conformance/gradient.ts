/** Central differences in f64: the proof that each backward formula belongs to its forward formula. */
import { elementCount } from "../src/bind";
import type { EntryPoint } from "../src/contract";
import { ContractError } from "../src/errors";
import { computeReference } from "../src/reference/index";
import { shapeOf, type Values } from "./case";
import { expectClose } from "./expect-close";
import { createRandom, type Random } from "./random";

/** Arrays by tensor name. */
export type Arrays = Readonly<Record<string, Float64Array>>;

export interface GradientCheck {
  /** Unique, e.g. `unary_forward (silu)`. */
  readonly name: string;
  /** The backward entry points that this check proves. */
  readonly covers: readonly string[];
  readonly forward: EntryPoint;
  readonly values: Values;
  /** All inputs of the forward entry point, kept away from kinks. */
  readonly inputs: (random: Random) => Readonly<Record<string, ArrayLike<number>>>;
  /** The outputs that are differentiated, each with random upstream gradients unless `upstream` says otherwise. */
  readonly outputs: readonly string[];
  readonly upstream?: Readonly<Record<string, ArrayLike<number>>>;
  /** The analytic gradients by input name, from the backward entry points. */
  readonly backward: (pass: GradientPass) => Readonly<Record<string, Float64Array | undefined>>;
}

/** What a check's `backward` works with. */
export interface GradientPass {
  readonly inputs: Arrays;
  readonly outputs: Arrays;
  readonly upstream: Arrays;
  /** Evaluates an entry point in f64 with the check's values (and `more`); accumulating outputs that are not given start at 0. */
  readonly compute: (entry: EntryPoint, tensors: Readonly<Record<string, ArrayLike<number> | undefined>>, more?: Values) => Arrays;
}

/** Step of the central difference; its truncation error is of order 1e-10, its rounding error of order 1e-11. */
const STEP = 1e-5;

/**
 * Compares Σ upstream · d(outputs)/d(input) with central differences, for every element of every input that `backward`
 * returns. Throws MismatchError; returns the worst error as a fraction of what is allowed.
 */
export function checkGradient(check: GradientCheck): number {
  const random = createRandom(check.name);
  const inputs: Record<string, Float64Array> = {};
  for (const [name, data] of Object.entries(check.inputs(random))) inputs[name] = Float64Array.from(data);
  const outputs = computeReference(check.forward, inputs, check.values);
  const upstream: Record<string, Float64Array> = {};
  for (const name of check.outputs) {
    const given = check.upstream?.[name];
    upstream[name] = given ? Float64Array.from(given) : Float64Array.from({ length: outputs[name]!.length }, () => random.normal());
  }
  const objective = () => {
    const after = computeReference(check.forward, inputs, check.values);
    let sum = 0;
    for (const name of check.outputs) {
      upstream[name]!.forEach((g, i) => {
        if (g !== 0) sum += g * after[name]![i]!;
      });
    }
    return sum;
  };
  let worst = 0;
  const compute: GradientPass["compute"] = (entry, tensors, more) => {
    const values = { ...check.values, ...more };
    const zeros: Record<string, Float64Array> = {};
    for (const spec of entry.tensors) if (spec.accumulates) zeros[spec.name] = new Float64Array(elementCount(shapeOf(entry, spec, values)));
    return computeReference(entry, { ...zeros, ...tensors }, values);
  };
  for (const [name, analytic] of Object.entries(check.backward({ inputs, outputs, upstream, compute }))) {
    const input = inputs[name];
    if (!input || !analytic) throw new ContractError(`${check.name}: \`${name}\` must be an input with a gradient, got none.`);
    const numeric = Float64Array.from(analytic, (_, i) => {
      const original = input[i]!;
      input[i] = original + STEP;
      const above = objective();
      input[i] = original - STEP;
      const below = objective();
      input[i] = original;
      return (above - below) / (2 * STEP);
    });
    worst = Math.max(worst, expectClose(analytic, numeric, { rtol: 1e-6, atol: 1e-8, scale: "array", label: `${check.name}: d${name}` }));
  }
  return worst;
}
