/**
 * Causal attention over ragged rows, flash-style.
 *
 * Scores are computed transposed, Sᵀ (keys, queries) = K Qᵀ: a row of keys needs no packing, queries are packed once per tile, softmax
 * runs down columns (four queries a vector, no horizontal step), and Sᵀ as it lies is the left operand of both P·V and Pᵀ·dO.
 */
import { GEMM_SCRATCH, PANEL, PANEL_BYTES, packColumnPanels, packRows, panelProduct, product, zeros } from "../lib/gemm";
import { threadScratch } from "../lib/scratch";
import { dot, exp4, loadTail, log4, softCap4, storeTail } from "../lib/simd";

/** Queries of one tile, keys of one tile. The plan cuts sequences by QUERIES. */
const QUERIES: u32 = 48;
const KEYS: u32 = 96;
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

/** y (n) *= factor */
function scaleRow(y: usize, n: u32, factor: f32): void {
  const v = f32x4.splat(factor);
  const whole: usize = (n & ~3) << 2;
  let i: usize = 0;
  for (; i < whole; i += 16) v128.store(y + i, f32x4.mul(v128.load(y + i), v));
  if (n & 3) storeTail(y + i, f32x4.mul(loadTail(y + i, n & 3), v), n & 3);
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
 * One online-softmax step on a panel (keys, 16) of scores: masks, takes the new maximum, replaces scores by probabilities relative to it.
 * peak, total, shrink (16 each): running maximum, running sum, and by how much what was summed before must shrink.
 */
function softmaxPanel(panel: usize, keys: u32, ahead: i32, scale: f32, peak: usize, total: usize, shrink: usize): void {
  const vs = f32x4.splat(scale);
  const lowest = f32x4.splat(-Infinity);
  for (let g: u32 = 0; g < PANEL; g += 4) {
    const at: usize = g << 2;
    const open = visible(ahead, g, keys);
    const old = v128.load(peak + at);
    let highest = old;
    let p = panel + at;
    let j: u32 = 0;
    for (; j < open; j++, p += PANEL_BYTES) {
      const s = f32x4.mul(v128.load(p), vs);
      v128.store(p, s);
      highest = f32x4.pmax(highest, s);
    }
    for (; j < keys; j++, p += PANEL_BYTES) {
      const s = v128.bitselect(f32x4.mul(v128.load(p), vs), lowest, causal(ahead, g, j));
      v128.store(p, s);
      highest = f32x4.pmax(highest, s);
    }
    const factor = exp4(f32x4.sub(old, highest));
    let sum = f32x4.mul(v128.load(total + at), factor);
    for (p = panel + at, j = 0; j < keys; j++, p += PANEL_BYTES) {
      const e = exp4(f32x4.sub(v128.load(p), highest));
      v128.store(p, e);
      sum = f32x4.add(sum, e);
    }
    v128.store(peak + at, highest);
    v128.store(total + at, sum);
    v128.store(shrink + at, factor);
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
  const isLimited = cap > 0 || window > 0;
  const row: usize = ((H + 2 * K) * D) << 2;
  const head: usize = D << 2;
  const scratch = threadScratch() + GEMM_SCRATCH;
  const packed = scratch;
  const panelSize: usize = D * PANEL_BYTES;
  const panel = packed + (QUERIES / PANEL) * panelSize;
  const packedV = panel + KEY_PANEL;
  const out = packedV + headPanels(D) * KEY_PANEL;
  const peaks = out + QUERIES * head;
  const totals = peaks + TILE_ROW;
  const shrink = totals + TILE_ROW;
  for (let item = begin; item < end; item++) {
    const block = blocks + (item / H) * 12;
    const h = item % H;
    const q0 = load<u32>(block, 4);
    const q1 = load<u32>(block, 8);
    const first = firstSeen(load<u32>(block), q0, window);
    const kv = (h * K) / H;
    const keyColumn: usize = (H + kv) * head;
    const valueColumn: usize = keyColumn + K * head;
    const zero = zeros();
    for (let q = q0, p = packed; q < q1; q += PANEL, p += panelSize) packRows(qkv + q * row + h * head, row, p, min<u32>(PANEL, q1 - q), D);
    for (let i: usize = 0; i < TILE_ROW; i += 16) {
      v128.store(peaks + i, f32x4.splat(-Infinity));
      v128.store(totals + i, f32x4.splat(0));
    }
    for (let k0 = first; k0 < q1; k0 += KEYS) {
      const keys = min<u32>(KEYS, q1 - k0);
      const keyRows = qkv + k0 * row + keyColumn;
      packColumnPanels(qkv + k0 * row + valueColumn, row, packedV, KEY_PANEL, D, keys);
      for (let q = q0; q < q1; q += PANEL) {
        const i = q - q0;
        const count = min<u32>(PANEL, q1 - q);
        const ahead = <i32>q - <i32>k0;
        const seen = visible(ahead, count - 1, keys);
        if (seen == 0) continue;
        panelProduct(keyRows, row, 4, packed + (i / PANEL) * panelSize, PANEL_BYTES, zero, 0, panel, PANEL_BYTES, seen, PANEL, D);
        if (isLimited) limitPanel(panel, seen, ahead, scale, cap, window);
        softmaxPanel(panel, seen, ahead, isLimited ? 1 : scale, peaks + (i << 2), totals + (i << 2), shrink);
        const target = out + i * head;
        if (k0 > first) {
          for (let r: u32 = 0; r < count; r++) {
            const factor = load<f32>(shrink + (r << 2));
            if (factor != 1) scaleRow(target + r * head, D, factor);
          }
        }
        product(panel, 4, PANEL_BYTES, packedV, KEY_PANEL, PANEL_BYTES, target, head, count, D, seen, k0 > first);
      }
    }
    for (let q = q0; q < q1; q += 4) {
      const i: usize = (q - q0) << 2;
      const l = f32x4.add(v128.load(peaks + i), log4(v128.load(totals + i)));
      v128.store(peaks + i, l);
    }
    for (let q = q0; q < q1; q++) {
      const i = q - q0;
      const source = out + i * head;
      scaleRow(source, D, 1 / load<f32>(totals + (i << 2)));
      memory.copy(o + (q * H + h) * head, source, head);
      store<f32>(lse + ((q * H + h) << 2), load<f32>(peaks + (i << 2)));
    }
  }
}

/** Turns scores and dP (keys, 48 each) into P and scale · dS in place; lse and delta hold 48 queries. */
function backwardTile(p: usize, ds: usize, keys: u32, queries: u32, ahead: i32, scale: f32, lse: usize, delta: usize): void {
  const vs = f32x4.splat(scale);
  for (let g: u32 = 0; g < queries; g += 4) {
    const at: usize = g << 2;
    const vl = v128.load(lse + at);
    const vd = v128.load(delta + at);
    const open = visible(ahead, g, keys);
    let pp = p + at;
    let pd = ds + at;
    let j: u32 = 0;
    for (; j < open; j++, pp += TILE_ROW, pd += TILE_ROW) {
      const e = exp4(f32x4.sub(f32x4.mul(v128.load(pp), vs), vl));
      v128.store(pp, e);
      v128.store(pd, f32x4.mul(f32x4.mul(e, vs), f32x4.sub(v128.load(pd), vd)));
    }
    const stop = visible(ahead, g + 3, keys);
    for (; j < stop; j++, pp += TILE_ROW, pd += TILE_ROW) {
      const mask = causal(ahead, g, j);
      const e = v128.and(exp4(f32x4.sub(f32x4.mul(v128.load(pp), vs), vl)), mask);
      v128.store(pp, e);
      v128.store(pd, v128.and(f32x4.mul(f32x4.mul(e, vs), f32x4.sub(v128.load(pd), vd)), mask));
    }
    const zero = f32x4.splat(0);
    for (; j < keys; j++, pp += TILE_ROW, pd += TILE_ROW) {
      v128.store(pp, zero);
      v128.store(pd, zero);
    }
  }
}

/** {@link backwardTile} with a cap or a window. */
function limitedBackwardTile(p: usize, ds: usize, keys: u32, queries: u32, ahead: i32, scale: f32, cap: f32, window: u32, lse: usize, delta: usize): void {
  const vs = f32x4.splat(scale);
  const vc = f32x4.splat(cap);
  const one = f32x4.splat(1);
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
      const e = v128.and(exp4(f32x4.sub(s, vl)), mask);
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
  const isLimited = cap > 0 || window > 0;
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
    const zero = zeros();
    for (let k0 = first; k0 < last; k0 += KEYS) {
      const keys = min<u32>(KEYS, last - k0);
      const keyRows = qkv + k0 * row + keyColumn;
      const valueRows = qkv + k0 * row + valueColumn;
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
            panelProduct(keyRows, row, 4, pq, PANEL_BYTES, zero, 0, scores + (i << 2), TILE_ROW, rows, PANEL, D);
            panelProduct(valueRows, row, 4, pg, PANEL_BYTES, zero, 0, slopes + (i << 2), TILE_ROW, rows, PANEL, D);
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
          product(scores, TILE_ROW, 4, columnsG, QUERY_PANEL, PANEL_BYTES, dv, row, seen, D, queries, !isFirst);
          product(slopes, TILE_ROW, 4, columnsQ, QUERY_PANEL, PANEL_BYTES, dk, row, seen, D, queries, !isFirst);
          product(slopes, 4, TILE_ROW, columnsK, KEY_PANEL, PANEL_BYTES, dqkv + q0 * row + h * head, row, queries, D, seen, k0 > first && (window == 0 || q0 < k0 - 1 + window));
        }
      }
    }
  }
}
