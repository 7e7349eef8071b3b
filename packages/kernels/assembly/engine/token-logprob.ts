/**
 * Hidden states and head weight to log-probability, entropy and log-sum-exp, and back, one tile of logits at a time.
 *
 * As in attention, logits are computed transposed, Zᵀ (vocabulary, rows) = head · hiddenᵀ: the head is read as it lies, a block of hidden
 * rows is packed once, and softmax runs down columns.
 */
import { DEPTH, GEMM_SCRATCH, PANEL, PANEL_BYTES, packRows, panelProduct, zeros } from "../lib/gemm";
import { threadScratch } from "../lib/scratch";
import { exp1, exp4, fma, loadTail, log1, LOG2E, log4, softCap4, softmaxExp2, storeTail } from "../lib/simd";

/** Vocabulary entries of one tile. */
const TILE: u32 = 96;

/** out (tile, 16) = head rows · one packed panel of hidden rows. */
function logitsPanel(head: usize, C: u32, packed: usize, out: usize, outRow: usize, rows: u32): void {
  const row: usize = C << 2;
  const zero = zeros();
  for (let k: u32 = 0; k < C; k += DEPTH) {
    panelProduct(head + (k << 2), row, 4, packed + k * PANEL_BYTES, PANEL_BYTES, k ? out : zero, k ? outRow : 0, out, outRow, rows, PANEL, min<u32>(DEPTH, C - k));
  }
}

function packBlock(hidden: usize, C: u32, packed: usize, rows: u32): void {
  const row: usize = C << 2;
  for (let i: u32 = 0; i < rows; i += PANEL) packRows(hidden + i * row, row, packed + i * row, min<u32>(PANEL, rows - i), C);
}

/** Logits (rows, 16), `stride` bytes apart, become cap tanh(z / cap). */
function capPanel(panel: usize, stride: usize, rows: u32, cap: f32): void {
  const vc = f32x4.splat(cap);
  for (let j: u32 = 0; j < rows; j++, panel += stride) {
    for (let at: usize = 0; at < PANEL_BYTES; at += 16) v128.store(panel + at, softCap4(v128.load(panel + at), vc));
  }
}

/**
 * One online step on a panel (rows of the vocabulary, 16), eight columns at a time: peak of z, total Σ e^((z - peak) t), weighted Σ e^((z - peak) t) z,
 * where t > 0 is the inverse temperature.
 */
function onlinePanel(panel: usize, rows: u32, inverseTemperature: f32, peak: usize, total: usize, weighted: usize): void {
  const base2 = f32x4.splat(inverseTemperature * LOG2E);
  const size: usize = rows * PANEL_BYTES;
  for (let at: usize = 0; at < PANEL_BYTES; at += 32, panel += 32, peak += 32, total += 32, weighted += 32) {
    const old0 = v128.load(peak), old1 = v128.load(peak, 16);
    let high0 = old0, high1 = old1;
    const end = panel + size;
    for (let p = panel; p < end; p += PANEL_BYTES) {
      high0 = f32x4.pmax(high0, v128.load(p));
      high1 = f32x4.pmax(high1, v128.load(p, 16));
    }
    const from0 = f32x4.neg(f32x4.mul(high0, base2)), from1 = f32x4.neg(f32x4.mul(high1, base2));
    const factor0 = softmaxExp2(fma(old0, base2, from0)), factor1 = softmaxExp2(fma(old1, base2, from1));
    let s0 = f32x4.mul(v128.load(total), factor0), s1 = f32x4.mul(v128.load(total, 16), factor1);
    let w0 = f32x4.mul(v128.load(weighted), factor0), w1 = f32x4.mul(v128.load(weighted, 16), factor1);
    for (let p = panel; p < end; p += PANEL_BYTES) {
      const z0 = v128.load(p), z1 = v128.load(p, 16);
      const e0 = softmaxExp2(fma(z0, base2, from0)), e1 = softmaxExp2(fma(z1, base2, from1));
      s0 = f32x4.add(s0, e0);
      s1 = f32x4.add(s1, e1);
      w0 = fma(e0, z0, w0);
      w1 = fma(e1, z1, w1);
    }
    v128.store(peak, high0);
    v128.store(peak, high1, 16);
    v128.store(total, s0);
    v128.store(total, s1, 16);
    v128.store(weighted, w0);
    v128.store(weighted, w1, 16);
  }
}

/** x (n) *= factor, whole vectors of it. */
function scale(x: usize, n: u32, factor: f32): void {
  const v = f32x4.splat(factor);
  for (const end = x + (n << 2); x < end; x += 16) v128.store(x, f32x4.mul(v128.load(x), v));
}

/**
 * Items are (block of `block` rows, part of the vocabulary): item = rowBlock · parts + part. Each leaves (peak, total, weighted) of its rows in
 * partials (parts, 3, N); the part that holds a row's target leaves its logit in picked (N). `firstRow`: what the head's first row is among the targets.
 */
export function token_logprob_forward__parts(hidden: usize, head: usize, targets: usize, partials: usize, picked: usize, N: u32, C: u32, V: u32, inverse_temperature: f32, cap: f32, firstRow: u32, block: u32, parts: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const panel = threadScratch() + GEMM_SCRATCH;
  const state = panel + TILE * PANEL_BYTES;
  const stateSize: usize = block << 2;
  const packed = state + 3 * stateSize;
  const share = (V + parts - 1) / parts;
  for (let item = begin; item < end; item++) {
    const part = item % parts;
    const first = (item / parts) * block;
    const rows = min<u32>(block, N - first);
    const v0 = min<u32>(V, part * share);
    const v1 = min<u32>(V, v0 + share);
    packBlock(hidden + first * row, C, packed, rows);
    for (let i: usize = 0; i < stateSize; i += 16) {
      v128.store(state + i, f32x4.splat(-Infinity));
      v128.store(state + stateSize + i, f32x4.splat(0));
      v128.store(state + 2 * stateSize + i, f32x4.splat(0));
    }
    for (let v = v0; v < v1; v += TILE) {
      const count = min<u32>(TILE, v1 - v);
      for (let i: u32 = 0; i < rows; i += PANEL) {
        logitsPanel(head + v * row, C, packed + i * row, panel, PANEL_BYTES, count);
        if (cap > 0) capPanel(panel, PANEL_BYTES, count, cap);
        const at = state + (i << 2);
        onlinePanel(panel, count, inverse_temperature, at, at + stateSize, at + 2 * stateSize);
        const here = min<u32>(PANEL, rows - i);
        for (let r: u32 = 0; r < here; r++) {
          const n = first + i + r;
          const target = load<u32>(targets + (n << 2)) - firstRow - v;
          if (target < count) store<f32>(picked + (n << 2), inverse_temperature * load<f32>(panel + target * PANEL_BYTES + (r << 2)));
        }
      }
    }
    scale(state, block, inverse_temperature);
    scale(state + 2 * stateSize, block, inverse_temperature);
    const out = partials + ((part * 3 * N + first) << 2);
    for (let q: u32 = 0; q < 3; q++) memory.copy(out + ((q * N) << 2), state + q * stateSize, rows << 2);
  }
}

/** Merges the parts of each row in order. Items are rows. */
export function token_logprob_forward__merge(partials: usize, picked: usize, targets: usize, logp: usize, entropy: usize, lse: usize, hit: usize, N: u32, V: u32, parts: u32, begin: u32, end: u32): void {
  const plane: usize = N << 2;
  for (let n = begin; n < end; n += 4) {
    const at: usize = n << 2;
    const count = min<u32>(4, end - n);
    let peak = f32x4.splat(-Infinity);
    for (let p: u32 = 0; p < parts; p++) peak = f32x4.pmax(peak, v128.load(partials + 3 * p * plane + at));
    let total = f32x4.splat(0);
    let weighted = f32x4.splat(0);
    for (let p: u32 = 0; p < parts; p++) {
      const from = partials + 3 * p * plane + at;
      const factor = exp4(f32x4.sub(v128.load(from), peak));
      total = fma(v128.load(from + plane), factor, total);
      weighted = fma(v128.load(from + 2 * plane), factor, weighted);
    }
    const sum = f32x4.add(peak, log4(total));
    const z = count == 4 ? v128.load(picked + at) : loadTail(picked + at, count);
    const target = count == 4 ? v128.load(targets + at) : loadTail(targets + at, count);
    // A target outside the vocabulary has no logit: NaN, not a leftover.
    const chosen = v128.bitselect(z, f32x4.splat(NaN), i32x4.lt_u(target, i32x4.splat(V)));
    const isHit = v128.and(f32x4.eq(chosen, peak), f32x4.splat(1));
    const h = f32x4.sub(sum, f32x4.div(weighted, total));
    if (count == 4) {
      v128.store(logp + at, f32x4.sub(chosen, sum));
      v128.store(entropy + at, h);
      v128.store(lse + at, sum);
      v128.store(hit + at, isHit);
    } else {
      storeTail(logp + at, f32x4.sub(chosen, sum), count);
      storeTail(entropy + at, h, count);
      storeTail(lse + at, sum, count);
      storeTail(hit + at, isHit, count);
    }
  }
}

/** Stands for the logit of a target that is in none of the parts so far. */
const NO_LOGIT: f32 = -3e38;

/**
 * The parts of each row in order, joined to the statistics (N, 4) of what came before them unless `firstRow` is 0: (peak, total, total of
 * (z - peak) e^(z - peak), the target's logit). Items are rows.
 */
export function token_logprob_statistics__merge(partials: usize, picked: usize, targets: usize, statistics: usize, N: u32, V: u32, firstRow: u32, parts: u32, begin: u32, end: u32): void {
  const plane: usize = N << 2;
  for (let n = begin; n < end; n++) {
    const out = statistics + (n << 4);
    const from = partials + (n << 2);
    let peak: f32 = firstRow ? load<f32>(out) : -Infinity;
    for (let p: u32 = 0; p < parts; p++) peak = max<f32>(peak, load<f32>(from + 3 * p * plane));
    let total: f32 = 0;
    let centred: f32 = 0;
    if (firstRow) {
      const gap: f32 = load<f32>(out) - peak;
      const before = load<f32>(out, 4);
      const factor = exp1(gap);
      total = factor * before;
      centred = factor * (load<f32>(out, 8) + gap * before);
    }
    for (let p: u32 = 0; p < parts; p++) {
      const at = from + 3 * p * plane;
      const own = load<f32>(at);
      const factor = exp1(own - peak);
      const sum = load<f32>(at + plane);
      total += factor * sum;
      centred += factor * (load<f32>(at + 2 * plane) - peak * sum);
    }
    const isHere = load<u32>(targets + (n << 2)) - firstRow < V;
    store<f32>(out, peak);
    store<f32>(out, total, 4);
    store<f32>(out, centred, 8);
    if (isHere) store<f32>(out, load<f32>(picked + (n << 2)), 12);
    else if (!firstRow) store<f32>(out, NO_LOGIT, 12);
  }
}

/** Items are rows. */
export function token_logprob_results(statistics: usize, logp: usize, entropy: usize, lse: usize, hit: usize, N: u32, begin: u32, end: u32): void {
  for (let n = begin; n < end; n++) {
    const from = statistics + (n << 4);
    const at: usize = n << 2;
    const peak = load<f32>(from);
    const total = load<f32>(from, 4);
    const target = load<f32>(from, 12);
    const logTotal = log1(total);
    store<f32>(lse + at, peak + logTotal);
    store<f32>(logp + at, target - (peak + logTotal));
    store<f32>(entropy + at, logTotal - load<f32>(from, 8) / total);
    store<f32>(hit + at, target == peak ? 1 : 0);
  }
}

/** Items are rows. */
export function token_logprob_coefficients(dlogp: usize, dentropy: usize, dlse: usize, entropy: usize, lse: usize, coefficients: usize, N: u32, begin: u32, end: u32): void {
  for (let n = begin; n < end; n++) {
    const at: usize = n << 2;
    const a = load<f32>(dlogp + at);
    const sum = load<f32>(lse + at);
    const c1: f32 = dentropy ? -load<f32>(dentropy + at) : 0;
    const g: f32 = dlse ? load<f32>(dlse + at) : 0;
    const out = coefficients + (n << 4);
    store<f32>(out, a);
    store<f32>(out, g - a - c1 * (sum - load<f32>(entropy + at)), 4);
    store<f32>(out, c1, 8);
    store<f32>(out, sum, 12);
  }
}

/** slopes (rows, 16) = 1 - (z / cap)² of capped logits, `stride` bytes apart. */
function capSlopes(panel: usize, stride: usize, slopes: usize, rows: u32, cap: f32): void {
  const vi = f32x4.splat(1 / cap);
  const one = f32x4.splat(1);
  for (let j: u32 = 0; j < rows; j++, panel += stride, slopes += PANEL_BYTES) {
    for (let at: usize = 0; at < PANEL_BYTES; at += 16) {
      const share = f32x4.mul(v128.load(panel + at), vi);
      v128.store(slopes + at, f32x4.sub(one, f32x4.mul(share, share)));
    }
  }
}

/** panel (rows, 16), `stride` bytes apart, times factors (rows, 16). */
function scalePanel(panel: usize, stride: usize, factors: usize, rows: u32): void {
  for (let j: u32 = 0; j < rows; j++, panel += stride, factors += PANEL_BYTES) {
    for (let at: usize = 0; at < PANEL_BYTES; at += 16) v128.store(panel + at, f32x4.mul(v128.load(panel + at), v128.load(factors + at)));
  }
}

/**
 * inverse_temperature · dz of the vocabulary entries first .. first + count - 1, transposed: dz (count, ld / 4). Items are blocks of `block`
 * rows. `firstRow`: what the head's first row is among the targets. ld is a multiple of a panel, so that whole panels may be stored.
 */
export function token_logprob_backward__logits(coefficients: usize, hidden: usize, head: usize, targets: usize, dz: usize, N: u32, C: u32, inverse_temperature: f32, cap: f32, firstRow: u32, first: u32, count: u32, ld: u32, block: u32, begin: u32, end: u32): void {
  const row: usize = C << 2;
  const columns = threadScratch() + GEMM_SCRATCH;
  const slopes = columns + 4 * PANEL_BYTES;
  const packed = slopes + TILE * PANEL_BYTES;
  const vt = f32x4.splat(inverse_temperature);
  const base2 = f32x4.splat(inverse_temperature * LOG2E);
  const negated = f32x4.splat(-LOG2E);
  for (let item = begin; item < end; item++) {
    const n0 = item * block;
    const rows = min<u32>(block, N - n0);
    packBlock(hidden + n0 * row, C, packed, rows);
    for (let v: u32 = 0; v < count; v += TILE) {
      const tile = min<u32>(TILE, count - v);
      for (let i: u32 = 0; i < rows; i += PANEL) {
        const here = min<u32>(PANEL, rows - i);
        const n = n0 + i;
        const out = dz + v * ld + (n << 2);
        logitsPanel(head + (first + v) * row, C, packed + i * row, out, ld, tile);
        if (cap > 0) {
          capPanel(out, ld, tile, cap);
          capSlopes(out, ld, slopes, tile, cap);
        }
        // c0, c1, lse of the panel's rows, one vector of each per four rows; zero beyond the last row.
        for (let r: u32 = 0; r < PANEL; r++) {
          const from = coefficients + ((n + r) << 4);
          store<f32>(columns + (r << 2), r < here ? load<f32>(from, 4) : 0);
          store<f32>(columns + PANEL_BYTES + (r << 2), r < here ? load<f32>(from, 8) : 0);
          store<f32>(columns + 2 * PANEL_BYTES + (r << 2), r < here ? load<f32>(from, 12) : 0);
        }
        for (let at: usize = 0; at < PANEL_BYTES; at += 16) {
          const c0 = f32x4.mul(v128.load(columns + at), vt);
          const c1 = f32x4.mul(f32x4.mul(v128.load(columns + PANEL_BYTES + at), vt), vt);
          const from = f32x4.mul(v128.load(columns + 2 * PANEL_BYTES + at), negated);
          let p = out + at;
          for (let j: u32 = 0; j < tile; j++, p += ld) {
            const z = v128.load(p);
            v128.store(p, f32x4.mul(softmaxExp2(fma(z, base2, from)), fma(c1, z, c0)));
          }
        }
        for (let r: u32 = 0; r < here; r++) {
          const target = load<u32>(targets + ((n + r) << 2)) - firstRow - (first + v);
          if (target >= tile) continue;
          const p = out + target * ld + (r << 2);
          store<f32>(p, load<f32>(p) + inverse_temperature * load<f32>(coefficients + ((n + r) << 4)));
        }
        if (cap > 0) scalePanel(out, ld, slopes, tile);
      }
    }
  }
}
