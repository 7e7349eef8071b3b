/** Plans of vocab-pair and vocab-gather. */
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import reducePrelude from "../../../wgsl/lib/reduce.wgsl";
import vocabGatherSource from "../../../wgsl/vocab-gather.wgsl";
import vocabPairSource from "../../../wgsl/vocab-pair.wgsl";
import { ops } from "../../ops/index";
import { contractProgram, passProgram } from "../program";
import type { Binding } from "../recorder";
import {
  f32Programs,
  forwardPrograms,
  inputPrograms,
  matmulAddInput,
  matmulBackwardWeight,
  multiplyForward,
  multiplyInput,
  multiplyWeight,
  usualTiles,
  weightSlices,
} from "./matmul";
import { divide, elements, FLOAT, line, type Plan, type PlanContext, part, perElement, single, type Values } from "./plan";
import { reducing } from "./reducing";
import { CHUNK_STEP } from "./token-logprob";

const vocabPair = [gridPrelude, mathPrelude, reducePrelude, vocabPairSource];
const pairRow = { constants: { WORKGROUP: 256 } };
const pairNormalise = reducing(
  passProgram("vocab_pair_normalise", vocabPair, "rw", "N:u32 V:u32 inverse_temperature:f32 cap:f32 is_first:u32", pairRow),
);
const pairSums = reducing(
  passProgram(
    "vocab_pair_sums",
    vocabPair,
    "rrrrww",
    "N:u32 V:u32 inverse_temperature:f32 fixed_inverse_temperature:f32 cap:f32 fixed_cap:f32 beta:f32 is_first:u32",
    pairRow,
  ),
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
      multiplyForward(context, f32Programs, [hidden, headRows, undefined, undefined, z], { M: N, K: C, N: width });
      multiplyForward(context, f32Programs, [fixedHidden, fixedHeadRows, undefined, undefined, u], { M: N, K: D, N: width });
    };
    return { first, width, headRows, z, u, compute };
  });
}

export const vocabPlans: Plan[] = [
  {
    entry: ops.vocabPair.forward,
    programs: ({ isSoftware }, { N, C }) => [...forwardPrograms(f32Programs, isSoftware, { M: N, K: C }), pairNormalise, pairSums],
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
  {
    entry: ops.vocabPair.sums,
    programs: ({ isSoftware }, { N, C }) => [...forwardPrograms(f32Programs, isSoftware, { M: N, K: C }), pairSums],
    run: (context, [hidden, head, fixedHidden, fixedHead, lse, fixedLse, divergence, centre], values) => {
      for (const { first, width, z, u, compute } of pairChunks(context, [hidden, head, fixedHidden, fixedHead], values)) {
        compute();
        const isFirst = values.first === 0 && first === 0;
        const bindings = [z, u, lse, fixedLse, divergence, centre];
        context.run(pairSums, bindings, { ...values, V: width, is_first: isFirst ? 1 : 0 }, line(values.N!));
      }
    },
  },
  perElement(ops.vocabPair.coefficients, vocabPair, "N"),
  {
    entry: ops.vocabPair.backward,
    programs: ({ isSoftware }, { N, C }) => [
      ...forwardPrograms(f32Programs, isSoftware, { M: N, K: C }),
      pairGradient,
      ...inputPrograms(f32Programs, isSoftware),
      ...usualTiles(isSoftware, matmulAddInput, matmulBackwardWeight, weightSlices),
    ],
    run: (context, [coefficients, hidden, head, fixedHidden, fixedHead, dhidden, dhead], values) => {
      const { N, C } = values as { N: number; C: number };
      for (const { first, width, headRows, z, u, compute } of pairChunks(context, [hidden, head, fixedHidden, fixedHead], values)) {
        compute();
        context.run(pairGradient, [z, u, coefficients], { ...values, V: width }, elements(N * width));
        multiplyInput(context, f32Programs, [z, headRows, dhidden], { M: N, N: width, K: C }, first > 0);
        if (dhead) multiplyWeight(context, [z, hidden, part(dhead, first * C * FLOAT, width * C * FLOAT)], N, width, C);
      }
    },
  },
  single(
    reducing(contractProgram(ops.vocabGather.forward, [gridPrelude, reducePrelude, vocabGatherSource], { constants: { WORKGROUP: 64 } })),
    ({ N }) => line(N!),
  ),
  perElement(ops.vocabGather.backwardHidden, [gridPrelude, reducePrelude, vocabGatherSource], "N", "C"),
  perElement(ops.vocabGather.backwardHead, [gridPrelude, reducePrelude, vocabGatherSource], "U", "C"),
];
