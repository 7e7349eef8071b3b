/** Joining a prompt with a completion, and cutting what is too long. */
import type { Sequence } from "./batch";

/** Which end of a longer row stays. */
export type TruncationMode = "keep_start" | "keep_end";

/** Prompt and completion as one sequence, in which only the completion counts (or, where `countPrompt`, all of it). */
export function joinCompletion(prompt: Uint32Array, completion: Uint32Array, countPrompt = false): Sequence {
  const tokens = concatTokens(prompt, completion);
  const mask = new Uint8Array(tokens.length).fill(1, countPrompt ? 0 : prompt.length);
  return { tokens, mask };
}

/** The first or last `maxLength` tokens; a shorter sequence is returned as it is. */
export function truncate(sequence: Sequence, maxLength: number | undefined, mode: TruncationMode): Sequence {
  const { tokens, mask } = sequence;
  if (maxLength === undefined || tokens.length <= maxLength) return sequence;
  const [from, to] = mode === "keep_start" ? [0, maxLength] : [tokens.length - maxLength, tokens.length];
  return { tokens: tokens.slice(from, to), mask: mask.slice(from, to) };
}

/** Whether a sequence has a token to learn from; the first never counts, for nothing predicts it. */
export const hasTarget = ({ mask }: Sequence): boolean => mask.indexOf(1, 1) > 0;

export function concatTokens(a: Uint32Array, b: Uint32Array): Uint32Array {
  const joined = new Uint32Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
