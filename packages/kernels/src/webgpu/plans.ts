/** How each entry point runs on the GPU: its programs, grids, tiles and scratch. Nothing else knows them. */
import adamwSource from "../../wgsl/adamw.wgsl";
import attentionSource from "../../wgsl/attention.wgsl";
import columnSumsSource from "../../wgsl/column-sums.wgsl";
import dropoutSource from "../../wgsl/dropout.wgsl";
import elementwiseSource from "../../wgsl/elementwise.wgsl";
import embeddingSource from "../../wgsl/embedding.wgsl";
import gatedActivationSource from "../../wgsl/gated-activation.wgsl";
import headNormSource from "../../wgsl/head-norm.wgsl";
import kvCacheSource from "../../wgsl/kv-cache.wgsl";
import layerNormSource from "../../wgsl/layer-norm.wgsl";
import gridPrelude from "../../wgsl/lib/grid.wgsl";
import scalarHeads from "../../wgsl/lib/heads-scalar.wgsl";
import vectorHeads from "../../wgsl/lib/heads-vec4.wgsl";
import mathPrelude from "../../wgsl/lib/math.wgsl";
import scalarOperands from "../../wgsl/lib/operands-scalar.wgsl";
import vectorOperands from "../../wgsl/lib/operands-vec4.wgsl";
import reducePrelude from "../../wgsl/lib/reduce.wgsl";
import smallRegisters from "../../wgsl/lib/registers-128.wgsl";
import largeRegisters from "../../wgsl/lib/registers-256.wgsl";
import threefryPrelude from "../../wgsl/lib/threefry.wgsl";
import tilePrelude from "../../wgsl/lib/tile.wgsl";
import matmulSource from "../../wgsl/matmul.wgsl";
import matmulCombineSource from "../../wgsl/matmul-combine.wgsl";
import policyLossSource from "../../wgsl/policy-loss.wgsl";
import rmsNormSource from "../../wgsl/rms-norm.wgsl";
import ropeSource from "../../wgsl/rope.wgsl";
import sampleSource from "../../wgsl/sample.wgsl";
import segmentSource from "../../wgsl/segment.wgsl";
import tokenLogprobSource from "../../wgsl/token-logprob.wgsl";
import tokenLogprobRowsSource from "../../wgsl/token-logprob-rows.wgsl";
import vocabGatherSource from "../../wgsl/vocab-gather.wgsl";
import vocabPairSource from "../../wgsl/vocab-pair.wgsl";
import type { EntryPoint } from "../contract";
import { ShapeError } from "../errors";
import { ops } from "../ops/index";
import { contractProgram, type Program, passProgram } from "./program";
import type { Binding, Grid } from "./recorder";

/** Sizes of the dimension letters and values of scalars and flags, by name. */
type Values = Readonly<Record<string, number>>;

/** What a plan works with. */
export interface PlanContext {
  /** True on a GPU emulated by a CPU. */
  readonly isSoftware: boolean;
  /** Most bytes of scratch that one op should take. */
  readonly scratchBytes: number;
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

const FLOAT = 4;
/** WebGPU's default and, in practice, only limit of workgroups in one dimension of a grid. */
const MAX_GROUPS = 65_535;
/** Threads of an elementwise workgroup: ELEMENTWISE in lib/grid.wgsl. */
const ELEMENTWISE = 256;
/** Workgroups that keep a large GPU busy; a fixed number, so that results do not depend on the device's size. */
const BUSY_GROUPS = 256;

const divide = (count: number, by: number) => Math.ceil(count / by);

/** `groups` workgroups in a line, folded into two dimensions where one is too short. */
function line(groups: number): Grid {
  const rows = Math.max(1, divide(groups, MAX_GROUPS));
  return [divide(groups, rows), rows, 1];
}

/** One thread per element. */
const elements = (count: number): Grid => line(divide(count, ELEMENTWISE));

/** Part of a binding. */
const part = (binding: Binding, offset: number, bytes: number): Binding => ({
  block: binding.block,
  offset: binding.offset + offset,
  bytes,
});

/** A plan of one dispatch. */
function single(program: Program, grid: (values: Values) => Grid): Plan {
  const programs = [program];
  return {
    entry: program.entry as EntryPoint,
    programs: () => programs,
    run: (context, tensors, values) => context.run(program, tensors, values, grid(values)),
  };
}

const size = (values: Values, ...letters: string[]) => letters.reduce((product, letter) => product * (values[letter] as number), 1);

// Elementwise -------------------------------------------------------------------------------------------------------

const elementwise = [gridPrelude, mathPrelude, elementwiseSource];
const perElement = (entry: EntryPoint, sources: readonly string[], ...letters: string[]) =>
  single(contractProgram(entry, sources), (values) => elements(size(values, ...letters)));

const elementwisePlans = [
  perElement(ops.unary.forward, elementwise, "N"),
  perElement(ops.unary.backward, elementwise, "N"),
  perElement(ops.binary.forward, elementwise, "N"),
  perElement(ops.binary.backward, elementwise, "N"),
  perElement(ops.accumulate.add, elementwise, "N"),
  perElement(ops.fill.set, elementwise, "N"),
  perElement(ops.dropout.apply, [gridPrelude, threefryPrelude, dropoutSource], "N"),
  perElement(ops.embedding.forward, [gridPrelude, embeddingSource], "N", "C"),
  perElement(ops.embedding.backward, [gridPrelude, embeddingSource], "U", "C"),
  perElement(ops.gatedActivation.forward, [gridPrelude, mathPrelude, gatedActivationSource], "N", "F"),
  perElement(ops.gatedActivation.backward, [gridPrelude, mathPrelude, gatedActivationSource], "N", "F"),
  perElement(ops.rope.rotate, [gridPrelude, ropeSource], "N", "heads", "R"),
];

// Segments ----------------------------------------------------------------------------------------------------------

const segment = [gridPrelude, reducePrelude, segmentSource];
const segmentPlans = [
  single(contractProgram(ops.segment.sum, segment, { constants: { WORKGROUP: 64 } }), ({ S }) => line(S!)),
  single(contractProgram(ops.segment.broadcast, segment), ({ N }) => elements(N!)),
];

// Sums over rows ----------------------------------------------------------------------------------------------------

/** Rows that one thread of a column sum adds up at least; more where there would be too many blocks to combine. */
const COLUMN_BLOCK_ROWS = 32;
const MAX_COLUMN_BLOCKS = 128;
const columnBlocks = (rows: number) => Math.min(MAX_COLUMN_BLOCKS, Math.max(1, divide(rows, COLUMN_BLOCK_ROWS)));
const columnGrid = (columns: number, blocks: number): Grid => [divide(columns, 64), blocks, 1];

const columnSumsPartial = passProgram("column_sums_partial", [columnSumsSource], "rw", "M:u32 N:u32");
const columnSumsCombine = passProgram("column_sums_combine", [columnSumsSource], "rw", "C:u32 blocks:u32");

/** total += Σ over the blocks of `partials` (blocks, C). */
function combineColumns(context: PlanContext, partials: Binding, total: Binding | undefined, C: number, blocks: number): void {
  context.run(columnSumsCombine, [partials, total], { C, blocks }, [divide(C, 64), 1, 1]);
}

// Norms -------------------------------------------------------------------------------------------------------------

/** A row reduction wants threads for about four elements each, and no more than a default workgroup has. */
const ROW_THREADS = [64, 256] as const;
const rowVariants = (make: (variant: string, constants: Readonly<Record<string, number>>) => Program) =>
  ROW_THREADS.map((threads) => make(`${threads} threads`, { WORKGROUP: threads }));
const rowVariant = (programs: readonly Program[], C: number) => programs[C > 512 ? 1 : 0] as Program;

const rmsNorm = [gridPrelude, reducePrelude, rmsNormSource];
const rmsNormForward = rowVariants((variant, constants) => contractProgram(ops.rmsNorm.forward, rmsNorm, { constants, variant }));
const rmsNormBackwardInput = rowVariants((variant, constants) =>
  passProgram("rms_norm_backward_input", rmsNorm, "rrrrw", "N:u32 C:u32", { constants, variant }),
);
const rmsNormBackwardWeight = passProgram("rms_norm_backward_weight", rmsNorm, "rr-rw", "N:u32 C:u32");

const layerNorm = [gridPrelude, reducePrelude, layerNormSource];
const layerNormForward = rowVariants((variant, constants) => contractProgram(ops.layerNorm.forward, layerNorm, { constants, variant }));
const layerNormBackwardInput = rowVariants((variant, constants) =>
  passProgram("layer_norm_backward_input", layerNorm, "rrrrrw", "N:u32 C:u32", { constants, variant }),
);
const layerNormBackwardWeight = passProgram("layer_norm_backward_weight", layerNorm, "rr-rrww", "N:u32 C:u32");

const headNorm = [gridPrelude, headNormSource];
/** THREADS of head-norm.wgsl, and how many of them share a part: few for a head, all for the width of all heads. */
const PART_THREADS = 64;
const PART_LANES = [16, 64] as const;
const WIDE_PART = 256;
const HEAD_NORM_PARAMS = "N:u32 A:u32 B:u32 H:u32 K:u32";
const partVariants = (make: (variant: string, constants: Readonly<Record<string, number>>) => Program) =>
  PART_LANES.map((LANES) => make(`${LANES} lanes`, { LANES }));
const partVariant = (programs: readonly Program[], A: number) => programs[A > WIDE_PART ? 1 : 0] as Program;
const partGrid = ({ N, A, H, K }: Values) => line(divide(N! * (H! + 2 * K!), PART_THREADS / PART_LANES[A! > WIDE_PART ? 1 : 0]!));
const headNormForward = partVariants((variant, constants) => contractProgram(ops.headNorm.forward, headNorm, { constants, variant }));
const headNormBackwardInput = partVariants((variant, constants) =>
  passProgram("head_norm_backward_input", headNorm, "rrrrrw", HEAD_NORM_PARAMS, { constants, variant }),
);
const headNormBackwardWeight = passProgram("head_norm_backward_weight", headNorm, "rr--rww", HEAD_NORM_PARAMS);

const normPlans: Plan[] = [
  {
    entry: ops.rmsNorm.forward,
    programs: (_, { C }) => (C === undefined ? rmsNormForward : [rowVariant(rmsNormForward, C)]),
    run: (context, tensors, values) => context.run(rowVariant(rmsNormForward, values.C!), tensors, values, line(values.N!)),
  },
  {
    entry: ops.rmsNorm.backward,
    programs: (_, { C }) => [
      ...(C === undefined ? rmsNormBackwardInput : [rowVariant(rmsNormBackwardInput, C)]),
      rmsNormBackwardWeight,
      columnSumsCombine,
    ],
    run: (context, [dy, x, w, rstd, dx, dw], values) => {
      const { N, C } = values as { N: number; C: number };
      context.run(rowVariant(rmsNormBackwardInput, C), [dy, x, w, rstd, dx], values, line(N));
      const blocks = columnBlocks(N);
      const partials = context.scratch(blocks * C * FLOAT);
      context.run(rmsNormBackwardWeight, [dy, x, undefined, rstd, partials], values, columnGrid(C, blocks));
      combineColumns(context, partials, dw, C, blocks);
    },
  },
  {
    entry: ops.layerNorm.forward,
    programs: (_, { C }) => (C === undefined ? layerNormForward : [rowVariant(layerNormForward, C)]),
    run: (context, tensors, values) => context.run(rowVariant(layerNormForward, values.C!), tensors, values, line(values.N!)),
  },
  {
    entry: ops.layerNorm.backward,
    programs: (_, { C }) => [
      ...(C === undefined ? layerNormBackwardInput : [rowVariant(layerNormBackwardInput, C)]),
      layerNormBackwardWeight,
      columnSumsCombine,
    ],
    run: (context, [dy, x, w, mean, rstd, dx, dw, db], values) => {
      const { N, C } = values as { N: number; C: number };
      context.run(rowVariant(layerNormBackwardInput, C), [dy, x, w, mean, rstd, dx], values, line(N));
      const blocks = columnBlocks(N);
      const weightPartials = context.scratch(blocks * C * FLOAT);
      const biasPartials = context.scratch(blocks * C * FLOAT);
      const bindings = [dy, x, undefined, mean, rstd, weightPartials, biasPartials];
      context.run(layerNormBackwardWeight, bindings, values, columnGrid(C, blocks));
      combineColumns(context, weightPartials, dw, C, blocks);
      combineColumns(context, biasPartials, db, C, blocks);
    },
  },
  {
    entry: ops.headNorm.forward,
    programs: (_, { A }) => (A === undefined ? headNormForward : [partVariant(headNormForward, A)]),
    run: (context, tensors, values) => context.run(partVariant(headNormForward, values.A!), tensors, values, partGrid(values)),
  },
  {
    entry: ops.headNorm.backward,
    programs: (_, { A }) => [
      ...(A === undefined ? headNormBackwardInput : [partVariant(headNormBackwardInput, A)]),
      headNormBackwardWeight,
      columnSumsCombine,
    ],
    run: (context, [dy, x, wq, wk, rstd, dx, dwq, dwk], values) => {
      const { N, A, B } = values as { N: number; A: number; B: number };
      context.run(partVariant(headNormBackwardInput, A), [dy, x, wq, wk, rstd, dx], values, partGrid(values));
      const blocks = columnBlocks(N);
      const queryPartials = context.scratch(blocks * A * FLOAT);
      const keyPartials = context.scratch(blocks * B * FLOAT);
      const bindings = [dy, x, undefined, undefined, rstd, queryPartials, keyPartials];
      context.run(headNormBackwardWeight, bindings, values, columnGrid(Math.max(A, B), blocks));
      combineColumns(context, queryPartials, dwq, A, blocks);
      combineColumns(context, keyPartials, dwk, B, blocks);
    },
  },
];

// Products ----------------------------------------------------------------------------------------------------------

/** Threads of a tile; each computes 8 rows by 4 columns. */
const TILES = {
  large: { GROUP_X: 16, GROUP_Y: 8, rows: 64, columns: 64 },
  small: { GROUP_X: 8, GROUP_Y: 4, rows: 32, columns: 32 },
} as const;
type TileName = keyof typeof TILES;

/** Depth of one stage in lib/tile.wgsl; slices of the depth are multiples of it. */
const STAGE_DEPTH = 16;
/** A slice of the depth is worth its second pass from here on. */
const MIN_SLICE = 256;
const MAX_SLICES = 32;

/** All variants of a tiled program: staged or not, tile, aligned or not. */
interface Tiled {
  pick(isSoftware: boolean, tile: TileName, isAligned: boolean): Program;
}

function tiled(
  source: string,
  preludes: readonly string[],
  make: (sources: readonly string[], variant: string, constants: Readonly<Record<string, number>>) => Program,
): Tiled {
  const variants = new Map<string, Program>();
  for (const isSoftware of [false, true]) {
    for (const tile of ["large", "small"] as const) {
      for (const isAligned of [false, true]) {
        const variant = [tile, isAligned ? "vec4" : "scalar", ...(isSoftware ? ["unstaged"] : [])].join(", ");
        const { GROUP_X, GROUP_Y } = TILES[tile];
        const constants = { GROUP_X, GROUP_Y, UNSTAGED: isSoftware ? 1 : 0 };
        const sources = [isAligned ? vectorOperands : scalarOperands, tilePrelude, ...preludes, source];
        variants.set(`${isSoftware} ${tile} ${isAligned}`, make(sources, variant, constants));
      }
    }
  }
  return { pick: (isSoftware, tile, isAligned) => variants.get(`${isSoftware} ${tile} ${isAligned}`) as Program };
}

const contractTiles = (entry: EntryPoint) =>
  tiled(matmulSource, [], (sources, variant, constants) => contractProgram(entry, sources, { constants, variant }));
const matmulForward = contractTiles(ops.matmul.forward);
const matmulBackwardWeight = contractTiles(ops.matmul.backwardWeight);
const matmulBackwardInput = contractTiles(ops.matmul.backwardInput);
const matmulAddInput = tiled(matmulSource, [], (sources, variant, constants) =>
  contractProgram(ops.matmul.backwardInput, sources, { constants: { ...constants, ACCUMULATE: 1 }, variant: `${variant}, adding` }),
);

const sliceTiles = (alongDepthA: number, alongDepthB: number, layout: string) =>
  tiled(matmulSource, [], (sources, variant, constants) =>
    passProgram("matmul_slices", sources, "rrw", "rows:u32 columns:u32 depth:u32 slice:u32", {
      constants: { ...constants, A_ALONG_DEPTH: alongDepthA, B_ALONG_DEPTH: alongDepthB },
      variant: `${layout}, ${variant}`,
    }),
  );
const forwardSlices = sliceTiles(1, 1, "x wᵀ");
const inputSlices = sliceTiles(1, 0, "dy w");
const weightSlices = sliceTiles(0, 0, "dyᵀ x");
const matmulCombine = passProgram(
  "matmul_combine",
  [gridPrelude, matmulCombineSource],
  "rrrw",
  "count:u32 columns:u32 slices:u32 has_bias:u32 has_addend:u32 accumulate:u32",
);

/** Rows up to which a forward product reads w once, row by row. */
const SKINNY_ROWS = [1, 2, 4, 8] as const;
const skinnyPrograms = [false, true].map((isSoftware) =>
  [false, true].map((isAligned) =>
    (isSoftware ? [8] : SKINNY_ROWS).map((rows) =>
      passProgram(
        "matmul_forward_skinny",
        [isAligned ? vectorOperands : scalarOperands, tilePrelude, matmulSource],
        "rrrrw",
        "M:u32 K:u32 N:u32 has_bias:u32 has_addend:u32",
        {
          constants: { SKINNY_ROWS: rows, UNSTAGED: isSoftware ? 1 : 0 },
          variant: [`${rows} rows`, isAligned ? "vec4" : "scalar", ...(isSoftware ? ["rolled"] : [])].join(", "),
        },
      ),
    ),
  ),
);
function skinnyProgram(isSoftware: boolean, M: number, isAligned: boolean): Program | undefined {
  const programs = skinnyPrograms[isSoftware ? 1 : 0]![isAligned ? 1 : 0]!;
  if (M > SKINNY_ROWS.at(-1)!) return undefined;
  return isSoftware ? programs[0] : programs[SKINNY_ROWS.findIndex((rows) => M <= rows)];
}

/** A product (rows, depth) · (depth, columns) cut into tiles, and its depth into slices where the tiles are few. */
interface Cut {
  readonly tile: TileName;
  readonly slices: number;
  /** Depth of one slice. */
  readonly slice: number;
  readonly grid: Grid;
}

function cut(rows: number, columns: number, depth: number, scratchBytes: number): Cut {
  const count = (name: TileName) => divide(rows, TILES[name].rows) * divide(columns, TILES[name].columns);
  const tile: TileName = rows > 32 && columns > 32 && count("large") >= BUSY_GROUPS / 4 ? "large" : "small";
  const wanted = Math.min(
    Math.floor(BUSY_GROUPS / count(tile)),
    Math.floor(depth / MIN_SLICE),
    Math.floor(scratchBytes / (rows * columns * FLOAT)),
    MAX_SLICES,
  );
  const slice = divide(divide(depth, Math.max(1, wanted)), STAGE_DEPTH) * STAGE_DEPTH;
  const slices = Math.max(1, divide(depth, slice || 1));
  return { tile, slices, slice, grid: [divide(columns, TILES[tile].columns), divide(rows, TILES[tile].rows), slices] };
}

interface Product {
  readonly whole: Tiled;
  readonly sliced: Tiled;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly isAligned: boolean;
  readonly accumulates: boolean;
}

/** Runs a product whole, or in slices and a combining pass. `bindings` are those of the whole program; the result is the last. */
function multiply(context: PlanContext, product: Product, bindings: readonly (Binding | undefined)[], values: Values): void {
  const { whole, sliced, rows, columns, depth, isAligned, accumulates } = product;
  const { tile, slices, slice, grid } = cut(rows, columns, depth, context.scratchBytes);
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

const isMultipleOf4 = (...counts: number[]) => counts.every((count) => count % 4 === 0);

/** `bindings` are x, w, bias, addend and y. */
function multiplyForward(context: PlanContext, bindings: readonly (Binding | undefined)[], M: number, K: number, N: number): void {
  const isAligned = isMultipleOf4(K);
  const values = { M, K, N, has_bias: bindings[2] ? 1 : 0, has_addend: bindings[3] ? 1 : 0 };
  const skinny = skinnyProgram(context.isSoftware, M, isAligned);
  if (skinny) {
    context.run(skinny, bindings, values, line(divide(N, 4)));
    return;
  }
  const product = { whole: matmulForward, sliced: forwardSlices, rows: M, columns: N, depth: K, isAligned, accumulates: false };
  multiply(context, product, bindings, values);
}

function multiplyInput(
  context: PlanContext,
  bindings: readonly (Binding | undefined)[],
  M: number,
  N: number,
  K: number,
  adds: boolean,
): void {
  const whole = adds ? matmulAddInput : matmulBackwardInput;
  const product = { whole, sliced: inputSlices, rows: M, columns: K, depth: N, isAligned: isMultipleOf4(N, K), accumulates: adds };
  multiply(context, product, bindings, { M, N, K });
}

function multiplyWeight(context: PlanContext, bindings: readonly (Binding | undefined)[], M: number, N: number, K: number): void {
  const whole = matmulBackwardWeight;
  const product = { whole, sliced: weightSlices, rows: N, columns: K, depth: M, isAligned: isMultipleOf4(N, K), accumulates: true };
  multiply(context, product, bindings, { M, N, K });
}

/** The variants that a model's products come to use: both tiles, aligned, whole and sliced. */
const usualTiles = (isSoftware: boolean, ...programs: Tiled[]) =>
  programs.flatMap((program) => [program.pick(isSoftware, "large", true), program.pick(isSoftware, "small", true)]);

/** Those of {@link multiplyForward}. */
function forwardPrograms(isSoftware: boolean, M: number | undefined, K: number | undefined): Program[] {
  const skinny = M !== undefined && K !== undefined ? skinnyProgram(isSoftware, M, isMultipleOf4(K)) : undefined;
  return skinny ? [skinny] : [...usualTiles(isSoftware, matmulForward, forwardSlices), matmulCombine];
}

const matmulPlans: Plan[] = [
  {
    entry: ops.matmul.forward,
    programs: ({ isSoftware }, { M, K }) => forwardPrograms(isSoftware, M, K),
    run: (context, tensors, { M, K, N }) => multiplyForward(context, tensors, M!, K!, N!),
  },
  {
    entry: ops.matmul.backwardInput,
    programs: ({ isSoftware }) => [...usualTiles(isSoftware, matmulBackwardInput, inputSlices), matmulCombine],
    run: (context, tensors, { M, N, K }) => multiplyInput(context, tensors, M!, N!, K!, false),
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

// Attention ---------------------------------------------------------------------------------------------------------

/** Rows of one tile and channels of one chunk in attention.wgsl. */
const ATTENTION_TILE = 32;
const MAX_HEAD_CHANNELS = 256;
const ATTENTION_PARAMS = "N:u32 S:u32 H:u32 K:u32 D:u32 scale:f32 cap:f32 window:u32";

/** By unrolling and alignment, then for heads of up to 32, 64, 96, 128 and 256 channels, whose register tiles differ. */
const attentionVariants = [true, false].map((isUnrolled) =>
  [false, true].map((isAligned) =>
    (isUnrolled ? [1, 2, 3, 4, 8] : [4, 8]).map((CHUNKS) => {
      const registers = CHUNKS > 4 ? largeRegisters : smallRegisters;
      const sources = [mathPrelude, isAligned ? vectorHeads : scalarHeads, registers, attentionSource];
      const variant = [`D up to ${32 * CHUNKS}`, isAligned ? "vec4" : "scalar", ...(isUnrolled ? [] : ["rolled"])].join(", ");
      const options = { constants: { CHUNKS, UNROLLED: isUnrolled ? 1 : 0 }, variant };
      return {
        chunks: CHUNKS,
        forward: contractProgram(ops.attention.forward, sources, options),
        query: passProgram("attention_backward_query", sources, "rrrrrw", ATTENTION_PARAMS, options),
        key: passProgram("attention_backward_key", sources, "rrrrrw", ATTENTION_PARAMS, options),
      };
    }),
  ),
);
const attentionDelta = passProgram(
  "attention_backward_delta",
  [mathPrelude, scalarHeads, smallRegisters, attentionSource],
  "r-r-w",
  ATTENTION_PARAMS,
);

function attentionVariant(isSoftware: boolean, D: number) {
  if (D < 1 || D > MAX_HEAD_CHANNELS) {
    throw new ShapeError(
      `attention: heads must have 1 to ${MAX_HEAD_CHANNELS} channels on webgpu, got ${D}. Use the wasm device for this model.`,
    );
  }
  const variants = attentionVariants[isSoftware ? 1 : 0]![isMultipleOf4(D) ? 1 : 0]!;
  return variants.find(({ chunks }) => D <= chunks * ATTENTION_TILE)!;
}

const attentionPlans: Plan[] = [
  {
    entry: ops.attention.forward,
    programs: ({ isSoftware }, { D }) => (D === undefined ? [] : [attentionVariant(isSoftware, D).forward]),
    run: (context, tensors, values) => {
      context.run(attentionVariant(context.isSoftware, values.D!).forward, tensors, values, [
        divide(values.N!, ATTENTION_TILE),
        values.H!,
        1,
      ]);
    },
  },
  {
    entry: ops.attention.backward,
    programs: ({ isSoftware }, { D }) => {
      if (D === undefined) return [attentionDelta];
      const { query, key } = attentionVariant(isSoftware, D);
      return [attentionDelta, query, key];
    },
    run: (context, [dout, qkv, o, lse, offsets, dqkv], values) => {
      const { N, H, K, D } = values as { N: number; H: number; K: number; D: number };
      const { query, key } = attentionVariant(context.isSoftware, D);
      const delta = context.scratch(N * H * FLOAT);
      context.run(attentionDelta, [o, undefined, dout, undefined, delta], values, line(divide(N * H, 64)));
      const bindings = [qkv, offsets, dout, lse, delta, dqkv];
      context.run(query, bindings, values, [divide(N, ATTENTION_TILE), H, 1]);
      context.run(key, bindings, values, [divide(N, ATTENTION_TILE), K, 1]);
    },
  },
];

// Key/value cache ---------------------------------------------------------------------------------------------------

const kvCache = [gridPrelude, mathPrelude, reducePrelude, kvCacheSource];
/** MAX_D in kv-cache.wgsl. */
const MAX_CACHED_CHANNELS = 256;
const kvCacheAttend = contractProgram(ops.kvCache.attend, kvCache, { constants: { WORKGROUP: 64 } });

const kvCachePlans: Plan[] = [
  single(contractProgram(ops.kvCache.write, kvCache), ({ N, K, D }) => elements(N! * 2 * K! * D!)),
  perElement(ops.kvCache.copy, kvCache, "N", "E"),
  {
    entry: ops.kvCache.attend,
    programs: () => [kvCacheAttend],
    run: (context, tensors, values) => {
      const { N, H, D } = values as { N: number; H: number; D: number };
      if (D > MAX_CACHED_CHANNELS) {
        throw new ShapeError(
          `kv_cache_attend: heads must have at most ${MAX_CACHED_CHANNELS} channels on webgpu, got ${D}. Use the wasm device.`,
        );
      }
      const [x, y] = line(N);
      context.run(kvCacheAttend, tensors, values, [x, y, H]);
    },
  },
];

// Token log-probabilities -------------------------------------------------------------------------------------------

const logprobPreludes = [mathPrelude];
const logprobPartial = tiled(tokenLogprobSource, logprobPreludes, (sources, variant, constants) =>
  passProgram("token_logprob_partial", sources, "rrrww", "N:u32 C:u32 V:u32 inverse_temperature:f32 cap:f32 chunk:u32", {
    constants,
    variant,
  }),
);
const logprobGradient = tiled(tokenLogprobSource, logprobPreludes, (sources, variant, constants) =>
  passProgram("token_logprob_gradient", sources, "rrrrw", "N:u32 C:u32 V:u32 inverse_temperature:f32 cap:f32 first:u32", {
    constants,
    variant,
  }),
);
const logprobRows = [gridPrelude, mathPrelude, tokenLogprobRowsSource];
const logprobCombine = passProgram("token_logprob_combine", logprobRows, "rrwwww", "N:u32 chunks:u32");
/** Tokens of the vocabulary that a chunk has at least (a multiple of every tile's columns, so that its part of the head is aligned). */
const CHUNK_STEP = 64;

const logprobTile = (N: number): TileName => (N > 32 ? "large" : "small");
const logprobTiles = (isSoftware: boolean, tiles: Tiled, { N, C }: Values) => {
  const isAligned = C === undefined || isMultipleOf4(C);
  const names: readonly TileName[] = N === undefined ? ["large", "small"] : [logprobTile(N)];
  return names.map((name) => tiles.pick(isSoftware, name, isAligned));
};

const tokenLogprobPlans: Plan[] = [
  {
    entry: ops.tokenLogprob.forward,
    programs: ({ isSoftware }, sizes) => [...logprobTiles(isSoftware, logprobPartial, sizes), logprobCombine],
    run: (context, [hidden, head, targets, ...results], values) => {
      const { N, C, V } = values as { N: number; C: number; V: number };
      const tile = logprobTile(N);
      const rowTiles = divide(N, TILES[tile].rows);
      // Chunks enough to fill the GPU, few enough for their statistics to stay small beside the hidden states.
      const wanted = Math.min(
        Math.max(divide(4 * BUSY_GROUPS, rowTiles), divide(V, 2048)),
        Math.floor(context.scratchBytes / (16 * N)) || 1,
      );
      const chunk = divide(divide(V, wanted), CHUNK_STEP) * CHUNK_STEP;
      const chunks = divide(V, chunk);
      const partials = context.scratch(chunks * N * 4 * FLOAT);
      const targetLogits = context.scratch(N * FLOAT);
      const program = logprobPartial.pick(context.isSoftware, tile, isMultipleOf4(C));
      context.run(program, [hidden, head, targets, partials, targetLogits], { ...values, chunk }, [chunks, rowTiles, 1]);
      context.run(logprobCombine, [partials, targetLogits, ...results], { N, chunks }, elements(N));
    },
  },
  perElement(ops.tokenLogprob.coefficients, logprobRows, "N"),
  {
    entry: ops.tokenLogprob.backward,
    programs: ({ isSoftware }, sizes) => [
      ...logprobTiles(isSoftware, logprobGradient, sizes),
      ...usualTiles(isSoftware, matmulBackwardInput, matmulAddInput, inputSlices, matmulBackwardWeight, weightSlices),
      matmulCombine,
    ],
    run: (context, [coefficients, hidden, head, targets, dhidden, dhead], values) => {
      const { N, C, V } = values as { N: number; C: number; V: number };
      const tile = logprobTile(N);
      const program = logprobGradient.pick(context.isSoftware, tile, isMultipleOf4(C));
      const chunk = Math.max(CHUNK_STEP, Math.floor(context.scratchBytes / (N * FLOAT) / CHUNK_STEP) * CHUNK_STEP);
      const dz = context.scratch(N * Math.min(chunk, V) * FLOAT);
      for (let first = 0; first < V; first += chunk) {
        const width = Math.min(chunk, V - first);
        const rows = (tensor: Binding) => part(tensor, first * C * FLOAT, width * C * FLOAT);
        const headRows = rows(head!);
        const gradient = part(dz, 0, N * width * FLOAT);
        const grid: Grid = [divide(width, TILES[tile].columns), divide(N, TILES[tile].rows), 1];
        context.run(program, [hidden, headRows, targets, coefficients, gradient], { ...values, V: width, first }, grid);
        multiplyInput(context, [gradient, headRows, dhidden], N, width, C, first > 0);
        if (dhead) multiplyWeight(context, [gradient, hidden, rows(dhead)], N, width, C);
      }
    },
  },
];

// Two sides of the vocabulary, single logits ------------------------------------------------------------------------

const vocabPair = [gridPrelude, mathPrelude, reducePrelude, vocabPairSource];
const pairRow = { constants: { WORKGROUP: 256 } };
const pairNormalise = passProgram(
  "vocab_pair_normalise",
  vocabPair,
  "rw",
  "N:u32 V:u32 inverse_temperature:f32 cap:f32 is_first:u32",
  pairRow,
);
const pairSums = passProgram(
  "vocab_pair_sums",
  vocabPair,
  "rrrrww",
  "N:u32 V:u32 inverse_temperature:f32 fixed_inverse_temperature:f32 cap:f32 fixed_cap:f32 beta:f32 is_first:u32",
  pairRow,
);
const pairGradient = passProgram(
  "vocab_pair_gradient",
  vocabPair,
  "wrr",
  "N:u32 V:u32 inverse_temperature:f32 fixed_inverse_temperature:f32 cap:f32 fixed_cap:f32 beta:f32",
);

/** A chunk of the vocabulary: its part of both heads and the logits of both sides, (N, V of the chunk). */
interface PairChunk {
  readonly first: number;
  readonly width: number;
  readonly headRows: Binding;
  readonly z: Binding;
  readonly u: Binding;
  /** Computes z and u: two products. */
  compute(): void;
}

/** The chunks of a pair, whose logits share the same scratch. */
function pairChunks(
  context: PlanContext,
  [hidden, head, fixedHidden, fixedHead]: readonly (Binding | undefined)[],
  values: Values,
): PairChunk[] {
  const { N, C, D, V } = values as { N: number; C: number; D: number; V: number };
  const step = Math.max(CHUNK_STEP, Math.floor(context.scratchBytes / (2 * N * FLOAT) / CHUNK_STEP) * CHUNK_STEP);
  const bytes = N * Math.min(step, V) * FLOAT;
  const [learning, fixed] = [context.scratch(bytes), context.scratch(bytes)];
  return Array.from({ length: divide(V, step) }, (_, i) => {
    const first = i * step;
    const width = Math.min(step, V - first);
    const headRows = part(head!, first * C * FLOAT, width * C * FLOAT);
    const fixedHeadRows = part(fixedHead!, first * D * FLOAT, width * D * FLOAT);
    const [z, u] = [part(learning, 0, N * width * FLOAT), part(fixed, 0, N * width * FLOAT)];
    const compute = () => {
      multiplyForward(context, [hidden, headRows, undefined, undefined, z], N, C, width);
      multiplyForward(context, [fixedHidden, fixedHeadRows, undefined, undefined, u], N, D, width);
    };
    return { first, width, headRows, z, u, compute };
  });
}

const vocabPlans: Plan[] = [
  {
    entry: ops.vocabPair.forward,
    programs: ({ isSoftware }, { N, C }) => [...forwardPrograms(isSoftware, N, C), pairNormalise, pairSums],
    run: (context, [hidden, head, fixedHidden, fixedHead, divergence, centre, lse, fixedLse], values) => {
      const N = values.N!;
      const chunks = pairChunks(context, [hidden, head, fixedHidden, fixedHead], values);
      for (const { first, width, z, u, compute } of chunks) {
        compute();
        const sizes = { N, V: width, is_first: first === 0 ? 1 : 0 };
        const { inverse_temperature, fixed_inverse_temperature, cap, fixed_cap } = values as Record<string, number>;
        context.run(pairNormalise, [z, lse], { ...sizes, inverse_temperature: inverse_temperature!, cap: cap! }, line(N));
        context.run(pairNormalise, [u, fixedLse], { ...sizes, inverse_temperature: fixed_inverse_temperature!, cap: fixed_cap! }, line(N));
      }
      for (const { first, width, z, u, compute } of chunks) {
        // The logits of an only chunk are still there.
        if (chunks.length > 1) compute();
        const bindings = [z, u, lse, fixedLse, divergence, centre];
        context.run(pairSums, bindings, { ...values, V: width, is_first: first === 0 ? 1 : 0 }, line(N));
      }
    },
  },
  perElement(ops.vocabPair.coefficients, vocabPair, "N"),
  {
    entry: ops.vocabPair.backward,
    programs: ({ isSoftware }, { N, C }) => [
      ...forwardPrograms(isSoftware, N, C),
      pairGradient,
      ...usualTiles(isSoftware, matmulBackwardInput, matmulAddInput, inputSlices, matmulBackwardWeight, weightSlices),
      matmulCombine,
    ],
    run: (context, [coefficients, hidden, head, fixedHidden, fixedHead, dhidden, dhead], values) => {
      const { N, C } = values as { N: number; C: number };
      for (const { first, width, headRows, z, u, compute } of pairChunks(context, [hidden, head, fixedHidden, fixedHead], values)) {
        compute();
        context.run(pairGradient, [z, u, coefficients], { ...values, V: width }, elements(N * width));
        multiplyInput(context, [z, headRows, dhidden], N, width, C, first > 0);
        if (dhead) multiplyWeight(context, [z, hidden, part(dhead, first * C * FLOAT, width * C * FLOAT)], N, width, C);
      }
    },
  },
  single(
    contractProgram(ops.vocabGather.forward, [gridPrelude, reducePrelude, vocabGatherSource], { constants: { WORKGROUP: 64 } }),
    ({ N }) => line(N!),
  ),
  perElement(ops.vocabGather.backwardHidden, [gridPrelude, reducePrelude, vocabGatherSource], "N", "C"),
  perElement(ops.vocabGather.backwardHead, [gridPrelude, reducePrelude, vocabGatherSource], "U", "C"),
];

// Losses, sampling, optimiser ---------------------------------------------------------------------------------------

const policyLoss = [mathPrelude, policyLossSource];
/** WORKGROUP in policy-loss.wgsl. */
const POLICY_THREADS = 128;
const policyPartial = passProgram(
  "policy_loss_partial",
  policyLoss,
  "rrrrrrww",
  "N:u32 Q:u32 epsilon_low:f32 epsilon_high:f32 delta:f32 beta:f32 has_refLogps:u32",
);
const policyCombine = passProgram("policy_loss_combine", policyLoss, "rw", "groups:u32 Q:u32");

const adamw = [gridPrelude, reducePrelude, adamwSource];
const SUM_THREADS = 256;
/** Elements of one workgroup's part of a sum of squares, until BUSY_GROUPS workgroups are at work. */
const SUM_PART = 4096;
const sumSquaresOptions = { constants: { WORKGROUP: SUM_THREADS } };
const sumSquaresPartial = passProgram("adamw_sum_squares_partial", adamw, "rw", "N:u32", sumSquaresOptions);
const sumSquaresCombine = passProgram("adamw_sum_squares_combine", adamw, "rw", "count:u32", sumSquaresOptions);

const sampleSources = [gridPrelude, mathPrelude, reducePrelude, threefryPrelude, sampleSource];

const trainingPlans: Plan[] = [
  {
    entry: ops.policyLoss.fused,
    programs: () => [policyPartial, policyCombine],
    run: (context, tensors, values) => {
      const groups = Math.min(BUSY_GROUPS, Math.max(1, divide(values.N!, POLICY_THREADS)));
      const partials = context.scratch(groups * 8 * FLOAT);
      context.run(policyPartial, [...tensors.slice(0, 7), partials], values, [groups, 1, 1]);
      context.run(policyCombine, [partials, tensors[7]], { groups, Q: values.Q! }, [1, 1, 1]);
    },
  },
  single(contractProgram(ops.sample.forward, sampleSources, { constants: { WORKGROUP: 256 } }), ({ N }) => line(N!)),
  {
    entry: ops.adamw.sumSquares,
    programs: () => [sumSquaresPartial, sumSquaresCombine],
    run: (context, [g, sum], values) => {
      const count = Math.min(2 * BUSY_GROUPS, Math.max(1, divide(values.N!, SUM_PART)));
      const partials = context.scratch(count * FLOAT);
      context.run(sumSquaresPartial, [g, partials], values, [count, 1, 1]);
      context.run(sumSquaresCombine, [partials, sum], { count }, [1, 1, 1]);
    },
  },
  single(contractProgram(ops.adamw.clip, adamw), () => [1, 1, 1]),
  perElement(ops.adamw.step, adamw, "N"),
];

const allPlans: readonly Plan[] = [
  ...elementwisePlans,
  ...segmentPlans,
  ...normPlans,
  ...matmulPlans,
  ...attentionPlans,
  ...kvCachePlans,
  ...tokenLogprobPlans,
  ...vocabPlans,
  ...trainingPlans,
];

/** Plans by entry point name. */
export const plans: ReadonlyMap<string, Plan> = new Map(allPlans.map((plan) => [plan.entry.name, plan]));

/** Every program that any call may use, on hardware and on emulated GPUs; what tests compile and compare with the shaders. */
export function everyProgram(): readonly Program[] {
  const tiles = [
    ...[matmulForward, matmulBackwardInput, matmulBackwardWeight, matmulAddInput, forwardSlices, inputSlices, weightSlices],
    ...[logprobPartial, logprobGradient],
  ];
  const found = new Set<Program>(skinnyPrograms.flat(2));
  for (const isSoftware of [false, true]) {
    for (const plan of allPlans) {
      for (const sizes of [{}, ...[30, 32, 62, 64, 94, 96, 126, 128, 254, 256].map((D) => ({ D }))])
        for (const program of plan.programs({ isSoftware }, sizes)) found.add(program);
    }
    for (const tile of ["large", "small"] as const) {
      for (const isAligned of [false, true]) for (const program of tiles) found.add(program.pick(isSoftware, tile, isAligned));
    }
  }
  return [...found];
}
