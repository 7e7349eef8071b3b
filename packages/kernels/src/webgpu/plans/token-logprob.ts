/** Plans of token-logprob, whose logits are computed by chunks of the vocabulary. */
import gridPrelude from "../../../wgsl/lib/grid.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import tokenLogprobSource from "../../../wgsl/token-logprob.wgsl";
import tokenLogprobRowsSource from "../../../wgsl/token-logprob-rows.wgsl";
import { ops } from "../../ops/index";
import { passProgram } from "../program";
import type { Binding, Grid } from "../recorder";
import {
  f32Programs,
  inputPrograms,
  matmulAddInput,
  matmulBackwardWeight,
  multiplyInput,
  multiplyWeight,
  usualTiles,
  weightSlices,
} from "./matmul";
import { BUSY_GROUPS, divide, elements, FLOAT, type Plan, type PlanContext, part, perElement, type Values } from "./plan";
import { isMultipleOf4, TILES, type Tiled, type TileName, tiled } from "./tiles";

const logprobPreludes = [mathPrelude];
export const logprobPartial = tiled(tokenLogprobSource, logprobPreludes, (sources, variant, constants) =>
  passProgram("token_logprob_partial", sources, "rrrww", "N:u32 C:u32 V:u32 inverse_temperature:f32 cap:f32 chunk:u32 first:u32", {
    constants,
    variant,
  }),
);
export const logprobGradient = tiled(tokenLogprobSource, logprobPreludes, (sources, variant, constants) =>
  passProgram("token_logprob_gradient", sources, "rrrrw", "N:u32 C:u32 V:u32 inverse_temperature:f32 cap:f32 first:u32", {
    constants,
    variant,
  }),
);
const logprobRows = [gridPrelude, mathPrelude, tokenLogprobRowsSource];
const logprobCombine = passProgram("token_logprob_combine", logprobRows, "rrwwww", "N:u32 chunks:u32");
const logprobJoin = passProgram("token_logprob_join", logprobRows, "rrrw", "N:u32 V:u32 chunks:u32 first:u32");
const logprobResults = passProgram("token_logprob_results", logprobRows, "r-wwww", "N:u32");
/** Tokens of the vocabulary that a chunk has at least (a multiple of every tile's columns, so that its part of the head is aligned). */
export const CHUNK_STEP = 64;

const logprobTile = (N: number): TileName => (N > 32 ? "large" : "small");
const logprobTiles = (isSoftware: boolean, tiles: Tiled, { N, C }: Values) => {
  const isAligned = C === undefined || isMultipleOf4(C);
  const names: readonly TileName[] = N === undefined ? ["large", "small"] : [logprobTile(N)];
  return names.map((name) => tiles.pick(isSoftware, name, isAligned));
};

/** Statistics of a head's logits by chunks of it, and the logits of the targets that it has; both are scratch. */
function chunkStatistics(context: PlanContext, [hidden, head, targets]: readonly (Binding | undefined)[], values: Values) {
  const { N, C, V } = values as { N: number; C: number; V: number };
  const tile = logprobTile(N);
  const rowTiles = divide(N, TILES[tile].rows);
  // Chunks enough to fill the GPU, few enough for their statistics to stay small beside the hidden states.
  const wanted = Math.min(Math.max(divide(4 * BUSY_GROUPS, rowTiles), divide(V, 2048)), Math.floor(context.scratchBytes / (16 * N)) || 1);
  const chunk = divide(divide(V, wanted), CHUNK_STEP) * CHUNK_STEP;
  const chunks = divide(V, chunk);
  const partials = context.scratch(chunks * N * 4 * FLOAT);
  const targetLogits = context.scratch(N * FLOAT);
  const program = logprobPartial.pick(context.isSoftware, tile, isMultipleOf4(C));
  context.run(program, [hidden, head, targets, partials, targetLogits], { first: 0, ...values, chunk }, [chunks, rowTiles, 1]);
  return { partials, targetLogits, chunks };
}

export const tokenLogprobPlans: Plan[] = [
  {
    entry: ops.tokenLogprob.forward,
    programs: ({ isSoftware }, sizes) => [...logprobTiles(isSoftware, logprobPartial, sizes), logprobCombine],
    run: (context, [hidden, head, targets, ...results], values) => {
      const N = values.N!;
      const { partials, targetLogits, chunks } = chunkStatistics(context, [hidden, head, targets], values);
      context.run(logprobCombine, [partials, targetLogits, ...results], { N, chunks }, elements(N));
    },
  },
  {
    entry: ops.tokenLogprob.statistics,
    programs: ({ isSoftware }, sizes) => [...logprobTiles(isSoftware, logprobPartial, sizes), logprobJoin],
    run: (context, [hidden, head, targets, statistics], values) => {
      const { N, V, first } = values as { N: number; V: number; first: number };
      const { partials, targetLogits, chunks } = chunkStatistics(context, [hidden, head, targets], values);
      context.run(logprobJoin, [partials, targetLogits, targets, statistics], { N, V, chunks, first }, elements(N));
    },
  },
  {
    entry: ops.tokenLogprob.results,
    programs: () => [logprobResults],
    run: (context, [statistics, ...results], { N }) =>
      context.run(logprobResults, [statistics, undefined, ...results], { N: N! }, elements(N!)),
  },
  perElement(ops.tokenLogprob.coefficients, logprobRows, "N"),
  {
    entry: ops.tokenLogprob.backward,
    programs: ({ isSoftware }, sizes) => [
      ...logprobTiles(isSoftware, logprobGradient, sizes),
      ...inputPrograms(f32Programs, isSoftware),
      ...usualTiles(isSoftware, matmulAddInput, matmulBackwardWeight, weightSlices),
    ],
    run: (context, [coefficients, hidden, head, targets, dhidden, dhead], values) => {
      const { N, C, V } = values as { N: number; C: number; V: number };
      const tile = logprobTile(N);
      const program = logprobGradient.pick(context.isSoftware, tile, isMultipleOf4(C));
      const chunk = Math.max(CHUNK_STEP, Math.floor(context.scratchBytes / (N * FLOAT) / CHUNK_STEP) * CHUNK_STEP);
      const dz = context.scratch(N * Math.min(chunk, V) * FLOAT);
      for (let start = 0; start < V; start += chunk) {
        const width = Math.min(chunk, V - start);
        const rows = (tensor: Binding) => part(tensor, start * C * FLOAT, width * C * FLOAT);
        const headRows = rows(head!);
        const gradient = part(dz, 0, N * width * FLOAT);
        const grid: Grid = [divide(width, TILES[tile].columns), divide(N, TILES[tile].rows), 1];
        context.run(
          program,
          [hidden, headRows, targets, coefficients, gradient],
          { ...values, V: width, first: values.first! + start },
          grid,
        );
        multiplyInput(context, f32Programs, [gradient, headRows, dhidden], { M: N, N: width, K: C }, start > 0);
        if (dhead) multiplyWeight(context, [gradient, hidden, rows(dhead)], N, width, C);
      }
    },
  },
];
