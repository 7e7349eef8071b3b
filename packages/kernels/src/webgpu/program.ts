/** A compute program as data: WGSL sources, an entry point, what it binds, its parameter block and its override constants. */
import type { EntryPoint, ScalarType } from "../contract";
import type { KernelClass } from "../tuning";
import { unroll } from "./unroll";

/** One four-byte member of a parameter block. */
export interface ProgramParam {
  readonly name: string;
  readonly type: ScalarType;
}

export interface Program {
  /** Names the pipeline in errors; variants of one entry point differ in it. */
  readonly name: string;
  readonly entryPoint: string;
  /** Preludes, then the file itself; joined in this order. */
  readonly sources: readonly string[];
  /** One letter per storage binding in order: `r` read, `w` read_write, `-` no such binding. */
  readonly access: string;
  /** The uniform at group 1, binding 0. */
  readonly params: readonly ProgramParam[];
  readonly constants: Readonly<Record<string, number>>;
  /** The contract this program alone implements; undefined for the passes of a plan. */
  readonly entry: EntryPoint | undefined;
  /** What takes its place, with the same bindings, parameters and grid, on a GPU with subgroups where that was measured to be faster for its class. */
  readonly withSubgroups?: { readonly of: KernelClass; readonly program: Program };
}

/** What the GPU's compiler gets. */
export const shaderCode = ({ sources, constants }: Program): string => unroll(sources.join("\n"), constants);

interface ProgramOptions {
  readonly constants?: Readonly<Record<string, number>>;
  /** Told apart from the other variants by this. */
  readonly variant?: string;
}

/** The program that is an entry point of a contract: bindings and parameters are the contract's. */
export function contractProgram(entry: EntryPoint, sources: readonly string[], { constants = {}, variant }: ProgramOptions = {}): Program {
  return {
    name: named(entry.name, variant),
    entryPoint: entry.name,
    sources,
    access: entry.tensors.map((tensor) => (tensor.role === "in" ? "r" : "w")).join(""),
    params: entry.params,
    constants,
    entry,
  };
}

/** One pass of a plan. `params` reads `"N:u32 scale:f32"`. */
export function passProgram(
  entryPoint: string,
  sources: readonly string[],
  access: string,
  params: string,
  { constants = {}, variant }: ProgramOptions = {},
): Program {
  const parsed = params
    .split(" ")
    .filter(Boolean)
    .map((text): ProgramParam => {
      const [name, type] = text.split(":") as [string, ScalarType];
      return { name, type };
    });
  return { name: named(entryPoint, variant), entryPoint, sources, access, params: parsed, constants, entry: undefined };
}

const named = (name: string, variant: string | undefined) => (variant ? `${name} (${variant})` : name);

/** A program with the one of a class that may take its place; `sources`, of which the first says `enable subgroups;`, and `constants` are that one's. */
export function orWithSubgroups(
  of: KernelClass,
  program: Program,
  sources: readonly string[],
  constants: Readonly<Record<string, number>> = program.constants,
): Program {
  return { ...program, withSubgroups: { of, program: { ...program, name: `${program.name} with subgroups`, sources, constants } } };
}
