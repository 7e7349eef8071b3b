/** Plans of attention. */
import attentionSource from "../../../wgsl/attention.wgsl";
import scalarHeads from "../../../wgsl/lib/heads-scalar.wgsl";
import vectorHeads from "../../../wgsl/lib/heads-vec4.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import smallRegisters from "../../../wgsl/lib/registers-128.wgsl";
import largeRegisters from "../../../wgsl/lib/registers-256.wgsl";
import { ShapeError } from "../../errors";
import { ops } from "../../ops/index";
import { contractProgram, passProgram } from "../program";
import { divide, FLOAT, line, type Plan } from "./plan";
import { isMultipleOf4 } from "./tiles";

/** Rows of one tile and channels of one chunk in attention.wgsl. */
const ATTENTION_TILE = 32;
const MAX_HEAD_CHANNELS = 256;
const ATTENTION_PARAMS = "N:u32 S:u32 H:u32 K:u32 D:u32 scale:f32 cap:f32 window:u32";

/** By whether the GPU is emulated and alignment, then for heads of up to 32, 64, 96, 128 and 256 channels, whose register tiles differ. */
const attentionVariants = [false, true].map((isSoftware) =>
  [false, true].map((isAligned) =>
    (isSoftware ? [4, 8] : [1, 2, 3, 4, 8]).map((CHUNKS) => {
      const registers = CHUNKS > 4 ? largeRegisters : smallRegisters;
      const sources = [mathPrelude, isAligned ? vectorHeads : scalarHeads, registers, attentionSource];
      const variant = [`D up to ${32 * CHUNKS}`, isAligned ? "vec4" : "scalar", ...(isSoftware ? ["emulated"] : [])].join(", ");
      const options = { constants: { CHUNKS, EMULATED: isSoftware ? 1 : 0 }, variant };
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

export const attentionPlans: Plan[] = [
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
