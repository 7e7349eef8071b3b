/** Plans of attention. */
import attentionSource from "../../../wgsl/attention.wgsl";
import emulatedSource from "../../../wgsl/attention-emulated.wgsl";
import subgroupsSource from "../../../wgsl/attention-subgroups.wgsl";
import rowsPrelude from "../../../wgsl/lib/attention-rows.wgsl";
import scalarHeads from "../../../wgsl/lib/heads-scalar.wgsl";
import vectorHeads from "../../../wgsl/lib/heads-vec4.wgsl";
import mathPrelude from "../../../wgsl/lib/math.wgsl";
import smallRegisters from "../../../wgsl/lib/registers-128.wgsl";
import largeRegisters from "../../../wgsl/lib/registers-256.wgsl";
import segmentsPrelude from "../../../wgsl/lib/segments.wgsl";
import { ShapeError } from "../../errors";
import { ops } from "../../ops/index";
import type { KernelClass } from "../../tuning";
import { contractProgram, orWithSubgroups, type Program, passProgram } from "../program";
import type { Grid } from "../recorder";
import { divide, FLOAT, line, type Plan } from "./plan";
import { isMultipleOf4 } from "./tiles";

/** What all forms of attention begin with. */
const rowPreludes = [mathPrelude, segmentsPrelude, rowsPrelude];

/** Rows of one tile and channels of one chunk in attention.wgsl. */
const ATTENTION_TILE = 32;
/** Threads of a workgroup where a thread owns a row of a head. */
const ROW_THREADS = 64;
const MAX_HEAD_CHANNELS = 256;
const ATTENTION_PARAMS = "N:u32 S:u32 H:u32 K:u32 D:u32 scale:f32 cap:f32 window:u32";

/** The passes of attention for some heads, and a workgroup for how many rows of one head (or for how many pairs of a row and a head). */
interface Variant {
  readonly forward: Program;
  readonly query: Program;
  readonly key: Program;
  grid(rows: number, heads: number): Grid;
}

function variantOf(
  sources: readonly string[],
  variant: string,
  constants: Readonly<Record<string, number>>,
  grid: Variant["grid"],
): Variant {
  const options = { constants, variant };
  return {
    forward: contractProgram(ops.attention.forward, sources, options),
    query: passProgram("attention_backward_query", sources, "rrrrrw", ATTENTION_PARAMS, options),
    key: passProgram("attention_backward_key", sources, "rrrrrw", ATTENTION_PARAMS, options),
    grid,
  };
}

/** Threads that share a row of a head in attention-subgroups.wgsl, and how many vec4 each holds; 256 channels would not fit its registers. */
const SHARED_ROWS: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  1: { PARTS: 1, VECTORS: 8 },
  2: { PARTS: 2, VECTORS: 8 },
  3: { PARTS: 4, VECTORS: 6 },
  4: { PARTS: 4, VECTORS: 8 },
};

/** For heads of up to 32 `chunks` channels, whose register tiles differ, and by alignment. */
function tiledVariant(chunks: number, isAligned: boolean): Variant {
  const preludes = [...rowPreludes, isAligned ? vectorHeads : scalarHeads];
  const sources = [...preludes, chunks > 4 ? largeRegisters : smallRegisters, attentionSource];
  const name = `D up to ${32 * chunks}, ${isAligned ? "vec4" : "scalar"}`;
  const tiles = variantOf(sources, name, { CHUNKS: chunks }, (rows, heads) => [divide(rows, ATTENTION_TILE), heads, 1]);
  const shared = SHARED_ROWS[chunks];
  if (!shared) return tiles;
  const sharing = (of: KernelClass, program: Program) => orWithSubgroups(of, program, [subgroupsSource, ...preludes], shared);
  return {
    ...tiles,
    forward: sharing("attention forward", tiles.forward),
    query: sharing("attention backward", tiles.query),
    key: sharing("attention backward", tiles.key),
  };
}

/** By alignment, then by channels. */
const tiledVariants = [false, true].map((isAligned) => [1, 2, 3, 4, 8].map((chunks) => ({ chunks, ...tiledVariant(chunks, isAligned) })));
/** By alignment. */
const emulatedVariants = [false, true].map((isAligned) =>
  variantOf(
    [...rowPreludes, isAligned ? vectorHeads : scalarHeads, emulatedSource],
    `${isAligned ? "vec4" : "scalar"}, emulated`,
    {},
    (rows, heads) => line(divide(rows * heads, ROW_THREADS)),
  ),
);
const attentionDelta = passProgram(
  "attention_backward_delta",
  [...rowPreludes, scalarHeads, smallRegisters, attentionSource],
  "r-r-w",
  ATTENTION_PARAMS,
);

function attentionVariant(isSoftware: boolean, D: number): Variant {
  if (D < 1 || D > MAX_HEAD_CHANNELS) {
    throw new ShapeError(
      `attention: heads must have 1 to ${MAX_HEAD_CHANNELS} channels on webgpu, got ${D}. Use the wasm device for this model.`,
    );
  }
  const alignment = isMultipleOf4(D) ? 1 : 0;
  if (isSoftware) return emulatedVariants[alignment]!;
  return tiledVariants[alignment]!.find(({ chunks }) => D <= chunks * ATTENTION_TILE)!;
}

export const attentionPlans: Plan[] = [
  {
    entry: ops.attention.forward,
    programs: ({ isSoftware }, { D }) => (D === undefined ? [] : [attentionVariant(isSoftware, D).forward]),
    run: (context, tensors, values) => {
      const { forward, grid } = attentionVariant(context.isSoftware, values.D!);
      context.run(forward, tensors, values, grid(values.N!, values.H!));
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
      const { query, key, grid } = attentionVariant(context.isSoftware, D);
      const delta = context.scratch(N * H * FLOAT);
      context.run(attentionDelta, [o, undefined, dout, undefined, delta], values, line(divide(N * H, ROW_THREADS)));
      const bindings = [qkv, offsets, dout, lse, delta, dqkv];
      context.run(query, bindings, values, grid(N, H));
      context.run(key, bindings, values, grid(N, K));
    },
  },
];
