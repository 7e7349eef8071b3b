/** How each entry point runs on the GPU: its programs, grids, tiles and scratch. Nothing else knows them. */
import type { Program } from "../program";
import { attentionPlans } from "./attention";
import { elementwisePlans } from "./elementwise";
import { kvCachePlans } from "./kv-cache";
import {
  forwardSlices,
  inputSlices,
  matmulAddInput,
  matmulBackwardInput,
  matmulBackwardWeight,
  matmulForward,
  matmulPlans,
  skinnyPrograms,
  weightSlices,
} from "./matmul";
import { normPlans } from "./norms";
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
