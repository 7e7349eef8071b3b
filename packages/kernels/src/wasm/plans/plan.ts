/** What a plan is, and the phases that plans share. */
import type { EntryPoint } from "../../contract";
import { MAX_GRAINS, type Phase } from "../pool";

/** A bound call as plans see it. */
export interface PlanCall {
  readonly entry: EntryPoint;
  /** Address of a tensor by name; 0 when it is absent. */
  pointer(tensor: string): number;
  /** A dimension, scalar or flag by name. */
  value(name: string): number;
  /** Memory for the duration of the call. */
  scratch(byteLength: number): number;
  /** A live view of u32 memory. */
  words(pointer: number, length: number): Uint32Array;
}

export type Plan = (call: PlanCall) => readonly Phase[];

/** Nanoseconds of work worth a grain, and below which nobody is woken; rough figures for one thread. */
const GRAIN_NS = 3_000;
const INLINE_NS = 12_000;

/** A phase whose items cost about `ns` nanoseconds each. `multiple`: grains are cut at multiples of it. */
export function phase(kernel: string, args: readonly number[], items: number, ns: number, multiple = 1): Phase {
  if (items * ns <= INLINE_NS) return { kernel, args, items, grain: Math.max(1, items) };
  const wanted = Math.max(1, Math.round(GRAIN_NS / ns), Math.ceil(items / MAX_GRAINS));
  return { kernel, args, items, grain: Math.ceil(wanted / multiple) * multiple };
}

/** All pointers in contract order, then dims and scalars: the arguments of a kernel that mirrors its contract. */
export function contractArgs(call: PlanCall): number[] {
  const { tensors, dims, scalars } = call.entry;
  const args: number[] = [];
  for (const { name } of tensors) args.push(call.pointer(name));
  for (const dim of dims) args.push(call.value(dim));
  for (const { name } of scalars) args.push(call.value(name));
  return args;
}

/** One phase of the kernel named like the entry point: `items` of `ns` nanoseconds. */
export function mirror(cost: (call: PlanCall) => { items: number; ns: number; multiple?: number }): Plan {
  const plan: Plan = (call) => {
    const { items, ns, multiple } = cost(call);
    return [phase(call.entry.name, contractArgs(call), items, ns, multiple)];
  };
  mirrored.add(plan);
  return plan;
}
const mirrored = new Set<Plan>();

/** True for plans whose kernel has the contract's own parameters (the parity test checks those). */
export function isMirror(plan: Plan): boolean {
  return mirrored.has(plan);
}

/** Items are elements, `ns` nanoseconds per element. */
export const elements = (ns: number): Plan => mirror((call) => ({ items: call.value("N"), ns, multiple: 64 }));

/** Items are rows, `ns` nanoseconds per element of a row of `width`. */
export const rows = (width: (call: PlanCall) => number, ns: number): Plan =>
  mirror((call) => ({ items: call.value("N"), ns: Math.max(1, width(call) * ns) }));
