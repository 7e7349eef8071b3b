/**
 * Rows that are decoded together: groups wait until rows and cache blocks are free, are prefilled together, and then every running row gets a
 * block of tokens at a time. Rows that finish leave at the end of a block and make room.
 */
import type { Tape } from "../autograd/tape";
import { BlockDecoder } from "./decode";
import { type BatchSize, type Group, releaseBlocks, takeBlocks } from "./groups";
import { type PrefillAttention, prefill } from "./prefill";
import type { Row, RowDelta } from "./row";
import type { BatchSettings } from "./settings";
import { Trunks } from "./trunks";

/** What one step did: a pass over prompts, or a block of positions. */
export interface BatchStep {
  readonly kind: "prefill" | "decode";
  /** Prompt tokens, or positions of every row. */
  readonly length: number;
  /** Prompt tokens that the cache held already. */
  readonly cachedTokens: number;
  /** Tokens computed for rows, those beyond the end of a completion included. */
  readonly computedTokens: number;
  /** Rows in the batch during the step. */
  readonly rows: number;
  /** Rows that the step advanced, and what they gained. */
  readonly advanced: readonly (readonly [Row, RowDelta])[];
}

export class Batch {
  readonly #settings: BatchSettings;
  readonly #maxRows: number;
  readonly #sharesPrefixes: boolean;
  readonly #trunks: Trunks;
  readonly #blockDecoder: BlockDecoder;
  #waiting: Group[] = [];
  #rows: readonly Row[] = [];

  /** `session` owns the memory. With `sharesPrefixes` the cache keeps the blocks of prompts for prompts that begin alike. */
  constructor(session: Tape, settings: BatchSettings, size: BatchSize, sharesPrefixes: boolean) {
    this.#settings = settings;
    this.#maxRows = size.maxRows;
    this.#sharesPrefixes = sharesPrefixes;
    this.#trunks = new Trunks(session, settings, size.blockCount);
    this.#blockDecoder = new BlockDecoder(session, settings, this.#trunks, size);
  }

  get cacheBytes(): number {
    return this.#trunks.byteLength;
  }

  /** Nothing waits and nothing runs. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#rows.length === 0;
  }

  get runningRows(): number {
    return this.#rows.length;
  }

  get waitingRows(): number {
    return this.#waiting.reduce((sum, { rows }) => sum + rows.length, 0);
  }

  /** Groups wait behind those that wait already. Each must fit the batch when it is empty. */
  add(groups: readonly Group[]): void {
    this.#waiting.push(...groups);
  }

  /** Takes rows out, waiting or running; groups are taken out whole. Not while a step runs. */
  remove(rows: ReadonlySet<Row>): void {
    this.#waiting = this.#waiting.filter((group) => !group.rows.some((row) => rows.has(row)));
    for (const row of this.#rows) if (rows.has(row)) releaseBlocks(row, this.#trunks.policy.cache);
    this.#rows = this.#rows.filter((row) => !rows.has(row));
  }

  /** Admits and prefills what has room; where nothing has, decodes a block. Only one step at a time, and not when idle. */
  async step(): Promise<BatchStep> {
    const admitted = this.#admit();
    const isPrefill = admitted.length > 0;
    const advanced = isPrefill ? admitted.flatMap((group) => group.rows) : this.#rows;
    const before = advanced.map((row) => row.tokens.length);
    if (isPrefill) this.#rows = [...this.#rows, ...advanced];
    const length = isPrefill
      ? await prefill(this.#settings, this.#trunks, admitted, this.#attention)
      : await this.#blockDecoder.decode(this.#rows);
    const rows = this.#rows.length;
    const { cache } = this.#trunks.policy;
    for (const row of this.#rows) if (row.isFinished) releaseBlocks(row, cache);
    this.#rows = this.#rows.filter((row) => !row.isFinished);
    return {
      kind: isPrefill ? "prefill" : "decode",
      length,
      cachedTokens: admitted.reduce((sum, group) => sum + group.cachedTokens, 0),
      computedTokens: isPrefill ? advanced.length : length * rows,
      rows,
      advanced: advanced.map((row, i) => [row, row.since(before[i] as number)]),
    };
  }

  get #attention(): PrefillAttention {
    return this.#sharesPrefixes ? "paged" : "flash";
  }

  /** Takes from the front of the queue the groups that fit the free rows, the free blocks and one prefill pass. */
  #admit(): Group[] {
    const { cache } = this.#trunks.policy;
    const mostGroups = this.#settings.decoder.device.info.fewRows ?? Number.POSITIVE_INFINITY;
    const admitted: Group[] = [];
    let rows = this.#rows.length;
    let tokens = 0;
    for (let next = this.#waiting[0]; next && admitted.length < mostGroups; next = this.#waiting[0]) {
      const fitsPass = admitted.length === 0 || tokens + next.prompt.length <= this.#settings.prefillTokens;
      if (!fitsPass || rows + next.rows.length > this.#maxRows || !takeBlocks(next, cache, this.#sharesPrefixes)) break;
      this.#waiting.shift();
      admitted.push(next);
      rows += next.rows.length;
      tokens += next.prompt.length - next.cachedTokens;
    }
    return admitted;
  }
}
