/** Products in tiles and slices; the plans of matmul. */
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import tilePrelude from "../../../wgsl/lib/tile.wgsl";
import matmulSource from "../../../wgsl/matmul.wgsl";
import matmulCombineSource from "../../../wgsl/matmul-combine.wgsl";
import type { EntryPoint } from "../../contract";
import { ops } from "../../ops/index";
import type { ProductLayout } from "../../tuning";
import type { WeightFormat } from "../../weight-formats";
import { contractProgram, type Program, passProgram } from "../program";
import type { Binding } from "../recorder";
import { columnBlocks, columnGrid, columnSumsCombine, columnSumsPartial, combineColumns } from "./column-sums";
import { cut, type ProductShape, productClass } from "./cut";
import { divide, elements, FLOAT, line, type Plan, type PlanContext, type Values } from "./plan";
import { isMultipleOf4, operands, type Tiled, tiled } from "./tiles";

const contractTiles = (entry: EntryPoint) =>
  tiled(matmulSource, [], (sources, variant, constants) => contractProgram(entry, sources, { constants, variant }));
export const matmulBackwardWeight = contractTiles(ops.matmul.backwardWeight);
export const matmulAddInput = tiled(matmulSource, [], (sources, variant, constants) =>
  contractProgram(ops.matmul.backwardInput, sources, { constants: { ...constants, ACCUMULATE: 1 }, variant: `${variant}, adding` }),
);

const sliceTiles = (alongDepthA: number, alongDepthB: number, layout: string, format?: WeightFormat) =>
  tiled(
    matmulSource,
    [],
    (sources, variant, constants) =>
      passProgram("matmul_slices", sources, "rrw", "rows:u32 columns:u32 depth:u32 slice:u32", {
        constants: { ...constants, A_ALONG_DEPTH: alongDepthA, B_ALONG_DEPTH: alongDepthB },
        variant: `${layout}, ${variant}`,
      }),
    format,
  );
export const weightSlices = sliceTiles(0, 0, "dyᵀ x");
export const matmulCombine = passProgram(
  "matmul_combine",
  [gridPrelude, matmulCombineSource],
  "rrrw",
  "count:u32 columns:u32 slices:u32 has_bias:u32 has_addend:u32 accumulate:u32",
);

/** Rows up to which a forward product reads w once, row by row. */
export const SKINNY_ROWS = [1, 2, 4, 8] as const;
const FORWARD_PARAMS = "M:u32 K:u32 N:u32 has_bias:u32 has_addend:u32";

const skinnyVariants = (format?: WeightFormat): Program[][][] =>
  [false, true].map((isSoftware) =>
    [false, true].map((isAligned) => {
      const read = operands(isAligned, format);
      return (isSoftware ? [8] : SKINNY_ROWS).map((rows) =>
        passProgram("matmul_forward_skinny", [...read.sources, tilePrelude, matmulSource], "rrrrw", FORWARD_PARAMS, {
          constants: { SKINNY_ROWS: rows, EMULATED: isSoftware ? 1 : 0, ...read.constants },
          variant: [`${rows} rows`, read.variant, ...(isSoftware ? ["emulated"] : [])].join(", "),
        }),
      );
    }),
  );

/** The programs of a linear layer that read its weights. */
export interface LinearPrograms {
  readonly forward: Tiled;
  readonly forwardSlices: Tiled;
  /** By whether the GPU is emulated, whether x is aligned, and rows. */
  readonly skinny: readonly (readonly (readonly Program[])[])[];
  readonly input: Tiled;
  readonly inputSlices: Tiled;
}

export const f32Programs: LinearPrograms = {
  forward: contractTiles(ops.matmul.forward),
  forwardSlices: sliceTiles(1, 1, "x wᵀ"),
  skinny: skinnyVariants(),
  input: contractTiles(ops.matmul.backwardInput),
  inputSlices: sliceTiles(1, 0, "dy w"),
};

/** The same programs over weights in low precision. */
export const packedPrograms = (format: WeightFormat): LinearPrograms => ({
  forward: tiled(
    matmulSource,
    [],
    (sources, variant, constants) => passProgram("matmul_forward", sources, "rrrrw", FORWARD_PARAMS, { constants, variant }),
    format,
  ),
  forwardSlices: sliceTiles(1, 1, "x wᵀ", format),
  skinny: skinnyVariants(format),
  input: tiled(
    matmulSource,
    [],
    (sources, variant, constants) => passProgram("matmul_backward_input", sources, "rrw", "M:u32 N:u32 K:u32", { constants, variant }),
    format,
  ),
  inputSlices: sliceTiles(1, 0, "dy w", format),
});

/** The program for M rows, of one for each of SKINNY_ROWS or, on an emulated GPU, one for all; undefined where M is more. */
export function skinnyVariant(programs: readonly Program[], M: number): Program | undefined {
  const at = SKINNY_ROWS.findIndex((rows) => M <= rows);
  return at < 0 ? undefined : programs[Math.min(at, programs.length - 1)];
}

const skinnyProgram = ({ skinny }: LinearPrograms, isSoftware: boolean, M: number, isAligned: boolean) =>
  skinnyVariant(skinny[isSoftware ? 1 : 0]![isAligned ? 1 : 0]!, M);

interface Product extends ProductShape {
  readonly layout: ProductLayout;
  readonly whole: Tiled;
  readonly sliced: Tiled;
  readonly isAligned: boolean;
  readonly accumulates: boolean;
}

/** Runs a product whole, or in slices and a combining pass. `bindings` are those of the whole program; the result is the last. */
function multiply(context: PlanContext, product: Product, bindings: readonly (Binding | undefined)[], values: Values): void {
  const { layout, whole, sliced, rows, columns, depth, isAligned, accumulates } = product;
  const { tile, slices, slice, grid } = cut(product, context.scratchBytes, context.choiceOf(productClass(layout, product)));
  if (slices === 1) {
    context.run(whole.pick(context.isSoftware, tile, isAligned), bindings, values, grid);
    return;
  }
  const count = rows * columns;
  const partials = context.scratch(slices * count * FLOAT);
  const [a, b] = bindings;
  const [bias, addend] = bindings.length === 5 ? [bindings[2], bindings[3]] : [];
  context.run(sliced.pick(context.isSoftware, tile, isAligned), [a, b, partials], { rows, columns, depth, slice }, grid);
  const flags = { has_bias: bias ? 1 : 0, has_addend: addend ? 1 : 0, accumulate: accumulates ? 1 : 0 };
  context.run(matmulCombine, [partials, bias, addend, bindings.at(-1)], { count, columns, slices, ...flags }, elements(count));
}

/** `bindings` are x, w, bias, addend and y. */
export function multiplyForward(
  context: PlanContext,
  programs: LinearPrograms,
  bindings: readonly (Binding | undefined)[],
  { M, K, N }: Values,
): void {
  const isAligned = isMultipleOf4(K!);
  const values = { M: M!, K: K!, N: N!, has_bias: bindings[2] ? 1 : 0, has_addend: bindings[3] ? 1 : 0 };
  const skinny = skinnyProgram(programs, context.isSoftware, M!, isAligned);
  if (skinny) {
    context.run(skinny, bindings, values, line(divide(N!, 4)));
    return;
  }
  const { forward: whole, forwardSlices: sliced } = programs;
  const product = { layout: "forward", whole, sliced, rows: M!, columns: N!, depth: K!, isAligned, accumulates: false } as const;
  multiply(context, product, bindings, values);
}

/** `bindings` are dy, w and dx, which is added to where `adds`; w is then in f32. */
export function multiplyInput(
  context: PlanContext,
  programs: LinearPrograms,
  bindings: readonly (Binding | undefined)[],
  { M, N, K }: Values,
  adds = false,
): void {
  const whole = adds ? matmulAddInput : programs.input;
  const sliced = programs.inputSlices;
  const isAligned = isMultipleOf4(N!, K!);
  const product = { layout: "input", whole, sliced, rows: M!, columns: K!, depth: N!, isAligned, accumulates: adds } as const;
  multiply(context, product, bindings, { M: M!, N: N!, K: K! });
}

export function multiplyWeight(context: PlanContext, bindings: readonly (Binding | undefined)[], M: number, N: number, K: number): void {
  const whole = matmulBackwardWeight;
  const isAligned = isMultipleOf4(N, K);
  const product = { layout: "weight", whole, sliced: weightSlices, rows: N, columns: K, depth: M, isAligned, accumulates: true } as const;
  multiply(context, product, bindings, { M, N, K });
}

/** The variants that a model's products come to use: both tiles, aligned, whole and sliced. */
export const usualTiles = (isSoftware: boolean, ...programs: Tiled[]) =>
  programs.flatMap((program) => [program.pick(isSoftware, "large", true), program.pick(isSoftware, "small", true)]);

/** Those of {@link multiplyForward}. */
export function forwardPrograms(
  programs: LinearPrograms,
  isSoftware: boolean,
  { M, K }: { readonly M?: number | undefined; readonly K?: number | undefined },
): Program[] {
  const skinny = M !== undefined && K !== undefined ? skinnyProgram(programs, isSoftware, M, isMultipleOf4(K)) : undefined;
  return skinny ? [skinny] : [...usualTiles(isSoftware, programs.forward, programs.forwardSlices), matmulCombine];
}

/** Those of {@link multiplyInput}. */
export const inputPrograms = ({ input, inputSlices }: LinearPrograms, isSoftware: boolean): Program[] => [
  ...usualTiles(isSoftware, input, inputSlices),
  matmulCombine,
];

export const matmulPlans: Plan[] = [
  {
    entry: ops.matmul.forward,
    programs: ({ isSoftware }, sizes) => forwardPrograms(f32Programs, isSoftware, sizes),
    run: (context, tensors, values) => multiplyForward(context, f32Programs, tensors, values),
  },
  {
    entry: ops.matmul.backwardInput,
    programs: ({ isSoftware }) => inputPrograms(f32Programs, isSoftware),
    run: (context, tensors, values) => multiplyInput(context, f32Programs, tensors, values),
  },
  {
    entry: ops.matmul.backwardWeight,
    programs: ({ isSoftware }) => [...usualTiles(isSoftware, matmulBackwardWeight, weightSlices), matmulCombine],
    run: (context, tensors, { M, N, K }) => multiplyWeight(context, tensors, M!, N!, K!),
  },
  {
    entry: ops.matmul.backwardBias,
    programs: () => [columnSumsPartial, columnSumsCombine],
    run: (context, [dy, db], values) => {
      const { M, N } = values as { M: number; N: number };
      const blocks = columnBlocks(M);
      const partials = context.scratch(blocks * N * FLOAT);
      context.run(columnSumsPartial, [dy, partials], values, columnGrid(N, blocks));
      combineColumns(context, partials, db, N, blocks);
    },
  },
];
