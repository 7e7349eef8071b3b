/** How each entry point runs on the GPU: its programs, grids, tiles and scratch. Nothing else knows them. */
import { WEIGHT_FORMATS } from "../../weight-formats";
import type { Program } from "../program";
import { attentionPlans } from "./attention";
import { elementwisePlans } from "./elementwise";
import { kvCachePlans } from "./kv-cache";
import { f32Programs, matmulAddInput, matmulBackwardWeight, matmulPlans, weightSlices } from "./matmul";
import { fewRows, normedMatmulPlans } from "./normed-matmul";
import { normPlans } from "./norms";
import { formatPrograms, packedWeightPlans } from "./packed-weight";
import type { Plan } from "./plan";
import { segmentPlans } from "./segment";
import { logprobGradient, logprobPartial, tokenLogprobPlans } from "./token-logprob";
import { trainingPlans } from "./training";
import { vocabPlans } from "./vocab";

const allPlans: readonly Plan[] = [
  ...elementwisePlans,
  ...segmentPlans,
  ...normPlans,
  ...matmulPlans,
  ...packedWeightPlans,
  ...normedMatmulPlans,
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
  const formats = Object.values(WEIGHT_FORMATS).map(formatPrograms);
  const linear = [f32Programs, ...formats.map((programs) => programs.linear)];
  const tiles = [
    ...linear.flatMap(({ forward, forwardSlices, input, inputSlices }) => [forward, forwardSlices, input, inputSlices]),
    ...[matmulBackwardWeight, matmulAddInput, weightSlices, logprobPartial, logprobGradient],
  ];
  const found = new Set<Program>([...linear.flatMap(({ skinny }) => skinny.flat(2)), ...formats.map(({ rows }) => rows)]);
  for (const isSoftware of [false, true]) {
    for (const isGated of [false, true]) {
      for (const format of [undefined, ...Object.values(WEIGHT_FORMATS)]) {
        const { skinny, tile, slices, combine } = fewRows(isSoftware, isGated, format);
        for (const program of [...skinny, tile, slices, combine]) found.add(program);
      }
    }
    for (const plan of allPlans) {
      for (const sizes of [{}, ...[30, 32, 62, 64, 94, 96, 126, 128, 254, 256].map((D) => ({ D }))])
        for (const program of plan.programs({ isSoftware }, sizes)) found.add(program);
    }
    for (const tile of ["large", "small"] as const) {
      for (const isAligned of [false, true]) for (const program of tiles) found.add(program.pick(isSoftware, tile, isAligned));
    }
  }
  return [...found].flatMap((program) => [program, ...(program.withSubgroups ? [program.withSubgroups.program] : [])]);
}
