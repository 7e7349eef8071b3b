/** Plans of attention. */
import { DeviceError } from "../../errors";
import { SCRATCH_BYTES } from "../layout";
import type { Phase } from "../pool";
import { FMA_NS, PANEL } from "./matmul";
import { type Plan, type PlanCall, phase } from "./plan";

/** BLOCK, QUERIES and KEYS of assembly/engine/attention.ts. */
const BLOCK = 64;
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

export const attentionForward: Plan = (call) => {
  checkHeadSize(call);
  const [H, K, D] = [call.value("H"), call.value("K"), call.value("D")];
  const list: [number, number, number][] = [];
  for (const [begin, end] of sequencesOf(call)) {
    for (let q = begin; q < end; q += BLOCK) list.push([begin, q, Math.min(end, q + BLOCK)]);
  }
  // The longest first, so that threads finish together.
  list.sort((a, b) => b[2] - b[0] - (a[2] - a[0]));
  const table = call.scratch(list.length * 12);
  call.words(table, list.length * 3).set(list.flat());
  const work = list.reduce((sum, [begin, q, end]) => sum + (end - q) * (end - begin), 0) * (2 * D * FMA_NS + 1.5);
  const args = [call.pointer("qkv"), table, call.pointer("o"), call.pointer("lse"), H, K, D, ...limitsOf(call)];
  return [phase("attention_forward__blocks", args, list.length * H, Math.max(1, work / Math.max(1, list.length)))];
};

export const attentionBackward: Plan = (call) => {
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
