/**
 * Plans of linear layers of normed rows. Few rows, those of a decoding step, are normed as the product reads them and gated as it writes them, in
 * one pass or, where the depth is sliced, two. Many rows are normed, multiplied and gated one after the other: each tile of columns would norm them
 * again, the passes that are saved no longer count beside the product, and the bits are those of the pass that trains.
 */
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import normedLeft from "../../../wgsl/lib/operand-a-normed.wgsl";
import tilePrelude from "../../../wgsl/lib/tile.wgsl";
import normedMatmulSource from "../../../wgsl/normed-matmul.wgsl";
import type { EntryPoint } from "../../contract";
import { ops, UNARY_KINDS } from "../../ops/index";
import { WEIGHT_FORMATS, type WeightFormat } from "../../weight-formats";
import { type Program, passProgram } from "../program";
import type { Binding } from "../recorder";
import { cut, NARROW, productClass } from "./cut";
import { elementwisePlans } from "./elementwise";
import { f32Programs, forwardPrograms, type LinearPrograms, multiplyForward, SKINNY_ROWS, skinnyVariant } from "./matmul";
import { normPlans } from "./norms";
import { formatPrograms } from "./packed-weight";
import { divide, elements, FLOAT, line, type Plan, type PlanContext, type Values } from "./plan";
import { isMultipleOf4, operands, TILES } from "./tiles";

const PARAMS = "M:u32 K:u32 N:u32 slice:u32 slices:u32 eps:f32 offset:f32 kind:u32 has_bias:u32";

/** What few rows are computed by: for an emulated GPU or not, gated or not, with weights in one format. */
interface FewRows {
  /** By rows, as SKINNY_ROWS says; one on an emulated GPU. */
  readonly skinny: readonly Program[];
  readonly tile: Program;
  readonly slices: Program;
  readonly combine: Program;
}

function fewRowsPrograms(isSoftware: boolean, isGated: boolean, format: WeightFormat | undefined): FewRows {
  const read = operands(true, format, normedLeft);
  const sources = [gridPrelude, mathPrelude, ...read.sources, tilePrelude, normedMatmulSource];
  const { GROUP_X, GROUP_Y, BLOCKS } = TILES.small;
  const common = { GATED: isGated ? 1 : 0, EMULATED: isSoftware ? 1 : 0, ...read.constants };
  const variant = (...words: string[]) =>
    [...words, ...(isGated ? ["gated"] : []), read.variant, ...(isSoftware ? ["emulated"] : [])].join(", ");
  const tiled = (entryPoint: string, access: string) =>
    passProgram(entryPoint, sources, access, PARAMS, { constants: { ...common, GROUP_X, GROUP_Y, BLOCKS }, variant: variant() });
  return {
    skinny: (isSoftware ? SKINNY_ROWS.slice(-1) : SKINNY_ROWS).map((rows) =>
      passProgram("normed_matmul_skinny", sources, "rrrrw", PARAMS, {
        constants: { ...common, SKINNY_ROWS: rows },
        variant: variant(`${rows} rows`),
      }),
    ),
    tile: tiled("normed_matmul_tile", "rrrrw"),
    slices: tiled("normed_matmul_slices", "rrrww"),
    combine: format ? fewRows(isSoftware, isGated).combine : tiled("normed_matmul_combine", "rr-rw"),
  };
}

const made = new Map<string, FewRows>();

export function fewRows(isSoftware: boolean, isGated: boolean, format?: WeightFormat): FewRows {
  const key = `${isSoftware} ${isGated} ${format?.name}`;
  const programs = made.get(key) ?? fewRowsPrograms(isSoftware, isGated, format);
  made.set(key, programs);
  return programs;
}

const isFused = (M: number, K: number) => M <= NARROW && isMultipleOf4(K);

/** `bindings` are x, w, gain, bias and y; `N` rows of w. */
function runFused(
  context: PlanContext,
  programs: FewRows,
  bindings: readonly (Binding | undefined)[],
  values: Values,
  isGated: boolean,
): void {
  const { M, K, N } = values as { M: number; K: number; N: number };
  const [x, w, gain, bias, y] = bindings;
  const blocks = isGated ? divide(N / 2, 2) : divide(N, 4);
  const skinny = skinnyVariant(programs.skinny, M);
  if (skinny) {
    context.run(skinny, bindings, { ...values, slice: K, slices: 1 }, line(blocks));
    return;
  }
  const shape = { rows: M, columns: 4 * blocks, depth: K };
  const choice = context.choiceOf(productClass("forward", shape));
  const { slices, slice, grid } = cut(shape, context.scratchBytes, choice && { ...choice, tile: "small" });
  if (slices === 1) {
    context.run(programs.tile, bindings, { ...values, slice, slices }, grid);
    return;
  }
  const partials = context.scratch(slices * M * 4 * blocks * FLOAT);
  const squares = context.scratch(slices * M * FLOAT);
  context.run(programs.slices, [x, w, gain, partials, squares], { ...values, slice, slices }, grid);
  context.run(programs.combine, [partials, squares, undefined, bias, y], { ...values, slice, slices }, elements(M * blocks));
}

const planOf = (entry: EntryPoint) => [...normPlans, ...elementwisePlans].find((plan) => plan.entry === entry) as Plan;
const shift = planOf(ops.unary.forward);
const norm = planOf(ops.rmsNorm.forward);
const gate = planOf(ops.gatedActivation.forward);

function runInTurn(
  context: PlanContext,
  linear: LinearPrograms,
  bindings: readonly (Binding | undefined)[],
  values: Values,
  isGated: boolean,
): void {
  const { M, K, N, eps, offset, kind } = values as Record<"M" | "K" | "N" | "eps" | "offset" | "kind", number>;
  const [x, w, weights, bias, y] = bindings;
  let gain = weights;
  if (offset !== 0) {
    gain = context.scratch(K * FLOAT);
    shift.run(context, [weights, gain], { N: K, kind: UNARY_KINDS.affine, a: 1, b: offset });
  }
  const rows = context.scratch(M * K * FLOAT);
  norm.run(context, [x, gain, rows, context.scratch(M * FLOAT)], { N: M, C: K, eps });
  const both = isGated ? context.scratch(M * N * FLOAT) : y;
  multiplyForward(context, linear, [rows, w, bias, undefined, both], values);
  if (isGated) gate.run(context, [both, y], { N: M, F: N / 2, kind });
}

/** `formatOf`: the weights' format from a call's values, undefined for f32. */
function plan(entry: EntryPoint, isGated: boolean, formatOf: (values: Values) => WeightFormat | undefined): Plan {
  return {
    entry,
    programs: ({ isSoftware }, sizes) => {
      const { M, K } = sizes;
      if (entry.scalars.some(({ name }) => name === "format") && sizes.format === undefined) return [];
      const format = formatOf(sizes);
      const { skinny, tile, slices, combine } = fewRows(isSoftware, isGated, format);
      if (M !== undefined && K !== undefined && isFused(M, K)) {
        const program = skinnyVariant(skinny, M);
        return program ? [program] : [tile, slices, combine];
      }
      const parts = [norm, ...(isGated ? [gate] : [])].flatMap((part) => part.programs({ isSoftware }, K === undefined ? {} : { C: K }));
      return [...parts, ...forwardPrograms(linearOf(format), isSoftware, sizes)];
    },
    run: (context, tensors, values) => {
      const format = formatOf(values);
      const all = { kind: 0, ...values, N: isGated ? 2 * (values.F as number) : (values.N as number) };
      if (isFused(values.M as number, values.K as number))
        runFused(context, fewRows(context.isSoftware, isGated, format), tensors, all, isGated);
      else runInTurn(context, linearOf(format), tensors, all, isGated);
    },
  };
}

const linearOf = (format: WeightFormat | undefined): LinearPrograms => (format ? formatPrograms(format).linear : f32Programs);
const inF32 = () => undefined;
const packed = ({ format }: Values) => Object.values(WEIGHT_FORMATS).find(({ id }) => id === format);

export const normedMatmulPlans: Plan[] = [
  plan(ops.normedMatmul.forward, false, inF32),
  plan(ops.normedMatmul.gated, true, inF32),
  plan(ops.normedMatmul.packedForward, false, packed),
  plan(ops.normedMatmul.packedGated, true, packed),
];
