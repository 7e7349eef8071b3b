/** Text from a decoder: all requests are known beforehand, and one batch works through them. */
import { Tape } from "../autograd/tape";
import { Batch } from "./batch";
import { planGroups } from "./groups";
import type { Completion, GenerateOptions, TokenLogprob } from "./options";
import { resolveOptions, type Settings } from "./settings";
import type { GenerationStats } from "./stats";

/** What one completion gained in one block of positions. */
export interface CompletionDelta {
  readonly promptIndex: number;
  readonly sampleIndex: number;
  readonly tokens: Uint32Array;
  readonly logps: Float32Array;
  /** Undefined unless asked for. */
  readonly topLogprobs: readonly (readonly TokenLogprob[])[] | undefined;
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
  const { decoder, signal } = settings;
  const { device } = decoder;
  const plan = planGroups(settings);
  const before = { ...device.counters };
  const now = settings.clock ?? (() => Number.NaN);
  const totals = { prefillTokens: 0, prefillPasses: 0, newTokens: 0, computedTokens: 0, decodeSteps: 0, decodeBlocks: 0, peakRows: 0 };
  const elapsedMs = { prefill: 0, decode: 0 };
  let cacheBytes = 0;

  signal?.throwIfAborted();
  if (plan.rowCount > 0) {
    const session = new Tape(device, { grad: false });
    try {
      const batch = new Batch(session, settings, plan, false);
      cacheBytes = batch.cacheBytes;
      batch.add(plan.groups);
      while (!batch.isIdle) {
        signal?.throwIfAborted();
        const start = now();
        const step = await batch.step();
        elapsedMs[step.kind] += now() - start;
        totals[step.kind === "prefill" ? "prefillTokens" : "decodeSteps"] += step.length;
        totals[step.kind === "prefill" ? "prefillPasses" : "decodeBlocks"] += 1;
        totals.computedTokens += step.computedTokens;
        totals.peakRows = Math.max(totals.peakRows, step.rows);
        for (const [row, delta] of step.advanced) {
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
    prefillMs: isTimed ? elapsedMs.prefill : undefined,
    decodeMs: isTimed ? elapsedMs.decode : undefined,
    tokensPerSecond: isTimed ? (1000 * totals.newTokens) / (elapsedMs.prefill + elapsedMs.decode) : undefined,
  };
  onStats?.(stats);
  return stats;
}
