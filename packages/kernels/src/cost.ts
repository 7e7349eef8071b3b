/** What one call must compute and move, counted from its contract: what a roofline holds a kernel's time against. */
import { evaluate } from "./bind";
import type { EntryPoint, Sizes } from "./contract";
import { ContractError } from "./errors";

export interface Cost {
  /** A multiply-add is two. */
  readonly flops: number;
  readonly bytes: number;
}

/**
 * The cost of one call. `values` holds the sizes of the letters and the values of the scalars, as {@link bind} resolves them; optional tensors count
 * as present unless `has_<name>` is 0. Throws ContractError where a size is missing.
 */
export function costOf(entry: EntryPoint, values: Readonly<Record<string, number>>): Cost {
  const flags = Object.fromEntries(entry.params.filter(({ kind }) => kind === "flag").map(({ name }) => [name, 1]));
  const sizes = { ...flags, ...values } as Sizes;
  const cost = { flops: entry.flops(sizes), bytes: entry.bytes ? entry.bytes(sizes) : tensorBytes(entry, { ...flags, ...values }) };
  if (!(Number.isFinite(cost.flops) && Number.isFinite(cost.bytes))) {
    throw new ContractError(`${entry.name}: its cost needs a size for each of its letters, got ${JSON.stringify(values)}.`);
  }
  return cost;
}

/** Every tensor once; those that are read and written (inout, accumulating) twice. */
function tensorBytes(entry: EntryPoint, values: Readonly<Record<string, number>>): number {
  let bytes = 0;
  for (const { name, optional, axes, role, accumulates } of entry.tensors) {
    if (optional && values[`has_${name}`] === 0) continue;
    bytes += 4 * axes.reduce((count, axis) => count * evaluate(axis, values), 1) * (role === "inout" || accumulates ? 2 : 1);
  }
  return bytes;
}
