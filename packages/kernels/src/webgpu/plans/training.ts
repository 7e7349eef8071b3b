/** Plans of the policy loss, sampling and the optimiser. */
import adamwSource from "../../../wgsl/adamw.wgsl";
import blockwiseSource from "../../../wgsl/blockwise.wgsl";
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import threefryPrelude from "../../../wgsl/lib/threefry.wgsl";
import policyLossSource from "../../../wgsl/policy-loss.wgsl";
import sampleSource from "../../../wgsl/sample.wgsl";
import { ops } from "../../ops/index";
import { contractProgram, passProgram } from "../program";
import { BUSY_GROUPS, divide, FLOAT, line, type Plan, perElement, single } from "./plan";
import { reducing } from "./reducing";

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
const sumSquaresPartial = reducing(passProgram("adamw_sum_squares_partial", adamw, "rw", "N:u32", sumSquaresOptions));
const sumSquaresCombine = reducing(passProgram("adamw_sum_squares_combine", adamw, "rw", "count:u32", sumSquaresOptions));

const blockwise = [gridPrelude, reducePrelude, blockwiseSource];

const sampleSources = [gridPrelude, mathPrelude, reducePrelude, threefryPrelude, sampleSource];

export const trainingPlans: Plan[] = [
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
  single(reducing(contractProgram(ops.sample.forward, sampleSources, { constants: { WORKGROUP: 256 } })), ({ N }) => line(N!)),
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
  single(reducing(contractProgram(ops.blockwise.quantize, blockwise, { constants: { WORKGROUP: 64 } })), ({ B }) => line(B!)),
  perElement(ops.blockwise.dequantize, blockwise, "W"),
];
