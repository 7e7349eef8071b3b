/** How each entry point is run: its phases, their grains and their scratch. The only file that knows either. */
import type { EntryPoint } from "../contract";
import { DeviceError } from "../errors";
import { entryPoints } from "../ops/index";
import { SCRATCH_BYTES } from "./layout";
import { MAX_GRAINS, type Phase } from "./pool";

/** A bound call as plans see it. */
export interface PlanCall {
  readonly entry: EntryPoint;
  /** Address of a tensor by name; 0 when it is absent. */
  pointer(tensor: string): number;
  /** A dimension, scalar or flag by name. */
  value(name: string): number;
  /** Memory for the duration of the call. */
  scratch(byteLength: number): number;
  /** A live view of u32 memory. */
  words(pointer: number, length: number): Uint32Array;
}

export type Plan = (call: PlanCall) => readonly Phase[];

/** Nanoseconds of work worth a grain, and below which nobody is woken; rough figures for one thread. */
const GRAIN_NS = 8_000;
const INLINE_NS = 40_000;

/** A phase whose items cost about `ns` nanoseconds each. `multiple`: grains are cut at multiples of it. */
function phase(kernel: string, args: readonly number[], items: number, ns: number, multiple = 1): Phase {
  if (items * ns <= INLINE_NS) return { kernel, args, items, grain: Math.max(1, items) };
  const wanted = Math.max(1, Math.round(GRAIN_NS / ns), Math.ceil(items / MAX_GRAINS));
  return { kernel, args, items, grain: Math.ceil(wanted / multiple) * multiple };
}

/** All pointers in contract order, then dims and scalars: the arguments of a kernel that mirrors its contract. */
export function contractArgs(call: PlanCall): number[] {
  const { entry } = call;
  return [
    ...entry.tensors.map((tensor) => call.pointer(tensor.name)),
    ...entry.dims.map((dim) => call.value(dim)),
    ...entry.scalars.map((scalar) => call.value(scalar.name)),
  ];
}

/** One phase of the kernel named like the entry point: `items` of `ns` nanoseconds. */
function mirror(cost: (call: PlanCall) => { items: number; ns: number; multiple?: number }): Plan {
  const plan: Plan = (call) => {
    const { items, ns, multiple } = cost(call);
    return [phase(call.entry.name, contractArgs(call), items, ns, multiple)];
  };
  mirrored.add(plan);
  return plan;
}
const mirrored = new Set<Plan>();

/** True for plans whose kernel has the contract's own parameters (the parity test checks those). */
export function isMirror(plan: Plan): boolean {
  return mirrored.has(plan);
}

/** Items are elements, `ns` nanoseconds per element. */
const elements = (ns: number): Plan => mirror((call) => ({ items: call.value("N"), ns, multiple: 64 }));

/** Items are rows, `ns` nanoseconds per element of a row of `width`. */
const rows = (width: (call: PlanCall) => number, ns: number): Plan =>
  mirror((call) => ({ items: call.value("N"), ns: Math.max(1, width(call) * ns) }));

// --- matmul ----------------------------------------------------------------------------------------------------------

/** Columns of a packed panel (PANEL of assembly/lib/gemm.ts), rows of a tile, most rows and columns of a block. */
const PANEL = 16;
const TILE_ROWS = 4;
const MAX_ROW_BLOCK = 240;
const MAX_COLUMN_BLOCK = 192;
/** Columns over which the copy of a left operand read by columns is spread. */
const COPY_COLUMNS = 192;
/** Nanoseconds of one multiply-add, and the work of a block below which it is not cut further. */
const FMA_NS = 0.05;
const BLOCK_NS = 40_000;
/** Blocks wanted, so that eight threads find work; the cut never depends on how many there are. */
const WANTED_BLOCKS = 16;

/** C (M, N) = A·B over K on a grid of blocks; strides in bytes. */
interface Product {
  readonly a: number;
  readonly ai: number;
  readonly ak: number;
  readonly b: number;
  readonly ldb: number;
  readonly bTransposed: boolean;
  readonly bias?: number;
  readonly addend?: number;
  readonly accumulate?: boolean;
  readonly c: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

function blocks({ a, ai, ak, b, ldb, bTransposed, bias = 0, addend = 0, accumulate = false, c, M, N, K }: Product): Phase {
  const even = (size: number, most: number, unit: number) => Math.ceil(size / Math.max(1, Math.ceil(size / most)) / unit) * unit || unit;
  const rowBlock = even(M, MAX_ROW_BLOCK, TILE_ROWS);
  const rowBlocks = Math.ceil(M / rowBlock);
  // Narrow enough for parallelism, wide enough to be worth a grain.
  const columnsForWork = BLOCK_NS / (rowBlock * K * FMA_NS);
  const columnsForThreads = (N * rowBlocks) / WANTED_BLOCKS;
  const columnBlock = even(
    N,
    Math.min(MAX_COLUMN_BLOCK, Math.max(ai === 4 ? COPY_COLUMNS : PANEL, columnsForThreads, columnsForWork)),
    PANEL,
  );
  const items = rowBlocks * Math.ceil(N / columnBlock);
  const args = [a, ai, ak, b, ldb, Number(bTransposed), bias, addend, Number(accumulate), c, M, N, K, rowBlock, columnBlock];
  return phase("matmul__blocks", args, items, Math.max(1, rowBlock * columnBlock * K * FMA_NS));
}

/** Rows up to which outputs are dot products along K and weights are read once, unpacked. */
const FEW_ROWS = 32;

/** y (M, N) = x (M, K) · wᵀ + bias + addend, w (N, K). */
function forwardProduct(x: number, w: number, y: number, M: number, K: number, N: number, bias = 0, addend = 0): Phase {
  if (M <= FEW_ROWS) return phase("matmul__dots", [x, w, bias, addend, y, M, K, N], Math.ceil(N / 4), 4 * K * (0.06 + M * FMA_NS), 4);
  return blocks({ a: x, ai: 4 * K, ak: 4, b: w, ldb: 4 * K, bTransposed: true, bias, addend, c: y, M, N, K });
}

const matmulForward: Plan = (call) => {
  const [x, w, y, bias, addend] = ["x", "w", "y", "bias", "addend"].map((name) => call.pointer(name)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return [forwardProduct(x, w, y, call.value("M"), call.value("K"), call.value("N"), bias, addend)];
};

const matmulBackwardInput: Plan = (call) => {
  const [M, N, K] = [call.value("M"), call.value("N"), call.value("K")];
  const [dy, w, dx] = [call.pointer("dy"), call.pointer("w"), call.pointer("dx")];
  return [blocks({ a: dy, ai: 4 * N, ak: 4, b: w, ldb: 4 * K, bTransposed: false, c: dx, M, N: K, K: N })];
};

const matmulBackwardWeight: Plan = (call) => {
  const [M, N, K] = [call.value("M"), call.value("N"), call.value("K")];
  const [dy, x, dw] = [call.pointer("dy"), call.pointer("x"), call.pointer("dw")];
  return [blocks({ a: dy, ai: 4, ak: 4 * N, b: x, ldb: 4 * K, bTransposed: false, accumulate: true, c: dw, M: N, N: K, K: M })];
};

/** out (columns) += Σ over the rows of a (rowCount, columns) matrix, in order. */
function columnSums(matrix: number, out: number, rowCount: number, columns: number): Phase {
  return phase("matmul_backward_bias", [matrix, out, rowCount, columns], Math.ceil(columns / 16), rowCount * 4);
}

// --- norms -----------------------------------------------------------------------------------------------------------

/** Rows of one partial sum of a parameter gradient: few enough partials, blocks enough for threads. */
function normBlock(rowCount: number): { block: number; count: number } {
  const block = Math.max(16, Math.ceil(rowCount / 64));
  return { block, count: Math.ceil(rowCount / block) };
}

/** `weights`: the parameter gradients by name, and the letter of each one's length. */
const normBackward =
  (kernel: string, weights: Readonly<Record<string, string>>, rowWidth: (call: PlanCall) => number): Plan =>
  (call) => {
    const N = call.value("N");
    const { block, count } = normBlock(N);
    const widths = Object.entries(weights).map(([weight, letter]) => ({ weight, width: call.value(letter) }));
    const partials = widths.map(({ width }) => call.scratch(count * width * 4));
    const pointers = call.entry.tensors.filter((t) => !t.accumulates).map((t) => call.pointer(t.name));
    const numbers = [...call.entry.dims, ...call.entry.scalars.map((s) => s.name)].map((name) => call.value(name));
    return [
      phase(kernel, [...pointers, ...partials, ...numbers, block], count, block * rowWidth(call) * 0.6),
      ...widths.map(({ weight, width }, i) => columnSums(partials[i] as number, call.pointer(weight), count, width)),
    ];
  };

const channels = (call: PlanCall) => call.value("C");
const headRow = (call: PlanCall) => call.value("H") * call.value("A") + 2 * call.value("K") * call.value("B");

// --- attention -------------------------------------------------------------------------------------------------------

/** QUERIES and KEYS of assembly/engine/attention.ts. */
const QUERIES = 48;
const KEYS = 96;

const limitsOf = (call: PlanCall): number[] => ["scale", "cap", "window"].map((name) => call.value(name));

/** Refuses heads whose tiles outgrow thread scratch. */
function checkHeadSize(call: PlanCall): void {
  const D = call.value("D");
  const needed = ((4 * QUERIES + KEYS) * (D + PANEL) + 2 * QUERIES * KEYS + 4 * QUERIES) * 4 + 32768;
  if (needed <= SCRATCH_BYTES) return;
  throw new DeviceError(
    `${call.entry.name}: a head must fit the thread scratch of ${SCRATCH_BYTES} bytes, got D = ${D}. Use smaller heads.`,
  );
}

/** Ends of the sequences that are not empty. */
function sequencesOf(call: PlanCall): [begin: number, end: number][] {
  const S = call.value("S");
  const offsets = call.words(call.pointer("offsets"), S + 1);
  const result: [number, number][] = [];
  for (let s = 0; s < S; s++) {
    const [begin, end] = [offsets[s] as number, offsets[s + 1] as number];
    if (end > call.value("N") || end < begin) {
      throw new DeviceError(
        `${call.entry.name}: offsets must rise from 0 to at most N = ${call.value("N")}, got ${begin} to ${end} for sequence ${s}.`,
      );
    }
    if (end > begin) result.push([begin, end]);
  }
  return result;
}

const attentionForward: Plan = (call) => {
  checkHeadSize(call);
  const [H, K, D] = [call.value("H"), call.value("K"), call.value("D")];
  const list: [number, number, number][] = [];
  for (const [begin, end] of sequencesOf(call)) {
    for (let q = begin; q < end; q += QUERIES) list.push([begin, q, Math.min(end, q + QUERIES)]);
  }
  // The longest first, so that threads finish together.
  list.sort((a, b) => b[2] - b[0] - (a[2] - a[0]));
  const table = call.scratch(list.length * 12);
  call.words(table, list.length * 3).set(list.flat());
  const work = list.reduce((sum, [begin, q, end]) => sum + (end - q) * (end - begin), 0) * (2 * D * FMA_NS + 1.5);
  const args = [call.pointer("qkv"), table, call.pointer("o"), call.pointer("lse"), H, K, D, ...limitsOf(call)];
  return [phase("attention_forward__blocks", args, list.length * H, Math.max(1, work / Math.max(1, list.length)))];
};

const attentionBackward: Plan = (call) => {
  checkHeadSize(call);
  const [N, H, K, D] = [call.value("N"), call.value("H"), call.value("K"), call.value("D")];
  const row = (H + 2 * K) * D;
  const list = sequencesOf(call);
  const dqkv = call.pointer("dqkv");
  const phases: Phase[] = [];
  // Rows of no sequence have no gradient.
  let next = 0;
  for (const [begin, end] of [...list, [N, N] as [number, number]]) {
    if (begin > next) phases.push(phase("fill_set", [dqkv + next * row * 4, (begin - next) * row, 0], (begin - next) * row, 0.2, 64));
    next = Math.max(next, end);
  }
  list.sort((a, b) => b[1] - b[0] - (a[1] - a[0]));
  const table = call.scratch(list.length * 8);
  call.words(table, list.length * 2).set(list.flat());
  const work = list.reduce((sum, [begin, end]) => sum + (end - begin) ** 2 / 2, 0) * H * (5 * D * FMA_NS + 2);
  const pointers = ["do", "qkv", "o", "lse"].map((name) => call.pointer(name));
  const items = list.length * K;
  phases.push(
    phase(
      "attention_backward__groups",
      [...pointers, table, dqkv, H, K, D, ...limitsOf(call)],
      items,
      Math.max(1, work / Math.max(1, items)),
    ),
  );
  return phases;
};

// --- token-logprob ---------------------------------------------------------------------------------------------------

/** Rows of hidden states packed at a time: whole panels, at most 96 rows, in at most half of the thread scratch. */
function rowBlockFor(call: PlanCall, C: number): number {
  const panels = Math.min(6, Math.floor(SCRATCH_BYTES / 2 / (C * PANEL * 4)));
  if (panels >= 1) return panels * PANEL;
  throw new DeviceError(`${call.entry.name}: a panel of rows must fit the thread scratch of ${SCRATCH_BYTES} bytes, got C = ${C}.`);
}

const tokenLogprobForward: Plan = (call) => {
  const [N, C, V] = [call.value("N"), call.value("C"), call.value("V")];
  const block = rowBlockFor(call, C);
  const rowBlocks = Math.ceil(N / block);
  const parts = Math.max(1, Math.min(Math.ceil(16 / rowBlocks), Math.ceil(V / 384)));
  const partials = call.scratch(parts * 3 * N * 4);
  const picked = call.scratch(N * 4);
  const pointers = ["hidden", "head", "targets"].map((name) => call.pointer(name));
  const outputs = ["logp", "entropy", "lse", "hit"].map((name) => call.pointer(name));
  const ns = (Math.min(N, block) * V * (C * FMA_NS + 3)) / parts;
  return [
    phase(
      "token_logprob_forward__parts",
      [...pointers, partials, picked, N, C, V, call.value("inverse_temperature"), call.value("cap"), block, parts],
      rowBlocks * parts,
      ns,
    ),
    phase("token_logprob_forward__merge", [partials, picked, call.pointer("targets"), ...outputs, N, V, parts], N, 10 * parts, 4),
  ];
};

/** Most bytes of logits' gradients held at a time. */
const DZ_BYTES = 4 << 20;

const tokenLogprobBackward: Plan = (call) => {
  const [N, C, V] = [call.value("N"), call.value("C"), call.value("V")];
  const block = rowBlockFor(call, C);
  const ld = Math.ceil(N / PANEL) * PANEL * 4;
  const tile = 96;
  const chunk = Math.min(Math.ceil(V / tile) * tile, Math.max(tile, Math.floor(DZ_BYTES / ld / tile) * tile));
  const dz = call.scratch(Math.min(V, chunk) * ld);
  const [coefficients, hidden, head, targets] = ["coefficients", "hidden", "head", "targets"].map((name) => call.pointer(name)) as [
    number,
    number,
    number,
    number,
  ];
  const [dhidden, dhead] = [call.pointer("dhidden"), call.pointer("dhead")];
  const phases: Phase[] = [];
  for (let first = 0; first < V; first += chunk) {
    const count = Math.min(chunk, V - first);
    const at = first * C * 4;
    const scalars = [call.value("inverse_temperature"), call.value("cap")];
    const args = [coefficients, hidden, head, targets, dz, N, C, ...scalars, first, count, ld, block];
    phases.push(phase("token_logprob_backward__logits", args, Math.ceil(N / block), Math.min(N, block) * count * (C * FMA_NS + 2)));
    phases.push(
      blocks({
        a: dz,
        ai: 4,
        ak: ld,
        b: head + at,
        ldb: 4 * C,
        bTransposed: false,
        accumulate: first > 0,
        c: dhidden,
        M: N,
        N: C,
        K: count,
      }),
    );
    if (dhead) {
      phases.push(
        blocks({ a: dz, ai: ld, ak: 4, b: hidden, ldb: 4 * C, bTransposed: false, accumulate: true, c: dhead + at, M: count, N: C, K: N }),
      );
    }
  }
  return phases;
};

// --- vocab-pair ------------------------------------------------------------------------------------------------------

/** Nanoseconds of capping one logit. */
const CAP_NS = 3;

/** A chunk of the vocabulary: `count` entries from `first`, and what gives both sides' logits (N, count): two products, and caps. */
interface PairChunk {
  readonly first: number;
  readonly count: number;
  readonly logits: readonly Phase[];
}

function pairChunks(call: PlanCall): { z: number; u: number; chunks: PairChunk[] } {
  const [N, C, D, V] = [call.value("N"), call.value("C"), call.value("D"), call.value("V")];
  const [hidden, head, fixedHidden, fixedHead] = ["hidden", "head", "fixedHidden", "fixedHead"].map((name) => call.pointer(name)) as [
    number,
    number,
    number,
    number,
  ];
  const step = Math.min(V, Math.max(96, Math.floor(DZ_BYTES / 4 / Math.max(1, N) / 96) * 96));
  const [z, u] = [call.scratch(N * step * 4), call.scratch(N * step * 4)];
  const chunks: PairChunk[] = [];
  for (let first = 0; first < V; first += step) {
    const count = Math.min(step, V - first);
    const learning = forwardProduct(hidden, head + first * C * 4, z, N, C, count);
    const fixed = forwardProduct(fixedHidden, fixedHead + first * D * 4, u, N, D, count);
    const capped = (logits: number, cap: number) => (cap > 0 ? [phase("vocab_pair__cap", [logits, count, cap], N, count * CAP_NS)] : []);
    const caps = [...capped(z, call.value("cap")), ...capped(u, call.value("fixed_cap"))];
    chunks.push({ first, count, logits: [learning, fixed, ...caps] });
  }
  return { z, u, chunks };
}

/** Nanoseconds of one logit: two exponentials, and beside them a third with its logarithm. */
const PAIR_NS = 8;

const vocabPairForward: Plan = (call) => {
  const N = call.value("N");
  const { z, u, chunks } = pairChunks(call);
  const [lse, fixedLse, divergence, centre] = ["lse", "fixedLse", "divergence", "centre"].map((name) => call.pointer(name));
  const [inverse, fixedInverse] = [call.value("inverse_temperature"), call.value("fixed_inverse_temperature")];
  const normalise = (logits: number, sum: number, { count, first }: PairChunk, scale: number) =>
    phase("vocab_pair_forward__normalise", [logits, sum, count, scale, Number(first === 0)], N, count * 2);
  return [
    ...chunks.flatMap((chunk) => [
      ...chunk.logits,
      normalise(z, lse as number, chunk, inverse),
      normalise(u, fixedLse as number, chunk, fixedInverse),
    ]),
    ...chunks.flatMap(({ first, count, logits }) => {
      const pointers = [z, u, lse, fixedLse, divergence, centre] as number[];
      const args = [...pointers, count, inverse, fixedInverse, call.value("beta"), Number(first === 0)];
      const sums = phase("vocab_pair_forward__sums", args, N, count * PAIR_NS);
      // The logits of an only chunk are still there.
      return chunks.length > 1 ? [...logits, sums] : [sums];
    }),
  ];
};

const vocabPairBackward: Plan = (call) => {
  const [N, C] = [call.value("N"), call.value("C")];
  const { z, u, chunks } = pairChunks(call);
  const [coefficients, hidden, head] = ["coefficients", "hidden", "head"].map((name) => call.pointer(name)) as [number, number, number];
  const [dhidden, dhead] = [call.pointer("dhidden"), call.pointer("dhead")];
  const scalars = ["inverse_temperature", "fixed_inverse_temperature", "cap", "beta"].map((name) => call.value(name));
  const shared = { ldb: 4 * C, bTransposed: false, N: C };
  return chunks.flatMap(({ first, count, logits }) => {
    const at = first * C * 4;
    const phases = [
      ...logits,
      phase("vocab_pair_backward__gradients", [coefficients, z, u, count, ...scalars], N, count * PAIR_NS),
      blocks({ ...shared, a: z, ai: 4 * count, ak: 4, b: head + at, accumulate: first > 0, c: dhidden, M: N, K: count }),
    ];
    if (dhead) phases.push(blocks({ ...shared, a: z, ai: 4, ak: 4 * count, b: hidden, accumulate: true, c: dhead + at, M: count, K: N }));
    return phases;
  });
};

// --- sums, sampling --------------------------------------------------------------------------------------------------

/** Elements of one f64 partial sum. */
const SUM_BLOCK = 16384;
const TOKEN_BLOCK = 1024;

const sumSquares: Plan = (call) => {
  const N = call.value("N");
  const count = Math.ceil(N / SUM_BLOCK);
  const partials = call.scratch(count * 8);
  return [
    phase("adamw_sum_squares__blocks", [call.pointer("g"), partials, N, SUM_BLOCK], count, SUM_BLOCK * 0.3),
    phase("adamw_sum_squares__total", [partials, call.pointer("sum"), count], 1, 1),
  ];
};

const policyLossFused: Plan = (call) => {
  const N = call.value("N");
  const count = Math.ceil(N / TOKEN_BLOCK);
  const partials = call.scratch(count * 64);
  const inputs = call.entry.tensors.filter((t) => t.name !== "sums").map((t) => call.pointer(t.name));
  const scalars = ["epsilon_low", "epsilon_high", "delta", "beta"].map((name) => call.value(name));
  return [
    phase("policy_loss_fused__blocks", [...inputs, partials, N, ...scalars, TOKEN_BLOCK], count, TOKEN_BLOCK * 40),
    phase("policy_loss_fused__total", [partials, call.pointer("sums"), count], 1, 1),
  ];
};

/** Most bytes of processed logits held at a time. */
const SAMPLE_BYTES = 16 << 20;

const sampleForward: Plan = (call) => {
  const [N, V] = [call.value("N"), call.value("V")];
  const padded = Math.ceil(V / 4) * 4;
  const batch = Math.max(1, Math.min(N, Math.floor(SAMPLE_BYTES / (padded * 8))));
  const z = call.scratch(batch * padded * 4);
  const weights = call.scratch(batch * padded * 4);
  const pointers = ["logits", "streams", "positions", "seen", "tokens", "logp"].map((name) => call.pointer(name));
  const scalars = ["W", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed_lo", "seed_hi"].map((name) =>
    call.value(name),
  );
  const searches = Number(call.value("top_k") > 0) + Number(call.value("top_p") < 1);
  const phases: Phase[] = [];
  for (let first = 0; first < N; first += batch) {
    phases.push(
      phase("sample_forward__rows", [...pointers, z, weights, first, V, ...scalars], Math.min(batch, N - first), V * (4 + 20 * searches)),
    );
  }
  return phases;
};

// --- the table -------------------------------------------------------------------------------------------------------

const table: Readonly<Record<string, Plan>> = {
  accumulate_add: elements(0.3),
  adamw_sum_squares: sumSquares,
  adamw_clip: mirror(() => ({ items: 1, ns: 1 })),
  adamw_step: elements(1.5),
  attention_forward: attentionForward,
  attention_backward: attentionBackward,
  binary_forward: elements(0.5),
  binary_backward: elements(0.8),
  dropout_apply: elements(10),
  embedding_forward: rows(channels, 0.3),
  embedding_backward: mirror((call) => ({
    items: call.value("U"),
    ns: Math.max(1, (call.value("N") / Math.max(1, call.value("U"))) * call.value("C") * 0.4),
  })),
  fill_set: elements(0.2),
  gated_activation_forward: rows((call) => call.value("F"), 2.5),
  gated_activation_backward: rows((call) => call.value("F"), 5),
  head_norm_forward: rows(headRow, 0.6),
  head_norm_backward: normBackward("head_norm_backward__rows", { dwq: "A", dwk: "B" }, headRow),
  kv_cache_write: rows((call) => 2 * call.value("K") * call.value("D"), 0.3),
  kv_cache_copy: rows((call) => call.value("E"), 0.3),
  kv_cache_attend: mirror((call) => {
    const N = call.value("N");
    const lengths = call.words(call.pointer("lengths"), N);
    let positions = 0;
    const window = call.value("window");
    for (const length of lengths) positions += window > 0 ? Math.min(length, window) : length;
    const perPosition = (call.value("H") / call.value("K")) * (call.value("D") * 0.4 + 4);
    return { items: N * call.value("K"), ns: Math.max(1, (positions / N) * perPosition) };
  }),
  layer_norm_forward: rows(channels, 0.5),
  layer_norm_backward: normBackward("layer_norm_backward__rows", { dw: "C", db: "C" }, channels),
  matmul_forward: matmulForward,
  matmul_backward_input: matmulBackwardInput,
  matmul_backward_weight: matmulBackwardWeight,
  matmul_backward_bias: mirror((call) => ({ items: Math.ceil(call.value("N") / 16), ns: call.value("M") * 4 })),
  policy_loss_fused: policyLossFused,
  rms_norm_forward: rows(channels, 0.5),
  rms_norm_backward: normBackward("rms_norm_backward__rows", { dw: "C" }, channels),
  rope_rotate: rows((call) => call.value("heads") * call.value("R"), 1),
  sample_forward: sampleForward,
  segment_sum: mirror((call) => ({ items: call.value("S"), ns: Math.max(5, (call.value("N") / Math.max(1, call.value("S"))) * 0.5) })),
  segment_broadcast: mirror((call) => ({ items: call.value("N"), ns: 0.5, multiple: 64 })),
  token_logprob_forward: tokenLogprobForward,
  token_logprob_coefficients: rows(() => 1, 4),
  token_logprob_backward: tokenLogprobBackward,
  unary_forward: elements(3),
  unary_backward: elements(4),
  vocab_gather_forward: rows(channels, 0.3),
  vocab_gather_backward_hidden: rows(channels, 0.3),
  vocab_gather_backward_head: mirror((call) => ({
    items: call.value("U"),
    ns: Math.max(1, (call.value("N") / Math.max(1, call.value("U"))) * call.value("C") * 0.4),
  })),
  vocab_pair_forward: vocabPairForward,
  vocab_pair_coefficients: rows(() => 1, 4),
  vocab_pair_backward: vocabPairBackward,
};

/** Plans of all entry points by name. */
export const plans: ReadonlyMap<string, Plan> = new Map(Object.entries(table));

/** Entry points of the engine that have no plan: none, or the test says which. */
export function missingPlans(): string[] {
  return [...entryPoints.keys()].filter((name) => !plans.has(name));
}
