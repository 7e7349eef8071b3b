/** A stable, differentiable log-sum-exp over ragged segments, composed of elementwise functions and lookups. */
import type { Tensor } from "../tensor/tensor";
import { binary, sub, unary } from "./elementwise";
import { gather } from "./gather";
import type { Tape } from "./tape";

/**
 * x (N), offsets (S + 1) on the host -> y (S), y[s] = log Σ exp(x) over segment s, which must not be empty.
 *
 * Neighbours are joined pairwise until one value is left of each segment, ceil(log2(longest)) rounds, with
 * log(eᵃ + eᵇ) = max(a, b) - log σ(|a - b|): no exponential of a positive number, so nothing overflows and no gradient is cut off,
 * and no maximum has to be known beforehand.
 */
export function segmentLogSumExp(tape: Tape, x: Tensor, offsets: Uint32Array): Tensor {
  let values = x;
  let bounds = offsets;
  while (longest(bounds) > 1) {
    const round = pairUp(bounds);
    const a = gather(tape, values, round.first);
    const b = gather(tape, values, round.second);
    const rest = unary(tape, "log_sigmoid", unary(tape, "abs", sub(tape, a, b)));
    values = sub(tape, binary(tape, "max", a, b), binary(tape, "keep", rest, tape.constant(round.hasSecond)));
    bounds = round.offsets;
  }
  return values;
}

const longest = (offsets: Uint32Array): number =>
  offsets.reduce((most, end, i) => (i > 0 ? Math.max(most, end - (offsets[i - 1] as number)) : 0), 0);

/** Neighbours of each segment two by two; the last of an odd segment is its own partner, with hasSecond 0. */
function pairUp(offsets: Uint32Array) {
  const first: number[] = [];
  const second: number[] = [];
  const hasSecond: number[] = [];
  const ends = [0];
  for (let s = 0; s + 1 < offsets.length; s++) {
    const end = offsets[s + 1] as number;
    for (let i = offsets[s] as number; i < end; i += 2) {
      first.push(i);
      second.push(Math.min(i + 1, end - 1));
      hasSecond.push(i + 1 < end ? 1 : 0);
    }
    ends.push(first.length);
  }
  return {
    first: Uint32Array.from(first),
    second: Uint32Array.from(second),
    hasSecond: Float32Array.from(hasSecond),
    offsets: Uint32Array.from(ends),
  };
}
