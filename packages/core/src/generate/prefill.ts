/** Computes prompts, fills the cache with them, and samples the first token of each completion. */

import { gatherRows, rowIndex } from "../autograd/gather";
import { Tape } from "../autograd/tape";
import { attentionShape } from "../models/config";
import type { Attend } from "../models/decoder";
import { attention, rope } from "../nn/attention";
import { type Tensor, windowOf } from "../tensor/tensor";
import type { Group } from "./groups";
import type { PagedCache } from "./paged-cache";
import type { Row } from "./row";
import { readLogits } from "./row-logits";
import { allowedOf, KEYS, keysOf, type SamplerRows, SETTINGS, sampleTokens, seenOf, settingsOf } from "./sampling";
import type { BatchSettings } from "./settings";
import type { Trunk, Trunks } from "./trunks";

/** How new tokens attend: as whole prompts among themselves, or over the cache, which may hold the beginning of their prompts. */
export type PrefillAttention = "flash" | "paged";

/**
 * Runs what the cache does not hold of the groups' prompts as one ragged batch; every row gets its first token. Returns the number of tokens.
 * Which attention is used must not depend on what the cache holds: the two round differently.
 */
export async function prefill(
  { decoder }: BatchSettings,
  trunks: Trunks,
  groups: readonly Group[],
  attentionKind: PrefillAttention,
): Promise<number> {
  const { device } = decoder;
  const rows = groups.flatMap((group) => group.rows);
  const tape = new Tape(device, { grad: false });
  try {
    const pass = newTokens(groups, trunks.policy.cache, (device.info.fewRows ?? 0) + 1);
    const count = pass.tokens.length - pass.padding;
    const attend = attentionKind === "flash" ? flash(tape, pass) : paged(tape, pass, groups);
    const slots = tape.constant(pass.slots);
    let logits = trunks.logits(tape, (trunk) => {
      const attendAndStore: Attend = (layer, qkv, rotation) => {
        rope(tape, qkv, rotation, attentionShape(trunk.decoder.config, layer));
        trunk.cache.write(tape, layer, windowOf(qkv, 0, [count, qkv.shape[1] as number]), slots);
        return attend(trunk, layer, qkv);
      };
      const hidden = trunk.decoder.hidden(tape, rowIndex(tape, pass.tokens), pass.positions, attendAndStore, { isFused: true });
      copyHalfFilledBlocks(tape, trunk.cache, groups);
      return gatherRows(tape, hidden, rowIndex(tape, pass.lasts)); // (G, C)
    }); // (G, V)
    if (rows.length > groups.length) {
      logits = gatherRows(tape, logits, rowIndex(tape, Uint32Array.from(groups.flatMap((group, g) => group.rows.map(() => g))))); // (R, V)
    }
    const sampled = samplerRows(tape, rows, decoder.config.vocabSize);
    sampleTokens(tape, logits, sampled);
    const seenLogits = await readLogits(tape, logits, rows);
    const [ids, logps] = await Promise.all([device.read(sampled.tokens), device.read(sampled.logp)]);
    rows.forEach((row, r) => {
      row.push(ids[r] as number, logps[r] as number, seenLogits.get(row));
    });
    return count;
  } finally {
    tape.dispose();
  }
}

/** The tokens of one pass, the groups' after one another and padding at the end. */
interface Pass {
  /** (N), padding included */
  readonly tokens: Uint32Array;
  /** Where the model is told that they are, (N). */
  readonly positions: Uint32Array;
  /** Where their keys and values go, (N - padding). */
  readonly slots: Uint32Array;
  /** Where each group's begin, and where the padding ends if there is any, (G + 1) or (G + 2). */
  readonly offsets: Uint32Array;
  /** The last token of each prompt, (G). */
  readonly lasts: Uint32Array;
  readonly padding: number;
}

/** `least` tokens at least: so many that a row's bits do not depend on how many others there are. */
function newTokens(groups: readonly Group[], cache: PagedCache, least: number): Pass {
  const lengths = groups.map(({ prompt, cachedTokens }) => prompt.length - cachedTokens);
  const count = lengths.reduce((sum, length) => sum + length, 0);
  const padding = Math.max(0, least - count);
  const tokens = new Uint32Array(count + padding);
  const positions = new Uint32Array(count + padding);
  const slots = new Uint32Array(count);
  const offsets = [0];
  groups.forEach(({ prompt, cachedTokens, rows, positionShift }, g) => {
    const start = offsets[g] as number;
    const { table } = rows[0] as Row;
    tokens.set(prompt.subarray(cachedTokens), start);
    for (let t = cachedTokens; t < prompt.length; t++) {
      positions[start + t - cachedTokens] = t + positionShift;
      slots[start + t - cachedTokens] = cache.slot(table, t);
    }
    offsets.push(start + (lengths[g] as number));
  });
  const lasts = Uint32Array.from(groups, (_, g) => (offsets[g + 1] as number) - 1);
  if (padding > 0) offsets.push(count + padding);
  return { tokens, positions, slots, offsets: Uint32Array.from(offsets), lasts, padding };
}

type PassAttend = (trunk: Trunk, layer: number, qkv: Tensor) => Tensor;

function flash(tape: Tape, pass: Pass): PassAttend {
  const offsets = tape.constant(pass.offsets);
  return (trunk, layer, qkv) => attention(tape, qkv, offsets, attentionShape(trunk.decoder.config, layer));
}

/** Every token is a row of its own, over what the cache holds up to it. Padding sees one slot, whatever it holds. */
function paged(tape: Tape, { tokens, offsets }: Pass, groups: readonly Group[]): PassAttend {
  const widest = groups.reduce((most, { rows }) => Math.max(most, (rows[0] as Row).table.length), 0);
  const tables = new Uint32Array(tokens.length * widest);
  const lengths = new Uint32Array(tokens.length).fill(1);
  groups.forEach(({ rows, cachedTokens }, g) => {
    const start = offsets[g] as number;
    for (let n = start; n < (offsets[g + 1] as number); n++) {
      tables.set((rows[0] as Row).table, n * widest);
      lengths[n] = cachedTokens + n - start + 1;
    }
  });
  const where = { tables: tape.constant(tables, [tokens.length, widest]), lengths: tape.constant(lengths) };
  return (trunk, layer, qkv) => trunk.cache.attend(tape, layer, qkv, where.tables, where.lengths);
}

function samplerRows(tape: Tape, rows: readonly Row[], vocabSize: number): SamplerRows {
  const count = rows.length;
  const words = (mask: Uint32Array | undefined) => mask && tape.constant(mask, [count, mask.length / count]);
  return {
    settings: tape.constant(settingsOf(rows), [count, SETTINGS]),
    keys: tape.constant(keysOf(rows), [count, KEYS]),
    positions: tape.constant(Uint32Array.from(rows, (row) => row.prompt.length)),
    allowed: words(allowedOf(rows, vocabSize)),
    seen: words(seenOf(rows)),
    tokens: tape.alloc([count], "u32"),
    logp: tape.alloc([count]),
  };
}

/** The prompt's last block is written by the group's first row; the others get copies, because each goes on differently. */
function copyHalfFilledBlocks(tape: Tape, cache: PagedCache, groups: readonly Group[]): void {
  const from: number[] = [];
  const to: number[] = [];
  for (const { prompt, rows, sharedBlocks } of groups) {
    const [first, ...others] = rows as readonly [Row, ...Row[]];
    for (const row of others) {
      for (let t = sharedBlocks * cache.blockSize; t < prompt.length; t++) {
        from.push(cache.slot(first.table, t));
        to.push(cache.slot(row.table, t));
      }
    }
  }
  if (from.length > 0) cache.copy(tape, tape.constant(Uint32Array.from(from)), tape.constant(Uint32Array.from(to)));
}
