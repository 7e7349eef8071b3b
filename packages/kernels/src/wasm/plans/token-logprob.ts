/** Plans of token-logprob, whose gradients are held a chunk of the vocabulary at a time. */
import { DeviceError } from "../../errors";
import { SCRATCH_BYTES } from "../layout";
import type { Phase } from "../pool";
import { blocks, FMA_NS, PANEL } from "./matmul";
import { type Plan, type PlanCall, phase } from "./plan";

/** Rows of hidden states packed at a time: whole panels, at most 96 rows, in at most half of the thread scratch. */
function rowBlockFor(call: PlanCall, C: number): number {
  const panels = Math.min(6, Math.floor(SCRATCH_BYTES / 2 / (C * PANEL * 4)));
  if (panels >= 1) return panels * PANEL;
  throw new DeviceError(`${call.entry.name}: a panel of rows must fit the thread scratch of ${SCRATCH_BYTES} bytes, got C = ${C}.`);
}

/** Statistics of a head's logits, by parts of it that are computed side by side; `firstRow`: what its first row is among the targets. */
function partialStatistics(call: PlanCall, firstRow: number): { partials: number; picked: number; parts: number; phase: Phase } {
  const [N, C, V] = [call.value("N"), call.value("C"), call.value("V")];
  const block = rowBlockFor(call, C);
  const rowBlocks = Math.ceil(N / block);
  const parts = Math.max(1, Math.min(Math.ceil(16 / rowBlocks), Math.ceil(V / 384)));
  const partials = call.scratch(parts * 3 * N * 4);
  const picked = call.scratch(N * 4);
  const pointers = ["hidden", "head", "targets"].map((name) => call.pointer(name));
  const ns = (Math.min(N, block) * V * (C * FMA_NS + 3)) / parts;
  const args = [...pointers, partials, picked, N, C, V, call.value("inverse_temperature"), call.value("cap"), firstRow, block, parts];
  return { partials, picked, parts, phase: phase("token_logprob_forward__parts", args, rowBlocks * parts, ns) };
}

export const tokenLogprobForward: Plan = (call) => {
  const [N, V] = [call.value("N"), call.value("V")];
  const { partials, picked, parts, phase: statistics } = partialStatistics(call, 0);
  const outputs = ["logp", "entropy", "lse", "hit"].map((name) => call.pointer(name));
  const args = [partials, picked, call.pointer("targets"), ...outputs, N, V, parts];
  return [statistics, phase("token_logprob_forward__merge", args, N, 10 * parts, 4)];
};

export const tokenLogprobStatistics: Plan = (call) => {
  const [N, V, first] = [call.value("N"), call.value("V"), call.value("first")];
  const { partials, picked, parts, phase: statistics } = partialStatistics(call, first);
  const args = [partials, picked, call.pointer("targets"), call.pointer("statistics"), N, V, first, parts];
  return [statistics, phase("token_logprob_statistics__merge", args, N, 20 * parts)];
};

/** Most bytes of logits' gradients held at a time. */
export const DZ_BYTES = 4 << 20;

export const tokenLogprobBackward: Plan = (call) => {
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
    const scalars = [call.value("inverse_temperature"), call.value("cap"), call.value("first")];
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
