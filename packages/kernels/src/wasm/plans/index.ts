/** How each entry point is run: its phases, their grains and their scratch. Nothing else knows either. */
import { entryPoints } from "../../ops/index";
import { attentionBackward, attentionForward } from "./attention";
import { kvCacheAttend, kvCacheExtend } from "./kv-cache";
import { matmulBackwardInput, matmulBackwardWeight, matmulForward } from "./matmul";
import {
  GATE_NS,
  NORM_NS,
  normedMatmulForward,
  normedMatmulGated,
  normedMatmulPackedForward,
  normedMatmulPackedGated,
} from "./normed-matmul";
import { channels, headRow, normBackward } from "./norms";
import { packedWeightBackwardInput, packedWeightForward, packedWeightRows } from "./packed-weight";
import { elements, mirror, type Plan, rows } from "./plan";
import { tokenLogprobBackward, tokenLogprobForward, tokenLogprobStatistics } from "./token-logprob";
import { policyLossFused, sampleForward, sumSquares } from "./training";
import { vocabPairBackward, vocabPairForward, vocabPairSums } from "./vocab-pair";

const table: Readonly<Record<string, Plan>> = {
  accumulate_add: elements(0.3),
  adamw_sum_squares: sumSquares,
  adamw_clip: mirror(() => ({ items: 1, ns: 1 })),
  adamw_step: elements(1.5),
  attention_forward: attentionForward,
  attention_backward: attentionBackward,
  binary_forward: elements(0.5),
  binary_backward: elements(0.8),
  blockwise_quantize: mirror((call) => ({ items: call.value("B"), ns: 256 * 8 })),
  blockwise_dequantize: mirror((call) => ({ items: call.value("B"), ns: 256 * 1 })),
  columns_place: rows(channels, 0.3),
  columns_take: rows(channels, 0.3),
  dropout_apply: elements(10),
  embedding_forward: rows(channels, 0.3),
  embedding_backward: mirror((call) => ({
    items: call.value("U"),
    ns: Math.max(1, (call.value("N") / Math.max(1, call.value("U"))) * call.value("C") * 0.4),
  })),
  fill_set: elements(0.2),
  gated_activation_forward: rows((call) => call.value("F"), GATE_NS),
  gated_activation_backward: rows((call) => call.value("F"), 5),
  head_norm_forward: rows(headRow, 0.6),
  head_norm_backward: normBackward("head_norm_backward__rows", { dwq: "A", dwk: "B" }, headRow),
  kv_cache_write: rows((call) => 2 * call.value("K") * call.value("D"), 0.3),
  kv_cache_copy: rows((call) => call.value("E"), 0.3),
  kv_cache_attend: kvCacheAttend,
  kv_cache_extend: kvCacheExtend,
  layer_norm_forward: rows(channels, 0.5),
  layer_norm_backward: normBackward("layer_norm_backward__rows", { dw: "C", db: "C" }, channels),
  matmul_forward: matmulForward,
  matmul_backward_input: matmulBackwardInput,
  matmul_backward_weight: matmulBackwardWeight,
  matmul_backward_bias: mirror((call) => ({ items: Math.ceil(call.value("N") / 16), ns: call.value("M") * 1.2, multiple: 4 })),
  normed_matmul_forward: normedMatmulForward,
  normed_matmul_gated: normedMatmulGated,
  normed_matmul_packed_forward: normedMatmulPackedForward,
  normed_matmul_packed_gated: normedMatmulPackedGated,
  packed_weight_forward: packedWeightForward,
  packed_weight_backward_input: packedWeightBackwardInput,
  packed_weight_rows: packedWeightRows,
  policy_loss_fused: policyLossFused,
  rms_norm_forward: rows(channels, NORM_NS),
  rms_norm_backward: normBackward("rms_norm_backward__rows", { dw: "C" }, channels),
  rope_rotate: rows((call) => call.value("heads") * call.value("R"), 1),
  sample_forward: sampleForward,
  segment_sum: mirror((call) => ({ items: call.value("S"), ns: Math.max(5, (call.value("N") / Math.max(1, call.value("S"))) * 0.5) })),
  segment_broadcast: mirror((call) => ({ items: call.value("N"), ns: 0.5, multiple: 64 })),
  token_logprob_forward: tokenLogprobForward,
  token_logprob_coefficients: rows(() => 1, 4),
  token_logprob_backward: tokenLogprobBackward,
  token_logprob_statistics: tokenLogprobStatistics,
  token_logprob_results: rows(() => 1, 20),
  unary_forward: elements(3),
  unary_backward: elements(4),
  vocab_gather_forward: rows(channels, 0.3),
  vocab_gather_backward_hidden: rows(channels, 0.3),
  vocab_gather_backward_head: mirror((call) => ({
    items: call.value("U"),
    ns: Math.max(1, (call.value("N") / Math.max(1, call.value("U"))) * call.value("C") * 0.4),
  })),
  vocab_pair_forward: vocabPairForward,
  vocab_pair_sums: vocabPairSums,
  vocab_pair_coefficients: rows(() => 1, 4),
  vocab_pair_backward: vocabPairBackward,
};

/** Plans of all entry points by name. */
export const plans: ReadonlyMap<string, Plan> = new Map(Object.entries(table));

/** Entry points of the engine that have no plan: none, or the test says which. */
export function missingPlans(): string[] {
  return [...entryPoints.keys()].filter((name) => !plans.has(name));
}
