/**
 * The loss of scores under choices: each choice is a Bradley-Terry comparison of its winner with the log-sum-exp of its opponents.
 *
 *   -log(e^s_w / (e^s_w + Σ_j e^s_j)) = -log σ(s_w - log Σ_j e^s_j),   losses_l = Σ of the weighted choices of list l
 *
 * With the choices of `plackettLuce` it is -Σ_k [s_k - log Σ_{j≥k} e^s_j]; with those of `allPairs` InstructGPT's loss of a batch
 * element, one forward pass per completion; with `bestOfN` lm-human-preferences' softmax cross-entropy.
 */
import { mul, sub, unary } from "../../autograd/elementwise";
import { gather } from "../../autograd/gather";
import { segmentLogSumExp } from "../../autograd/log-sum-exp";
import { segmentSum } from "../../autograd/segment";
import type { Tape } from "../../autograd/tape";
import { ConfigError } from "../../errors";
import type { Tensor } from "../../tensor/tensor";
import type { Choice } from "./choices";

/** Lists of scored items, laid end to end. */
export interface RankedLists {
  /** Items of list l are scores[offsets[l]] and following. (L + 1) */
  readonly offsets: ArrayLike<number>;
  /** Of each list, by item numbers of its own; a list without any has loss 0. (L) */
  readonly choices: readonly (readonly Choice[])[];
}

/** scores (S) -> losses (L). Throws ConfigError where no list has a choice. */
export function rankingLoss(tape: Tape, scores: Tensor, { offsets, choices }: RankedLists): Tensor {
  const all = choices.flatMap((list, l) => {
    const start = offsets[l] as number;
    return list.map(({ winner, opponents, weight }) => ({ winner: start + winner, opponents: opponents.map((o) => start + o), weight }));
  });
  if (all.length === 0)
    throw new ConfigError("rankingLoss: at least one list must have a choice, got none. Leave out lists that are all tied.");
  const winners = gather(
    tape,
    scores,
    Uint32Array.from(all, ({ winner }) => winner),
  );
  const opponents = gather(tape, scores, Uint32Array.from(all.flatMap((choice) => choice.opponents)));
  const against = segmentLogSumExp(tape, opponents, ends(all.map((choice) => choice.opponents.length)));
  const likelihoods = unary(tape, "log_sigmoid", sub(tape, winners, against));
  const weighed = mul(tape, likelihoods, tape.constant(Float32Array.from(all, ({ weight }) => -weight)));
  return segmentSum(tape, weighed, tape.constant(ends(choices.map((list) => list.length))));
}

/** Offsets of segments of these lengths. */
function ends(lengths: readonly number[]): Uint32Array {
  const offsets = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, i) => {
    offsets[i + 1] = (offsets[i] as number) + length;
  });
  return offsets;
}
