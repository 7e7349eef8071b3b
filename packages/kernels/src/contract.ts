/**
 * An op as data: named tensors with shapes in dimension letters, and scalars.
 *
 * Notation of one tensor: `"[+= ][dtype ](axis, axis, ...)"`.
 *  - dtype is `f32` (default) or `u32`.
 *  - an axis is an integer expression over single capital letters: `N`, `S + 1`, `2 * F`, `H * D + 2 * K * D`.
 *  - `+=` marks an output that is added to instead of overwritten (the engine's rule: activation gradients are
 *    written, parameter gradients accumulate).
 *  - a tensor name ending in `?` is optional; the kernel receives a `has_<name>` flag.
 *
 * Key order (in, inout, out) is binding order in WGSL and pointer order in AssemblyScript. Letters that are not scalars
 * become `u32` parameters in order of first appearance, then come the scalars, then the `has_` flags.
 */
import { ContractError } from "./errors";

export type Dtype = "f32" | "u32";
export type ScalarType = "f32" | "u32";

/** Sizes of an entry point's dimension letters, values of the scalars that are sizes, and flags: 0 where an optional tensor is absent. */
export type Sizes = Readonly<Record<SizeName, number>>;

type Letter = "A" | "B" | "C" | "D" | "E" | "F" | "H" | "K" | "L" | "M" | "N" | "O" | "P" | "Q" | "R" | "S" | "T" | "U" | "V" | "W";
type SizeName = Letter | "block" | "heads" | "window" | "accumulate" | "has_bias" | "has_addend" | "has_dhead" | "has_refLogps";

export interface EntrySpec {
  readonly name: string;
  readonly in?: Readonly<Record<string, string>>;
  readonly inout?: Readonly<Record<string, string>>;
  readonly out?: Readonly<Record<string, string>>;
  readonly scalars?: Readonly<Record<string, ScalarType>>;
  /**
   * Floating-point operations of one call: a multiply-add is two, a function such as exp one. What the definition asks for, not what a kernel
   * happens to do. Where data and not shapes decide (ragged rows), the least that the shapes allow, or what the op's comment says.
   */
  readonly flops: (sizes: Sizes) => number;
  /** Bytes that one call must move; by default every tensor once, and those that are read and written twice. */
  readonly bytes?: (sizes: Sizes) => number;
}

/** Read from buffers only, written only, or both. */
export type Role = "in" | "inout" | "out";

export interface TensorSpec {
  readonly name: string;
  readonly role: Role;
  readonly dtype: Dtype;
  readonly optional: boolean;
  /** True for `+=`: the kernel adds to what the buffer holds. */
  readonly accumulates: boolean;
  readonly axes: readonly Axis[];
  /** The shape as written, for messages: `(N, C)`. */
  readonly shapeText: string;
}

/** A sum of products of letters and integers, e.g. `2 * F` = [{ coefficient: 2, letters: ["F"] }]. */
export interface Axis {
  readonly text: string;
  readonly terms: readonly { readonly coefficient: number; readonly letters: readonly string[] }[];
  /** The letter, if the axis is just one. */
  readonly letter: string | undefined;
}

export interface ParamSpec {
  readonly name: string;
  readonly type: ScalarType;
  readonly kind: "dim" | "scalar" | "flag";
}

/** A parsed entry point: what `bind` and the devices work with. */
export interface EntryPoint {
  readonly name: string;
  readonly tensors: readonly TensorSpec[];
  readonly dims: readonly string[];
  readonly scalars: readonly ParamSpec[];
  /** Layout of the parameter block: dims, scalars, flags; four bytes each. */
  readonly params: readonly ParamSpec[];
  readonly flops: EntrySpec["flops"];
  readonly bytes: EntrySpec["bytes"];
}

/** WebGPU's default `maxStorageBuffersPerShaderStage`; no contract may need more. */
export const MAX_STORAGE_BUFFERS = 8;

/** Parses an op's entry points; throws ContractError on malformed notation or more than 8 tensors. */
export function defineOp<const T extends Readonly<Record<string, EntrySpec>>>(spec: T): { readonly [K in keyof T]: EntryPoint } {
  const result: Record<string, EntryPoint> = {};
  for (const [key, entry] of Object.entries(spec)) result[key] = parseEntry(entry);
  return Object.freeze(result) as { readonly [K in keyof T]: EntryPoint };
}

function parseEntry(entry: EntrySpec): EntryPoint {
  const tensors: TensorSpec[] = [];
  for (const role of ["in", "inout", "out"] as const) {
    for (const [key, notation] of Object.entries(entry[role] ?? {})) tensors.push(parseTensor(entry.name, key, notation, role));
  }
  if (tensors.length > MAX_STORAGE_BUFFERS) {
    throw new ContractError(`${entry.name}: an entry point binds at most ${MAX_STORAGE_BUFFERS} tensors, got ${tensors.length}. Split it.`);
  }
  const scalars = Object.entries(entry.scalars ?? {}).map(([name, type]): ParamSpec => ({ name, type, kind: "scalar" }));
  const scalarNames = new Set(scalars.map((s) => s.name));
  const dims: string[] = [];
  for (const tensor of tensors) {
    for (const axis of tensor.axes) {
      for (const term of axis.terms) {
        for (const letter of term.letters) if (!scalarNames.has(letter) && !dims.includes(letter)) dims.push(letter);
      }
    }
  }
  for (const dim of dims) {
    if (!tensors.some((t) => !t.optional && t.axes.some((a) => a.letter === dim))) {
      throw new ContractError(`${entry.name}: dimension ${dim} must stand alone on an axis of a required tensor or be a scalar.`);
    }
  }
  const params: ParamSpec[] = [
    ...dims.map((name): ParamSpec => ({ name, type: "u32", kind: "dim" })),
    ...scalars,
    ...tensors.filter((t) => t.optional).map((t): ParamSpec => ({ name: `has_${t.name}`, type: "u32", kind: "flag" })),
  ];
  return Object.freeze({ name: entry.name, tensors, dims, scalars, params, flops: entry.flops, bytes: entry.bytes });
}

const TENSOR = /^(\+=\s*)?(?:(f32|u32)\s*)?\(([^()]*)\)$/;

function parseTensor(entryName: string, key: string, notation: string, role: Role): TensorSpec {
  const match = TENSOR.exec(notation.trim());
  if (!match) throw new ContractError(`${entryName}: tensor \`${key}\` must be written "[+= ][dtype ](A, B)", got "${notation}".`);
  const [, accumulate, dtype, axes] = match as unknown as [string, string | undefined, Dtype | undefined, string];
  if (accumulate && role !== "out") throw new ContractError(`${entryName}: only outputs accumulate, but \`${key}\` is ${role}.`);
  return {
    name: key.replace(/\?$/, ""),
    role,
    dtype: dtype ?? "f32",
    optional: key.endsWith("?"),
    accumulates: accumulate !== undefined,
    axes: axes.split(",").map((text) => parseAxis(entryName, text.trim())),
    shapeText: `(${axes})`,
  };
}

/** Axes by their text: nearly all are (N), (C) and the like, and all are parsed when the package is imported. */
const axesByText = new Map<string, Axis>();

function parseAxis(entryName: string, text: string): Axis {
  const known = axesByText.get(text);
  if (known) return known;
  const terms = text.split("+").map((product) => {
    let coefficient = 1;
    const letters: string[] = [];
    for (const factor of product.split("*").map((f) => f.trim())) {
      if (/^\d+$/.test(factor)) coefficient *= Number(factor);
      else if (/^[A-Z]$/.test(factor)) letters.push(factor);
      else throw new ContractError(`${entryName}: an axis is a sum of products of letters and integers, got "${text}".`);
    }
    return { coefficient, letters };
  });
  const only = terms.length === 1 && terms[0]?.coefficient === 1 && terms[0].letters.length === 1 ? terms[0].letters[0] : undefined;
  const axis = { text, terms, letter: only };
  axesByText.set(text, axis);
  return axis;
}
