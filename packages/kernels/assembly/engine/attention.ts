/**
 * Causal attention over ragged rows, flash-style.
 *
 * Scores are computed transposed, Sᵀ (keys, queries) = K Qᵀ: a row of keys needs no packing, queries are packed once per tile, softmax
 * runs down columns (four queries a vector, no horizontal step), and Sᵀ as it lies is the left operand of both P·V and Pᵀ·dO.
 */
import { GEMM_SCRATCH, PANEL, PANEL_BYTES, packColumnPanels, packRows, panelProduct, product, zeros } from "../lib/gemm";
import { threadScratch } from "../lib/scratch";
import { dot, fma, loadTail, LOG2E, log4, softCap4, softmaxExp2, storeTail, touchRows } from "../lib/simd";

/** Queries of a block, by which the plan cuts sequences forward; queries of a tile backward; keys of a tile. */
const BLOCK: u32 = 64;
const QUERIES: u32 = 48;
const KEYS: u32 = 96;
const BLOCK_ROW: usize = <usize>BLOCK << 2;
const TILE_ROW: usize = <usize>QUERIES << 2;
/** Bytes of a packed panel of KEYS, and of QUERIES rows. Rows of qkv are a power of two apart and would share a few cache sets. */
const KEY_PANEL: usize = KEYS * PANEL_BYTES;
const QUERY_PANEL: usize = QUERIES * PANEL_BYTES;

/** Panels of a head of D channels. */
// @ts-ignore: decorator
@inline
function headPanels(D: u32): u32 {
  return (D + PANEL - 1) / PANEL;
}

/** y (n) = factor x (n); y may be x. */
function scaleRow(x: usize, y: usize, n: u32, factor: f32): void {
  const v = f32x4.splat(factor);
  for (const end = x + ((n & ~3) << 2); x < end; x += 16, y += 16) v128.store(y, f32x4.mul(v128.load(x), v));
  if (n & 3) storeTail(y, f32x4.mul(loadTail(x, n & 3), v), n & 3);
}

/** The first row that query q of a sequence from `begin` sees. */
// @ts-ignore: decorator
@inline
function firstSeen(begin: u32, q: u32, window: u32): u32 {
  return window > 0 && q - begin >= window ? q + 1 - window : begin;
}

/** Keys that query `query` of a tile beginning `ahead` rows after its key tile may see, at most `keys`. */
// @ts-ignore: decorator
@inline
function visible(ahead: i32, query: u32, keys: u32): u32 {
  return <u32>min<i32>(<i32>keys, max<i32>(0, ahead + <i32>query + 1));
}

/** Lanes of queries first .. first + 3 that see key j. */
// @ts-ignore: decorator
@inline
function causal(ahead: i32, first: u32, j: u32): v128 {
  return i32x4.ge_s(i32x4.add(i32x4.splat(ahead + <i32>first - <i32>j), i32x4(0, 1, 2, 3)), i32x4.splat(0));
}

/**
 * One online-softmax step on a panel (keys, 16) of scores, eight queries at a time: masks, takes the new maximum, replaces scores by probabilities
 * relative to it. scale > 0. peak, total, shrink (16 each): running maximum before scaling, running sum, and by how much what was summed before must
 * shrink. Rows that none of the eight sees are not read.
 */
function softmaxPanel(panel: usize, keys: u32, ahead: i32, scale: f32, peak: usize, total: usize, shrink: usize): void {
  const base2 = f32x4.splat(scale * LOG2E);
  const lowest = f32x4.splat(-Infinity);
  for (let g: u32 = 0; g < PANEL; g += 8, panel += 32, peak += 32, total += 32, shrink += 32) {
    const open = panel + visible(ahead, g, keys) * PANEL_BYTES;
    const stop = panel + visible(ahead, g + 7, keys) * PANEL_BYTES;
    const old0 = v128.load(peak), old1 = v128.load(peak, 16);
    let high0 = old0, high1 = old1;
    let p = panel;
    for (; p < open; p += PANEL_BYTES) {
      high0 = f32x4.pmax(high0, v128.load(p));
      high1 = f32x4.pmax(high1, v128.load(p, 16));
    }
    for (let j = visible(ahead, g, keys); p < stop; p += PANEL_BYTES, j++) {
      const s0 = v128.bitselect(v128.load(p), lowest, causal(ahead, g, j));
      const s1 = v128.bitselect(v128.load(p, 16), lowest, causal(ahead, g + 4, j));
      v128.store(p, s0);
      v128.store(p, s1, 16);
      high0 = f32x4.pmax(high0, s0);
      high1 = f32x4.pmax(high1, s1);
    }
    const from0 = f32x4.neg(f32x4.mul(high0, base2)), from1 = f32x4.neg(f32x4.mul(high1, base2));
    const factor0 = softmaxExp2(fma(old0, base2, from0)), factor1 = softmaxExp2(fma(old1, base2, from1));
    let sum0 = f32x4.mul(v128.load(total), factor0), sum1 = f32x4.mul(v128.load(total, 16), factor1);
    for (p = panel; p < stop; p += PANEL_BYTES) {
      const e0 = softmaxExp2(fma(v128.load(p), base2, from0)), e1 = softmaxExp2(fma(v128.load(p, 16), base2, from1));
      v128.store(p, e0);
      v128.store(p, e1, 16);
      sum0 = f32x4.add(sum0, e0);
      sum1 = f32x4.add(sum1, e1);
    }
    const zero = f32x4.splat(0);
    for (const end = panel + keys * PANEL_BYTES; p < end; p += PANEL_BYTES) {
      v128.store(p, zero);
      v128.store(p, zero, 16);
    }
    v128.store(peak, high0);
    v128.store(peak, high1, 16);
    v128.store(total, sum0);
    v128.store(total, sum1, 16);
    v128.store(shrink, factor0);
    v128.store(shrink, factor1, 16);
  }
}

/** Rows at a time of products that are cut to what the rows see: a multiple of the rows of a register tile. */
const STEP: u32 = 6;

/**
 * Scores (rows, 16) of a panel of queries against rows of keys, `seen` of which its last query sees. Rows that only its last eight see are computed
 * for those.
 */
function scorePanel(keyRows: usize, row: usize, panel: usize, out: usize, outRow: usize, ahead: i32, seen: u32, D: u32): void {
  const zero = zeros();
  const both = visible(ahead, 7, seen);
  panelProduct(keyRows, row, 4, panel, PANEL_BYTES, zero, 0, out, outRow, both, PANEL, D);
  panelProduct(keyRows + both * row, row, 4, panel + 32, PANEL_BYTES, zero, 0, out + both * outRow + 32, outRow, seen - both, 8, D);
}

/** C (queries, D) (+)= A (queries, keys) · B, where A is 0 beyond the keys that a query sees. */
function productPerQuery(a: usize, ak: usize, b: usize, c: usize, ldc: usize, queries: u32, D: u32, ahead: i32, keys: u32, accumulate: bool): void {
  if (visible(ahead, 0, keys) == keys) return product(a, 4, ak, b, KEY_PANEL, PANEL_BYTES, c, ldc, queries, D, keys, accumulate);
  for (let i: u32 = 0; i < queries; i += STEP, a += STEP << 2, c += STEP * ldc) {
    const rows = min<u32>(STEP, queries - i);
    product(a, 4, ak, b, KEY_PANEL, PANEL_BYTES, c, ldc, rows, D, visible(ahead, i + rows - 1, keys), accumulate);
  }
}

/** C (keys, D) (+)= A (keys, queries) · B, where A is 0 before the first query that sees a key. */
function productPerKey(a: usize, b: usize, c: usize, ldc: usize, keys: u32, D: u32, ahead: i32, queries: u32, accumulate: bool): void {
  if (visible(ahead, 0, keys) == keys) return product(a, TILE_ROW, 4, b, QUERY_PANEL, PANEL_BYTES, c, ldc, keys, D, queries, accumulate);
  for (let j: u32 = 0; j < keys; j += STEP, a += STEP * TILE_ROW, c += STEP * ldc) {
    const i = <u32>min<i32>(<i32>queries, max<i32>(0, <i32>j - ahead));
    product(a + (i << 2), TILE_ROW, 4, b + i * PANEL_BYTES, QUERY_PANEL, PANEL_BYTES, c, ldc, min<u32>(STEP, keys - j), D, queries - i, accumulate);
  }
}

/**
 * Scores of a panel (keys, 16) made what softmax takes with scale 1: scaled, capped where cap > 0, -infinity before the window where window > 0.
 * The key tile of a block's first window row holds a key that each of its queries sees, so that no running maximum stays -infinity.
 */
function limitPanel(panel: usize, keys: u32, ahead: i32, scale: f32, cap: f32, window: u32): void {
  const vs = f32x4.splat(scale);
  const vc = f32x4.splat(cap);
  const lowest = f32x4.splat(-Infinity);
  for (let g: u32 = 0; g < PANEL; g += 4) {
    let p = panel + (g << 2);
    for (let j: u32 = 0; j < keys; j++, p += PANEL_BYTES) {
      let s = f32x4.mul(v128.load(p), vs);
      if (cap > 0) s = softCap4(s, vc);
      if (window > 0) s = v128.bitselect(s, lowest, inWindow(ahead, g, j, window));
      v128.store(p, s);
    }
  }
}

/** Lanes of queries first .. first + 3 whose window holds key j. */
// @ts-ignore: decorator
@inline
function inWindow(ahead: i32, first: u32, j: u32, window: u32): v128 {
  return i32x4.lt_s(i32x4.add(i32x4.splat(ahead + <i32>first - <i32>j), i32x4(0, 1, 2, 3)), i32x4.splat(<i32>window));
}

/**
 * Items are (block, head) pairs; blocks (u32 triples: first row of the sequence, first query, end of the queries) come from the plan, the
 * longest first.
 */
export function attention_forward__blocks(qkv: usize, blocks: usize, o: usize, lse: usize, H: u32, K: u32, D: u32, scale: f32, cap: f32, window: u32, begin: u32, end: u32): void {
  const isLimited = cap > 0 || window > 0 || !(scale > 0);
  const panelScale: f32 = isLimited ? 1 : scale;
  const row: usize = ((H + 2 * K) * D) << 2;
  const head: usize = D << 2;
  const scratch = threadScratch() + GEMM_SCRATCH;
  const packed = scratch;
  const panelSize: usize = D * PANEL_BYTES;
  const panel = packed + (BLOCK / PANEL) * panelSize;
  const packedV = panel + KEY_PANEL;
  const out = packedV + headPanels(D) * KEY_PANEL;
  const peaks = out + BLOCK * head;
  const totals = peaks + BLOCK_ROW;
  const shrink = totals + BLOCK_ROW;
  for (let item = begin; item < end; item++) {
    const block = blocks + (item / H) * 12;
    const h = item % H;
    const q0 = load<u32>(block, 4);
    const q1 = load<u32>(block, 8);
    const first = firstSeen(load<u32>(block), q0, window);
    const kv = (h * K) / H;
    const keyColumn: usize = (H + kv) * head;
    const valueColumn: usize = keyColumn + K * head;
    for (let q = q0, p = packed; q < q1; q += PANEL, p += panelSize) packRows(qkv + q * row + h * head, row, p, min<u32>(PANEL, q1 - q), D);
    for (let i: usize = 0; i < BLOCK_ROW; i += 16) {
      v128.store(peaks + i, f32x4.splat(-Infinity));
      v128.store(totals + i, f32x4.splat(0));
    }
    for (let k0 = first; k0 < q1; k0 += KEYS) {
      const keys = min<u32>(KEYS, q1 - k0);
      const keyRows = qkv + k0 * row + keyColumn;
      touchRows(keyRows, row, keys, head);
      packColumnPanels(qkv + k0 * row + valueColumn, row, packedV, KEY_PANEL, D, keys);
      for (let q = q0; q < q1; q += PANEL) {
        const i = q - q0;
        const count = min<u32>(PANEL, q1 - q);
        const ahead = <i32>q - <i32>k0;
        const seen = visible(ahead, count - 1, keys);
        if (seen == 0) continue;
        scorePanel(keyRows, row, packed + (i / PANEL) * panelSize, panel, PANEL_BYTES, ahead, seen, D);
        if (isLimited) limitPanel(panel, seen, ahead, scale, cap, window);
        softmaxPanel(panel, seen, ahead, panelScale, peaks + (i << 2), totals + (i << 2), shrink);
        const target = out + i * head;
        if (k0 > first) {
          for (let r: u32 = 0; r < count; r++) {
            const factor = load<f32>(shrink + (r << 2));
            if (factor != 1) scaleRow(target + r * head, target + r * head, D, factor);
          }
        }
        productPerQuery(panel, PANEL_BYTES, packedV, target, head, count, D, ahead, seen, k0 > first);
      }
    }
    for (let q = q0; q < q1; q += 4) {
      const i: usize = (q - q0) << 2;
      const l = fma(v128.load(peaks + i), f32x4.splat(panelScale), log4(v128.load(totals + i)));
      v128.store(peaks + i, l);
    }
    for (let q = q0; q < q1; q++) {
      const i = q - q0;
      const source = out + i * head;
      scaleRow(source, o + (q * H + h) * head, D, 1 / load<f32>(totals + (i << 2)));
      store<f32>(lse + ((q * H + h) << 2), load<f32>(peaks + (i << 2)));
    }
  }
}

/** scale · dS = scale · P (dP - delta) */
// @ts-ignore: decorator
@inline
function slopeOf(p: v128, scale: v128, dp: v128, delta: v128): v128 {
  return f32x4.mul(f32x4.mul(p, scale), f32x4.sub(dp, delta));
}

/** Turns scores and dP (keys, 48 each) into P and scale · dS in place, eight queries at a time; lse and delta hold 48 queries. */
function backwardTile(p: usize, ds: usize, keys: u32, queries: u32, ahead: i32, scale: f32, lse: usize, delta: usize): void {
  const vs = f32x4.splat(scale);
  const base2 = f32x4.splat(scale * LOG2E);
  const negated = f32x4.splat(-LOG2E);
  for (let g: u32 = 0; g < queries; g += 8) {
    const at: usize = g << 2;
    const l0 = f32x4.mul(v128.load(lse + at), negated), l1 = f32x4.mul(v128.load(lse + at, 16), negated);
    const d0 = v128.load(delta + at), d1 = v128.load(delta + at, 16);
    const open = visible(ahead, g, keys);
    const stop = visible(ahead, g + 7, keys);
    let pp = p + at;
    let pd = ds + at;
    let j: u32 = 0;
    for (; j < open; j++, pp += TILE_ROW, pd += TILE_ROW) {
      const e0 = softmaxExp2(fma(v128.load(pp), base2, l0)), e1 = softmaxExp2(fma(v128.load(pp, 16), base2, l1));
      v128.store(pp, e0);
      v128.store(pp, e1, 16);
      v128.store(pd, slopeOf(e0, vs, v128.load(pd), d0));
      v128.store(pd, slopeOf(e1, vs, v128.load(pd, 16), d1), 16);
    }
    for (; j < stop; j++, pp += TILE_ROW, pd += TILE_ROW) {
      const mask0 = causal(ahead, g, j), mask1 = causal(ahead, g + 4, j);
      const e0 = v128.and(softmaxExp2(fma(v128.load(pp), base2, l0)), mask0), e1 = v128.and(softmaxExp2(fma(v128.load(pp, 16), base2, l1)), mask1);
      v128.store(pp, e0);
      v128.store(pp, e1, 16);
      v128.store(pd, v128.and(slopeOf(e0, vs, v128.load(pd), d0), mask0));
      v128.store(pd, v128.and(slopeOf(e1, vs, v128.load(pd, 16), d1), mask1), 16);
    }
    const zero = f32x4.splat(0);
    for (; j < keys; j++, pp += TILE_ROW, pd += TILE_ROW) {
      v128.store(pp, zero);
      v128.store(pp, zero, 16);
      v128.store(pd, zero);
      v128.store(pd, zero, 16);
    }
  }
}

/** {@link backwardTile} with a cap or a window. */
function limitedBackwardTile(p: usize, ds: usize, keys: u32, queries: u32, ahead: i32, scale: f32, cap: f32, window: u32, lse: usize, delta: usize): void {
  const vs = f32x4.splat(scale);
  const vc = f32x4.splat(cap);
  const one = f32x4.splat(1);
  const base2 = f32x4.splat(LOG2E);
  for (let g: u32 = 0; g < queries; g += 4) {
    const at: usize = g << 2;
    const vl = v128.load(lse + at);
    const vd = v128.load(delta + at);
    let pp = p + at;
    let pd = ds + at;
    for (let j: u32 = 0; j < keys; j++, pp += TILE_ROW, pd += TILE_ROW) {
      let mask = causal(ahead, g, j);
      if (window > 0) mask = v128.and(mask, inWindow(ahead, g, j, window));
      let s = f32x4.mul(v128.load(pp), vs);
      let slope = vs;
      if (cap > 0) {
        s = softCap4(s, vc);
        const share = f32x4.div(s, vc);
        slope = f32x4.mul(vs, f32x4.sub(one, f32x4.mul(share, share)));
      }
      const e = v128.and(softmaxExp2(f32x4.mul(f32x4.sub(s, vl), base2)), mask);
      v128.store(pp, e);
      v128.store(pd, v128.and(f32x4.mul(f32x4.mul(e, slope), f32x4.sub(v128.load(pd), vd)), mask));
    }
  }
}

/**
 * Items are (sequence, key head) pairs, so that every gradient has one writer: dk and dv gather over the query heads of the group, dq over
 * key tiles, all in a fixed order.
 */
export function attention_backward__groups(do_: usize, qkv: usize, o: usize, lse: usize, sequences: usize, dqkv: usize, H: u32, K: u32, D: u32, scale: f32, cap: f32, window: u32, begin: u32, end: u32): void {
  const isLimited = cap > 0 || window > 0 || !(scale > 0);
  const row: usize = ((H + 2 * K) * D) << 2;
  const head: usize = D << 2;
  const outRow: usize = H * head;
  const panelSize: usize = D * PANEL_BYTES;
  const packedQ = threadScratch() + GEMM_SCRATCH;
  const packedG = packedQ + (QUERIES / PANEL) * panelSize;
  const columnsQ = packedG + (QUERIES / PANEL) * panelSize;
  const columnsG = columnsQ + headPanels(D) * QUERY_PANEL;
  const columnsK = columnsG + headPanels(D) * QUERY_PANEL;
  const scores = columnsK + headPanels(D) * KEY_PANEL;
  const slopes = scores + KEYS * TILE_ROW;
  const lses = slopes + KEYS * TILE_ROW;
  const deltas = lses + TILE_ROW;
  for (let item = begin; item < end; item++) {
    const sequence = sequences + (item / K) * 8;
    const kv = item % K;
    const first = load<u32>(sequence);
    const last = load<u32>(sequence, 4);
    const keyColumn: usize = (H + kv) * head;
    const valueColumn: usize = keyColumn + K * head;
    const firstHead = (kv * H + K - 1) / K;
    const lastHead = ((kv + 1) * H + K - 1) / K;
    for (let k0 = first; k0 < last; k0 += KEYS) {
      const keys = min<u32>(KEYS, last - k0);
      const keyRows = qkv + k0 * row + keyColumn;
      const valueRows = qkv + k0 * row + valueColumn;
      touchRows(valueRows, row, keys, head);
      packColumnPanels(keyRows, row, columnsK, KEY_PANEL, D, keys);
      const dk = dqkv + k0 * row + keyColumn;
      const dv = dqkv + k0 * row + valueColumn;
      for (let h = firstHead; h < lastHead; h++) {
        // Queries from here on see none of these keys.
        const stop = window > 0 ? min<u32>(last, k0 + keys - 1 + window) : last;
        for (let q0 = k0; q0 < stop; q0 += QUERIES) {
          const queries = min<u32>(QUERIES, last - q0);
          const ahead = <i32>q0 - <i32>k0;
          const seen = visible(ahead, queries - 1, keys);
          const queryRows = qkv + q0 * row + h * head;
          const gradRows = do_ + q0 * outRow + h * head;
          for (let i: u32 = 0; i < queries; i += PANEL) {
            const count = min<u32>(PANEL, queries - i);
            const rows = visible(ahead, i + count - 1, keys);
            const pq = packedQ + (i / PANEL) * panelSize;
            const pg = packedG + (i / PANEL) * panelSize;
            packRows(queryRows + i * row, row, pq, count, D);
            packRows(gradRows + i * outRow, outRow, pg, count, D);
            scorePanel(keyRows, row, pq, scores + (i << 2), TILE_ROW, ahead + <i32>i, rows, D);
            scorePanel(valueRows, row, pg, slopes + (i << 2), TILE_ROW, ahead + <i32>i, rows, D);
          }
          packColumnPanels(queryRows, row, columnsQ, QUERY_PANEL, D, queries);
          packColumnPanels(gradRows, outRow, columnsG, QUERY_PANEL, D, queries);
          for (let i: u32 = 0; i < queries; i++) {
            const at: usize = (q0 + i) * outRow + h * head;
            store<f32>(lses + (i << 2), load<f32>(lse + (((q0 + i) * H + h) << 2)));
            store<f32>(deltas + (i << 2), dot(do_ + at, o + at, D));
          }
          if (isLimited) limitedBackwardTile(scores, slopes, seen, queries, ahead, scale, cap, window, lses, deltas);
          else backwardTile(scores, slopes, seen, queries, ahead, scale, lses, deltas);
          const isFirst = h == firstHead && q0 == k0;
          // The first tile of queries may not reach the last keys: they start from zero.
          if (isFirst && seen < keys) {
            for (let j = seen; j < keys; j++) {
              memory.fill(dk + j * row, 0, head);
              memory.fill(dv + j * row, 0, head);
            }
          }
          productPerKey(scores, columnsG, dv, row, seen, D, ahead, queries, !isFirst);
          productPerKey(slopes, columnsQ, dk, row, seen, D, ahead, queries, !isFirst);
          const isContinued = k0 > first && (window == 0 || q0 < k0 - 1 + window);
          productPerQuery(slopes, TILE_ROW, columnsK, dqkv + q0 * row + h * head, row, queries, D, ahead, seen, isContinued);
        }
      }
    }
  }
}
