/** What each op costs, by hand: FLOPs and bytes of one call at sizes that tell every letter from every other. */
import { describe, expect, it } from "vitest";
import { ContractError, costOf, entryPoints } from "../src/index";

type Worked = readonly [name: string, sizes: Readonly<Record<string, number>>, flops: number, bytes: number];

// matrix products: 3 rows, 5 inputs, 7 outputs; 2 · 3 · 5 · 7 = 210
const product = { M: 3, K: 5, N: 7 };
// two sequences of 4 rows, 3 query heads and 1 key head of 2 channels: 2 · (1 + 2 + 3 + 4) = 20 pairs, 60 with heads
const attention = { N: 8, S: 2, H: 3, K: 1, D: 2, scale: 1, cap: 0, window: 0 };

const worked: readonly Worked[] = [
  ["accumulate_add", { N: 11 }, 11, 4 * (11 + 22)],
  ["adamw_sum_squares", { N: 11, O: 1 }, 22, 4 * (11 + 2)],
  ["adamw_clip", { O: 1, Q: 2 }, 4, 4 * (1 + 2)],
  // g and stats are read; p, m and v read and written
  ["adamw_step", { N: 11, Q: 2 }, 176, 4 * (11 + 2 + 6 * 11)],
  // q·k and P v: 60 pairs of 2 channels, two operations each, twice; qkv 8 · 10, offsets 3, o 8 · 6, lse 8 · 3
  ["attention_forward", attention, 480, 4 * (80 + 3 + 48 + 24)],
  // do 48, qkv 80, o 48, lse 24, offsets 3, dqkv 80
  ["attention_backward", attention, 1200, 4 * (48 + 80 + 48 + 24 + 3 + 80)],
  // 4 · 3 values, 16 codes, 3 words, 1 scale
  ["blockwise_quantize", { W: 3, K: 16, B: 1 }, 120, 4 * (12 + 16 + 3 + 1)],
  ["blockwise_dequantize", { W: 3, K: 16, B: 1 }, 12, 4 * (3 + 1 + 16 + 12)],
  ["binary_forward", { N: 11, kind: 0 }, 11, 4 * 33],
  ["binary_backward", { N: 11, kind: 0 }, 22, 4 * 55],
  ["columns_place", { N: 3, C: 5, D: 100 }, 0, 4 * 30],
  ["columns_take", { N: 3, C: 5, D: 100 }, 0, 4 * 30],
  ["dropout_apply", { N: 11 }, 11, 4 * 22],
  // a row of the table for each id, and not the table
  ["embedding_forward", { N: 3, V: 100, C: 5 }, 0, 4 * (15 + 15 + 3)],
  ["embedding_backward", { N: 3, V: 100, C: 5, U: 2 }, 15, 4 * (15 + 2 * 10 + 3 + 2 + 2)],
  ["fill_set", { N: 11 }, 0, 44],
  ["gated_activation_forward", { N: 3, F: 5, kind: 0 }, 75, 4 * (30 + 15)],
  ["gated_activation_backward", { N: 3, F: 5, kind: 0 }, 180, 4 * (15 + 30 + 30)],
  // normed: 2 parts of 5 and 1 of 7 in each of 3 rows = 51; rows of 2 · 5 + 2 · 7 = 24
  ["head_norm_forward", { N: 3, H: 2, A: 5, K: 1, B: 7, eps: 0 }, 204, 4 * (72 + 5 + 7 + 72 + 9)],
  ["head_norm_backward", { N: 3, H: 2, A: 5, K: 1, B: 7 }, 510, 4 * (72 + 72 + 5 + 7 + 9 + 72 + 10 + 14)],
  // 3 rows of a key head and a value head of 2, read and written, and their slots
  ["kv_cache_write", { N: 3, L: 90, H: 3, K: 1, D: 2 }, 0, 4 * (12 + 12 + 3)],
  ["kv_cache_copy", { N: 3, L: 90, E: 4 }, 0, 4 * (12 + 12 + 6)],
  // half of 2 blocks of 8: 8 positions; 3 rows · 3 heads · 8 positions · 2 channels · 4; keys and values 3 · 8 · 2 · 2, q and o 18 each
  ["kv_cache_attend", { N: 3, L: 90, B: 2, H: 3, K: 1, D: 2, block: 8, window: 0 }, 576, 4 * (96 + 36 + 3)],
  // beside that: 3 rows · 4 heads turned · 1 pair · 6; slots 3 · 2 · 2, rows of tables 3 · 2, positions 3
  ["kv_cache_extend", { N: 3, L: 90, B: 2, H: 3, K: 1, D: 2, T: 9, R: 1, block: 8, window: 0 }, 576 + 72, 4 * (135 + 12 + 6 + 3)],
  ["layer_norm_forward", { N: 3, C: 5, eps: 0 }, 105, 4 * (15 + 10 + 15 + 6)],
  ["layer_norm_backward", { N: 3, C: 5, accumulate: 0 }, 210, 4 * (15 + 15 + 5 + 6 + 15 + 10 + 10)],
  // bias and addend: one addition each for 21 results
  ["matmul_forward", product, 210 + 42, 4 * (15 + 35 + 7 + 21 + 21)],
  ["matmul_backward_input", product, 210, 4 * (21 + 35 + 15)],
  ["matmul_backward_weight", product, 210, 4 * (21 + 15 + 2 * 35)],
  ["matmul_backward_bias", { M: 3, N: 7 }, 21, 4 * (21 + 14)],
  // 4 for each of 15 elements that are normed; a bias for each of 21 results
  ["normed_matmul_forward", { ...product, eps: 0, offset: 0 }, 60 + 210 + 21, 4 * (15 + 35 + 5 + 7 + 21)],
  // 14 rows of w and 14 biases for 7 columns, and 5 for each of 21 gates
  ["normed_matmul_gated", { M: 3, K: 5, F: 7, eps: 0, offset: 0, kind: 0 }, 60 + 420 + 42 + 105, 4 * (15 + 70 + 5 + 14 + 21)],
  ["normed_matmul_packed_forward", { ...product, W: 2, eps: 0, offset: 0, format: 0 }, 291, 4 * (15 + 14 + 5 + 7 + 21)],
  ["normed_matmul_packed_gated", { M: 3, K: 5, F: 7, W: 2, eps: 0, offset: 0, kind: 0, format: 0 }, 627, 4 * (15 + 28 + 5 + 14 + 21)],
  // 7 packed rows of 2 words
  ["packed_weight_forward", { ...product, W: 2, format: 0 }, 252, 4 * (15 + 14 + 7 + 21 + 21)],
  ["packed_weight_backward_input", { ...product, W: 2, format: 0 }, 210, 4 * (21 + 14 + 15)],
  ["packed_weight_rows", { N: 3, V: 100, W: 2, K: 5, format: 0 }, 15, 4 * (3 + 6 + 15)],
  ["policy_loss_fused", { N: 11, Q: 8 }, 330, 4 * (66 + 11 + 8)],
  ["rms_norm_forward", { N: 3, C: 5, eps: 0 }, 60, 4 * (15 + 5 + 15 + 3)],
  ["rms_norm_backward", { N: 3, C: 5, accumulate: 0 }, 150, 4 * (15 + 15 + 5 + 3 + 15 + 10)],
  // 2 heads of 2 · 3 channels turn; 4 of them in each of 5 rows stay
  ["rope_rotate", { N: 5, P: 16, T: 90, R: 3, heads: 2, D: 6 }, 180, 4 * (2 * 60 + 2 * 15 + 5)],
  // settings 15, keys 9, positions 3, allowed 6, seen 6 twice
  ["sample_forward", { N: 3, V: 40, W: 2 }, 600, 4 * (120 + 15 + 9 + 3 + 6 + 12 + 3 + 3)],
  ["segment_sum", { N: 11, S: 2 }, 11, 4 * (11 + 3 + 2)],
  ["segment_broadcast", { N: 11, S: 2 }, 0, 4 * (2 + 3 + 11)],
  // logits: 2 · 3 · 5 · 7 = 210
  ["token_logprob_forward", { N: 3, C: 5, V: 7 }, 210, 4 * (15 + 35 + 3 + 12)],
  // the statistics of 3 rows are read and written
  ["token_logprob_statistics", { N: 3, C: 5, V: 7 }, 210, 4 * (15 + 35 + 3 + 24)],
  ["token_logprob_results", { N: 3 }, 15, 4 * (12 + 12)],
  ["token_logprob_coefficients", { N: 3 }, 15, 4 * (15 + 12)],
  ["token_logprob_backward", { N: 3, C: 5, V: 7 }, 630, 4 * (12 + 15 + 35 + 3 + 15 + 70)],
  ["unary_forward", { N: 11, kind: 0 }, 11, 4 * 22],
  ["unary_backward", { N: 11, kind: 0 }, 11, 4 * 33],
  ["vocab_gather_forward", { N: 3, C: 5, V: 100 }, 30, 4 * (15 + 15 + 3 + 3)],
  ["vocab_gather_backward_hidden", { N: 3, C: 5, V: 100 }, 15, 4 * (3 + 15 + 3 + 15)],
  ["vocab_gather_backward_head", { N: 3, C: 5, V: 100, U: 2 }, 30, 4 * (15 + 20 + 3 + 3 + 2 + 2)],
  // the other side has 2 channels: 2 · 3 · 7 · (5 + 2) = 294
  ["vocab_pair_forward", { N: 3, C: 5, V: 7, D: 2 }, 294, 4 * (15 + 35 + 6 + 14 + 12)],
  ["vocab_pair_sums", { N: 3, C: 5, V: 7, D: 2 }, 294, 4 * (15 + 35 + 6 + 14 + 6 + 12)],
  ["vocab_pair_coefficients", { N: 3 }, 0, 4 * (12 + 12)],
  ["vocab_pair_backward", { N: 3, C: 5, V: 7, D: 2 }, 294 + 420, 4 * (12 + 15 + 35 + 6 + 14 + 15 + 70)],
];

describe("costOf", () => {
  it.each(worked)("%s", (name, sizes, flops, bytes) => {
    expect(costOf(entryPoints.get(name)!, sizes)).toEqual({ flops, bytes });
  });

  it("is worked out for every entry point", () => {
    expect(worked.map(([name]) => name).sort()).toEqual([...entryPoints.keys()].sort());
  });

  it("reads what is added to", () => {
    const added = { N: 3, C: 5, accumulate: 1 };
    expect(costOf(entryPoints.get("rms_norm_backward")!, added)).toEqual({ flops: 165, bytes: 4 * (15 + 15 + 5 + 3 + 30 + 10) });
    expect(costOf(entryPoints.get("layer_norm_backward")!, added)).toEqual({ flops: 225, bytes: 4 * (15 + 15 + 5 + 6 + 30 + 10 + 10) });
  });

  it("leaves out tensors that are absent", () => {
    const at = (name: string, sizes: Record<string, number>) => costOf(entryPoints.get(name)!, sizes);
    expect(at("matmul_forward", { ...product, has_bias: 0, has_addend: 0 })).toEqual({ flops: 210, bytes: 4 * (15 + 35 + 21) });
    expect(at("token_logprob_backward", { N: 3, C: 5, V: 7, has_dhead: 0 })).toEqual({ flops: 420, bytes: 4 * (12 + 15 + 35 + 3 + 15) });
    expect(at("vocab_pair_backward", { N: 3, C: 5, V: 7, D: 2, has_dhead: 0 }).flops).toBe(294 + 210);
    expect(at("policy_loss_fused", { N: 11, Q: 8, has_refLogps: 0 }).bytes).toBe(4 * (55 + 11 + 8));
  });

  it("counts the pairs that a window leaves", () => {
    // 1 + 2 + 2 + 2 pairs a sequence, two sequences, 3 heads of 2 channels
    expect(costOf(entryPoints.get("attention_forward")!, { ...attention, window: 2 }).flops).toBe(4 * 14 * 6);
    expect(costOf(entryPoints.get("attention_forward")!, { ...attention, window: 9 }).flops).toBe(480);
  });

  it("names what it lacks", () => {
    expect(() => costOf(entryPoints.get("matmul_forward")!, { M: 3, K: 5 })).toThrow(ContractError);
  });
});
