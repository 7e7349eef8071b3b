/** Which completions share a prompt's cache, how many blocks they need, and how large the cache has to be. */
import { OutOfMemoryError } from "@trimtab/kernels";
import { positionShift } from "../models/config";
import type { PagedCache } from "./paged-cache";
import { Row } from "./row";
import type { BatchSettings, Settings } from "./settings";
import { blockBytes } from "./trunks";

/** Completions of equal prompts, admitted together: one prefill, shared full blocks, the rest each for itself. */
export interface Group {
  readonly prompt: Uint32Array;
  readonly rows: readonly Row[];
  /** Added to every position of these rows; see `positionShift`. */
  readonly positionShift: number;
  /** Full blocks of the prompt, held once. */
  readonly sharedBlocks: number;
  /** Further blocks of each row, reserved for its longest completion. */
  readonly ownBlocks: number;
  /** Tokens of the prompt that the cache held already; set when the group is admitted. */
  cachedTokens: number;
}

/** Room for a batch: blocks in its cache, rows at once, and blocks of one row. */
export interface BatchSize {
  readonly blockCount: number;
  readonly maxRows: number;
  readonly maxTable: number;
}

/** Groups, and the smallest room in which they run as fast as in any. */
export interface Plan extends BatchSize {
  readonly groups: readonly Group[];
  readonly rowCount: number;
}

/**
 * Groups the completions by prompt, in the order of first appearance, and splits groups that cannot be in the cache at once.
 * Throws OutOfMemoryError where not even one completion fits.
 */
export function planGroups(settings: Settings): Plan {
  const { decoder, prompts, n, blockSize, maxRows } = settings;
  const limit = mostBlocks(settings);
  const samePrompt = new Map<string, Row[]>();
  prompts.forEach((prompt, promptIndex) => {
    const key = prompt.join();
    const rows = samePrompt.get(key) ?? [];
    samePrompt.set(key, rows);
    for (let sampleIndex = 0; sampleIndex < n; sampleIndex++) rows.push(new Row(settings, promptIndex, sampleIndex));
  });

  const groups: Group[] = [];
  for (const rows of samePrompt.values()) {
    const first = rows[0] as Row;
    const sharedBlocks = Math.floor(first.prompt.length / blockSize);
    // The last token of a completion is never fed back, so it needs no slot.
    const longest = rows.reduce((most, row) => Math.max(most, row.limit), 0);
    const shift = positionShift(decoder.config, first.prompt.length + longest);
    for (const row of rows) row.positionShift = shift;
    const ownBlocks = Math.ceil((first.prompt.length + longest - 1) / blockSize) - sharedBlocks;
    if (sharedBlocks + ownBlocks > limit) {
      const { all } = blockBytes(settings);
      const needed = (sharedBlocks + ownBlocks) * all;
      const available = limit * all;
      throw new OutOfMemoryError(
        `generate: the key/value cache must hold one completion of prompt ${first.promptIndex} (${first.prompt.length} + ${longest} tokens), which takes ${needed} bytes, got room for ${available}. Raise cacheBytes or lower maxNewTokens.`,
        needed,
        available,
      );
    }
    const fitting = ownBlocks === 0 ? maxRows : Math.min(maxRows, Math.floor((limit - sharedBlocks) / ownBlocks));
    for (let at = 0; at < rows.length; at += fitting) {
      groups.push({
        prompt: first.prompt,
        rows: rows.slice(at, at + fitting),
        positionShift: shift,
        sharedBlocks,
        ownBlocks,
        cachedTokens: 0,
      });
    }
  }
  const rowCount = prompts.length * n;
  return {
    groups,
    blockCount: Math.min(limit, peakBlocks(groups, maxRows)),
    rowCount,
    maxRows: Math.min(maxRows, rowCount),
    maxTable: groups.reduce((most, group) => Math.max(most, group.sharedBlocks + group.ownBlocks), 0),
  };
}

/** Blocks that the settings' cache may have. */
export function mostBlocks(settings: BatchSettings): number {
  const bytes = blockBytes(settings);
  return Math.min(Math.floor(settings.cacheBytes / bytes.all), Math.floor(settings.decoder.device.info.maxBufferBytes / bytes.largest));
}

/** Blocks that a group takes where the cache holds nothing of its prompt. */
export function blocksOf(group: Group): number {
  return group.sharedBlocks + group.rows.length * group.ownBlocks;
}

/**
 * Takes the group's blocks and gives each row its table; false where there is no room. With `sharesPrefixes` it uses the blocks that already hold
 * the beginning of its prompt, and its own are found by groups that come later.
 */
export function takeBlocks(group: Group, { blocks, blockSize, prefixes }: PagedCache, sharesPrefixes: boolean): boolean {
  const { prompt, positionShift, sharedBlocks, ownBlocks, rows } = group;
  const held = sharesPrefixes ? prefixes.find(prompt, positionShift) : [];
  const idle = held.filter((block) => blocks.isIdle(block)).length;
  if (blocksOf(group) - held.length + idle > blocks.available) return false;
  for (const block of held) blocks.retain(block);
  const shared = [...held, ...Array.from({ length: sharedBlocks - held.length }, () => blocks.take())];
  rows.forEach((row, i) => {
    if (i > 0) for (const block of shared) blocks.retain(block);
    row.table = Uint32Array.from([...shared, ...Array.from({ length: ownBlocks }, () => blocks.take())]);
  });
  group.cachedTokens = held.length * blockSize;
  if (sharesPrefixes) for (const block of prefixes.add(prompt, positionShift, Uint32Array.from(shared))) blocks.keep(block);
  return true;
}

/** Gives a finished row's blocks back, from its end to its beginning; shared ones stay until their last row has finished. */
export function releaseBlocks(row: Row, cache: PagedCache): void {
  for (const block of row.table.toReversed()) cache.blocks.release(block);
}

/** An upper bound of the blocks in use at once: the groups with the dearest rows, until the batch is full. */
function peakBlocks(groups: readonly Group[], maxRows: number): number {
  let blocks = 0;
  let rows = 0;
  for (const group of groups.toSorted((a, b) => blocksOf(b) / b.rows.length - blocksOf(a) / a.rows.length)) {
    if (rows >= maxRows) break;
    blocks += blocksOf(group);
    rows += group.rows.length;
  }
  return blocks;
}
