/** What a plan is, and the grids that plans share. */
import type { EntryPoint } from "../../contract";
import type { ProductChoice, ProductClass } from "../../tuning";
import { contractProgram, type Program } from "../program";
import type { Binding, Grid } from "../recorder";

/** Sizes of the dimension letters and values of scalars and flags, by name. */
export type Values = Readonly<Record<string, number>>;

/** What a plan works with. */
export interface PlanContext {
  /** True on a GPU emulated by a CPU. */
  readonly isSoftware: boolean;
  /** Most bytes of scratch that one op should take. */
  readonly scratchBytes: number;
  /** How products of a class are cut on this GPU; undefined: by the rule. */
  choiceOf(name: ProductClass | undefined): ProductChoice | undefined;
  /** Encodes one dispatch; `bindings[i]` goes to binding number i. */
  run(program: Program, bindings: readonly (Binding | undefined)[], values: Values, grid: Grid): void;
  /** Memory until the end of the plan. */
  scratch(bytes: number): Binding;
}

/** One entry point: what may have to be compiled, and how a checked call is encoded. */
export interface Plan {
  readonly entry: EntryPoint;
  /** The programs that calls with these sizes use; without sizes, all that do not depend on them. */
  programs(context: Pick<PlanContext, "isSoftware">, sizes: Values): readonly Program[];
  /** `tensors` in contract order. No tensor that the op writes is empty. */
  run(context: PlanContext, tensors: readonly (Binding | undefined)[], values: Values): void;
}

export const FLOAT = 4;
/** WebGPU's default and, in practice, only limit of workgroups in one dimension of a grid. */
const MAX_GROUPS = 65_535;
/** Threads of an elementwise workgroup: ELEMENTWISE in lib/grid.wgsl. */
const ELEMENTWISE = 256;
/** Workgroups that keep a large GPU busy; a fixed number, so that results do not depend on the device's size. */
export const BUSY_GROUPS = 256;

export const divide = (count: number, by: number) => Math.ceil(count / by);

/** `groups` workgroups in a line, folded into two dimensions where one is too short. */
export function line(groups: number): Grid {
  const rows = Math.max(1, divide(groups, MAX_GROUPS));
  return [divide(groups, rows), rows, 1];
}

/** One thread per element. */
export const elements = (count: number): Grid => line(divide(count, ELEMENTWISE));

/** Part of a binding. */
export const part = (binding: Binding, offset: number, bytes: number): Binding => ({
  block: binding.block,
  offset: binding.offset + offset,
  bytes,
});

/** A plan of one dispatch. */
export function single(program: Program, grid: (values: Values) => Grid): Plan {
  const programs = [program];
  return {
    entry: program.entry as EntryPoint,
    programs: () => programs,
    run: (context, tensors, values) => context.run(program, tensors, values, grid(values)),
  };
}

const size = (values: Values, ...letters: string[]) => letters.reduce((product, letter) => product * (values[letter] as number), 1);

/** A plan of one dispatch with a thread per element. */
export const perElement = (entry: EntryPoint, sources: readonly string[], ...letters: string[]) =>
  single(contractProgram(entry, sources), (values) => elements(size(values, ...letters)));
