/**
 * Text from a decoder: prompts wait until rows and cache blocks are free, are prefilled together, and then every running
 * row gets a block of tokens at a time. Rows that finish leave at the end of a block and make room.
 */
import { Tape } from "../autograd/tape";
import { BlockDecoder } from "./decode";
import { blocksOf, type Group, planGroups, releaseBlocks, takeBlocks } from "./groups";
import type { Completion, GenerateOptions } from "./options";
import type { PagedCache } from "./paged-cache";
import { prefill } from "./prefill";
import type { Row } from "./row";
import { resolveOptions, type Settings } from "./settings";
import type { GenerationStats } from "./stats";
import { Trunks } from "./trunks";

/** What one completion gained in one block of positions. */
export interface CompletionDelta {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  readonly tokens: Uint32Array;
  readonly logps: Float32Array;
  /** Whole characters that no stop string can take back. The deltas of a completion join to its text. */
  readonly text: string;
  /** The whole completion, with its last delta. */
  readonly completion: Completion | undefined;
}

/**
 * Completes every prompt `n` times and returns the completions in the order of the prompts, a prompt's samples together.
 * Rejects with ConfigError or DataError before any work where options or prompts are wrong.
 */
export async function generate(options: GenerateOptions): Promise<Completion[]> {
  const completions: Completion[] = [];
  for await (const { completion } of generateStream(options)) if (completion) completions.push(completion);
  return completions.sort((a, b) => a.promptIndex - b.promptIndex || a.sampleIndex - b.sampleIndex);
}

/** Like `generate`, but hands out each completion's new tokens and text as blocks finish. Stopping early frees everything. */
export function generateStream(options: GenerateOptions): AsyncGenerator<CompletionDelta, GenerationStats> {
  return run(resolveOptions(options), options.onStats);
}

async function* run(settings: Settings, onStats: GenerateOptions["onStats"]): AsyncGenerator<CompletionDelta, GenerationStats> {
  const { decoder, signal, stepsPerRead, prefillTokens } = settings;
  const { device } = decoder;
  const plan = planGroups(settings);
  const before = { ...device.counters };
  const now = settings.clock ?? (() => Number.NaN);
  const totals = { prefillTokens: 0, prefillPasses: 0, newTokens: 0, computedTokens: 0, decodeSteps: 0, decodeBlocks: 0, peakRows: 0 };
  let [prefillMs, decodeMs] = [0, 0];
  let cacheBytes = 0;

  signal?.throwIfAborted();
  if (plan.rowCount > 0) {
    const session = new Tape(device, { grad: false });
    try {
      const trunks = new Trunks(session, settings, plan.blockCount);
      const { cache } = trunks.policy;
      const blockDecoder = new BlockDecoder(session, settings, trunks, plan);
      cacheBytes = trunks.byteLength;
      const waiting = [...plan.groups];
      let rows: readonly Row[] = [];
      while (waiting.length > 0 || rows.length > 0) {
        signal?.throwIfAborted();
        const start = now();
        const admitted = admit(waiting, cache, plan.maxRows - rows.length, prefillTokens);
        const advanced = admitted.length > 0 ? admitted.flatMap((group) => group.rows) : rows;
        const lengths = advanced.map((row) => row.tokens.length);
        if (admitted.length > 0) {
          totals.prefillTokens += await prefill(settings, trunks, admitted);
          totals.prefillPasses += 1;
          totals.computedTokens += advanced.length;
          rows = [...rows, ...advanced];
          prefillMs += now() - start;
        } else {
          const steps = rows.reduce((least, row) => Math.min(least, row.limit - row.tokens.length), stepsPerRead);
          await blockDecoder.decode(rows, steps);
          totals.decodeBlocks += 1;
          totals.decodeSteps += steps;
          totals.computedTokens += steps * rows.length;
          decodeMs += now() - start;
        }
        totals.peakRows = Math.max(totals.peakRows, rows.length);
        for (const row of rows) if (row.isFinished) releaseBlocks(row, cache);
        rows = rows.filter((row) => !row.isFinished);
        for (const [i, row] of advanced.entries()) {
          const delta = row.since(lengths[i] as number);
          totals.newTokens += delta.tokens.length;
          yield { promptIndex: row.promptIndex, sampleIndex: row.sampleIndex, ...delta, completion: row.completion() };
        }
      }
    } finally {
      session.dispose();
    }
  }

  const { computedTokens, ...counts } = totals;
  const isTimed = settings.clock !== undefined;
  const stats: GenerationStats = {
    completions: plan.rowCount,
    ...counts,
    droppedTokens: computedTokens - totals.newTokens,
    cacheBytes,
    dispatches: device.counters.dispatches - before.dispatches,
    readbacks: device.counters.readbacks - before.readbacks,
    uploadBytes: device.counters.uploadBytes - before.uploadBytes,
    prefillMs: isTimed ? prefillMs : undefined,
    decodeMs: isTimed ? decodeMs : undefined,
    tokensPerSecond: isTimed ? (1000 * totals.newTokens) / (prefillMs + decodeMs) : undefined,
  };
  onStats?.(stats);
  return stats;
}

/** Takes from the front of `waiting` the groups that fit the free rows, the free blocks and one prefill pass. */
function admit(waiting: Group[], cache: PagedCache, freeRows: number, prefillTokens: number): Group[] {
  const admitted: Group[] = [];
  let rows = 0;
  let tokens = 0;
  for (let next = waiting[0]; next; next = waiting[0]) {
    const fitsPass = admitted.length === 0 || tokens + next.prompt.length <= prefillTokens;
    if (!fitsPass || rows + next.rows.length > freeRows || blocksOf(next) > cache.blocks.available) break;
    waiting.shift();
    takeBlocks(next, cache);
    admitted.push(next);
    rows += next.rows.length;
    tokens += next.prompt.length;
  }
  return admitted;
}
