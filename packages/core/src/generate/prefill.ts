/** Computes prompts, fills the cache with them, and samples the first token of each completion. */

import { gatherRows, rowIndex } from "../autograd/gather";
import { Tape } from "../autograd/tape";
import { attentionShape } from "../models/config";
import { positionsOf } from "../models/decoder";
import { attention } from "../nn/attention";
import type { Group } from "./groups";
import type { PagedCache } from "./paged-cache";
import type { Row } from "./row";
import { sampleTokens, seenWords } from "./sampling";
import type { Settings } from "./settings";
import type { Trunks } from "./trunks";

/** Runs the groups' prompts as one ragged batch; every row gets its first token. Returns the number of prompt tokens. */
export async function prefill(settings: Settings, trunks: Trunks, groups: readonly Group[]): Promise<number> {
  const { decoder } = settings;
  const { cache } = trunks.policy;
  const rows = groups.flatMap((group) => group.rows);
  const offsets = new Uint32Array(groups.length + 1);
  groups.forEach((group, g) => {
    offsets[g + 1] = (offsets[g] as number) + group.prompt.length;
  });
  const count = offsets[groups.length] as number;
  const prompts = new Uint32Array(count);
  const slots = new Uint32Array(count);
  groups.forEach((group, g) => {
    const start = offsets[g] as number;
    const { table } = group.rows[0] as Row;
    prompts.set(group.prompt, start);
    for (let t = 0; t < group.prompt.length; t++) slots[start + t] = cache.slot(table, t);
  });

  const tape = new Tape(decoder.device, { grad: false });
  try {
    const where = { offsets: tape.constant(offsets), slots: tape.constant(slots) };
    const positions = positionsOf({ tokens: prompts, offsets }, (g) => (groups[g] as Group).positionShift);
    const lasts = Uint32Array.from(groups, (_, g) => (offsets[g + 1] as number) - 1);
    let logits = trunks.logits(tape, (trunk) => {
      const hidden = trunk.decoder.hidden(tape, rowIndex(tape, prompts), positions, (layer, qkv) => {
        trunk.cache.write(tape, layer, qkv, where.slots);
        return attention(tape, qkv, where.offsets, attentionShape(trunk.decoder.config, layer));
      });
      copyHalfFilledBlocks(tape, trunk.cache, groups);
      return gatherRows(tape, hidden, rowIndex(tape, lasts)); // (G, C)
    }); // (G, V)
    if (rows.length > groups.length) {
      logits = gatherRows(tape, logits, rowIndex(tape, Uint32Array.from(groups.flatMap((group, g) => group.rows.map(() => g))))); // (R, V)
    }
    const seen = seenWords(rows);
    const tokens = tape.alloc([rows.length], "u32");
    const logp = tape.alloc([rows.length]);
    sampleTokens(tape, settings, logits, {
      streams: tape.constant(Uint32Array.from(rows, (row) => row.stream)),
      positions: tape.constant(Uint32Array.from(rows, (row) => row.prompt.length)),
      seen: seen && tape.constant(seen, [rows.length, seen.length / rows.length]),
      tokens,
      logp,
    });
    const [ids, logps] = await Promise.all([decoder.device.read(tokens), decoder.device.read(logp)]);
    rows.forEach((row, r) => {
      row.push(ids[r] as number, logps[r] as number);
    });
    return count;
  } finally {
    tape.dispose();
  }
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
