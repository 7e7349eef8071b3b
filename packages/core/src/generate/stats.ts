/** What a run of generation cost. */

export interface GenerationStats {
  readonly completions: number;
  /** Prompt tokens computed; a prompt shared by several completions counts once. */
  readonly prefillTokens: number;
  readonly prefillPasses: number;
  /** Tokens of the completions, the first ones, which the prefill passes sample, included. */
  readonly newTokens: number;
  /** Tokens computed past the end of their completion, within a block of positions. */
  readonly droppedTokens: number;
  readonly decodeSteps: number;
  /** Blocks of positions: the token ids of each are read back once, and the log-probabilities with them. */
  readonly decodeBlocks: number;
  /** Most completions decoded at once. */
  readonly peakRows: number;
  readonly cacheBytes: number;
  /** What the device counted during the run. */
  readonly dispatches: number;
  readonly readbacks: number;
  readonly uploadBytes: number;
  /** Undefined without a clock. */
  readonly prefillMs: number | undefined;
  readonly decodeMs: number | undefined;
  /** New tokens per second of prefill and decoding together; undefined without a clock. */
  readonly tokensPerSecond: number | undefined;
}
