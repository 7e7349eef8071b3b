/**
 * Packing: which sequences share a row of at most `maxLength` tokens.
 *
 * Batches are ragged, so packing changes no mask and no attention: a packed row is just a list of sequences that are counted
 * together. Only "wrapped" cuts: it lays the whole stream end to end and slices it, across document borders, as TRL does.
 */
import type { Sequence } from "./batch";

export type PackingStrategy = "bfd" | "bfd_split" | "wrapped";

/** A unit of a batch: one sequence, or the sequences packed together. */
export type PackedRow = readonly Sequence[];

/**
 * bfd: best fit decreasing over whole sequences (which must not be longer than `maxLength`). bfd_split: longer ones are first
 * cut into pieces. wrapped: slices of the concatenated stream. Pieces and slices without a loss token are left out.
 */
export function pack(sequences: readonly Sequence[], maxLength: number, strategy: PackingStrategy): PackedRow[] {
  return strategies[strategy](sequences, maxLength);
}

const strategies: Record<PackingStrategy, (sequences: readonly Sequence[], maxLength: number) => PackedRow[]> = {
  bfd: bestFitDecreasing,
  bfd_split: (sequences, maxLength) =>
    bestFitDecreasing(
      sequences.flatMap((s) => slices(s, maxLength)),
      maxLength,
    ),
  wrapped: (sequences, maxLength) => slices(concatenate(sequences), maxLength).map((slice) => [slice]),
};

/** Longest first, each into the fullest row that still takes it; rows by age among equals, so the result is one only. */
function bestFitDecreasing(sequences: readonly Sequence[], maxLength: number): PackedRow[] {
  const rows: Sequence[][] = [];
  /** Row indices by the room they have left. */
  const byRoom = Array.from({ length: maxLength + 1 }, (): number[] => []);
  const order = sequences.map((_, i) => i).sort((a, b) => lengthOf(sequences, b) - lengthOf(sequences, a) || a - b);
  for (const i of order) {
    const sequence = sequences[i] as Sequence;
    const { length } = sequence.tokens;
    let room = length;
    while (room <= maxLength && byRoom[room]?.length === 0) room++;
    const row = byRoom[room]?.shift() ?? rows.push([]) - 1;
    (rows[row] as Sequence[]).push(sequence);
    byRoom[Math.min(room, maxLength) - length]?.push(row);
  }
  return rows;
}

function slices(sequence: Sequence, maxLength: number): Sequence[] {
  const result: Sequence[] = [];
  for (let start = 0; start < sequence.tokens.length; start += maxLength) {
    const slice = { tokens: sequence.tokens.slice(start, start + maxLength), mask: sequence.mask.slice(start, start + maxLength) };
    if (slice.mask.indexOf(1, 1) > 0) result.push(slice);
  }
  return result;
}

function concatenate(sequences: readonly Sequence[]): Sequence {
  const length = sequences.reduce((sum, s) => sum + s.tokens.length, 0);
  const tokens = new Uint32Array(length);
  const mask = new Uint8Array(length);
  let at = 0;
  for (const sequence of sequences) {
    tokens.set(sequence.tokens, at);
    mask.set(sequence.mask, at);
    at += sequence.tokens.length;
  }
  return { tokens, mask };
}

const lengthOf = (sequences: readonly Sequence[], i: number) => (sequences[i] as Sequence).tokens.length;
