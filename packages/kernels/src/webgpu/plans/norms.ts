/** Plans of the norms. */
import headNormSource from "../../../wgsl/head-norm.wgsl";
import layerNormSource from "../../../wgsl/layer-norm.wgsl";
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import rmsNormSource from "../../../wgsl/rms-norm.wgsl";
import { ops } from "../../ops/index";
import { contractProgram, type Program, passProgram } from "../program";
import { columnBlocks, columnGrid, columnSumsCombine, combineColumns } from "./column-sums";
import { divide, FLOAT, line, type Plan, type Values } from "./plan";
import { reducing } from "./reducing";

/** A row reduction wants threads for about four elements each, and no more than a default workgroup has. */
const ROW_THREADS = [64, 256] as const;
const rowVariants = (make: (variant: string, constants: Readonly<Record<string, number>>) => Program) =>
  ROW_THREADS.map((threads) => reducing(make(`${threads} threads`, { WORKGROUP: threads })));
const rowVariant = (programs: readonly Program[], C: number) => programs[C > 512 ? 1 : 0] as Program;

const rmsNorm = [gridPrelude, reducePrelude, rmsNormSource];
const rmsNormForward = rowVariants((variant, constants) => contractProgram(ops.rmsNorm.forward, rmsNorm, { constants, variant }));
const rmsNormBackwardInput = rowVariants((variant, constants) =>
  passProgram("rms_norm_backward_input", rmsNorm, "rrrrw", "N:u32 C:u32 accumulate:u32", { constants, variant }),
);
const rmsNormBackwardWeight = passProgram("rms_norm_backward_weight", rmsNorm, "rr-rw", "N:u32 C:u32 accumulate:u32");

const layerNorm = [gridPrelude, reducePrelude, layerNormSource];
const layerNormForward = rowVariants((variant, constants) => contractProgram(ops.layerNorm.forward, layerNorm, { constants, variant }));
const layerNormBackwardInput = rowVariants((variant, constants) =>
  passProgram("layer_norm_backward_input", layerNorm, "rrrrrw", "N:u32 C:u32 accumulate:u32", { constants, variant }),
);
const layerNormBackwardWeight = passProgram("layer_norm_backward_weight", layerNorm, "rr-rrww", "N:u32 C:u32 accumulate:u32");

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

export const normPlans: Plan[] = [
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
