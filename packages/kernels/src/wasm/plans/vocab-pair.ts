/** Plans of vocab-pair. */
import type { Phase } from "../pool";
import { blocks, forwardProduct } from "./matmul";
import { type Plan, type PlanCall, phase } from "./plan";
import { DZ_BYTES } from "./token-logprob";

/** Nanoseconds of capping one logit. */
const CAP_NS = 3;

/** A chunk of the vocabulary: `count` entries from `first`, and what gives both sides' logits (N, count): two products, and caps. */
interface PairChunk {
  readonly first: number;
  readonly count: number;
  readonly logits: readonly Phase[];
}

function pairChunks(call: PlanCall): { z: number; u: number; chunks: PairChunk[] } {
  const [N, C, D, V] = [call.value("N"), call.value("C"), call.value("D"), call.value("V")];
  const [hidden, head, fixedHidden, fixedHead] = ["hidden", "head", "fixedHidden", "fixedHead"].map((name) => call.pointer(name)) as [
    number,
    number,
    number,
    number,
  ];
  const step = Math.min(V, Math.max(96, Math.floor(DZ_BYTES / 4 / Math.max(1, N) / 96) * 96));
  const [z, u] = [call.scratch(N * step * 4), call.scratch(N * step * 4)];
  const chunks: PairChunk[] = [];
  for (let first = 0; first < V; first += step) {
    const count = Math.min(step, V - first);
    const learning = forwardProduct({ x: hidden, w: head + first * C * 4, y: z, M: N, K: C, N: count });
    const fixed = forwardProduct({ x: fixedHidden, w: fixedHead + first * D * 4, y: u, M: N, K: D, N: count });
    const capped = (logits: number, cap: number) => (cap > 0 ? [phase("vocab_pair__cap", [logits, count, cap], N, count * CAP_NS)] : []);
    const caps = [...capped(z, call.value("cap")), ...capped(u, call.value("fixed_cap"))];
    chunks.push({ first, count, logits: [learning, fixed, ...caps] });
  }
  return { z, u, chunks };
}

/** Nanoseconds of one logit: two exponentials, and beside them a third with its logarithm. */
const PAIR_NS = 8;

export const vocabPairForward: Plan = (call) => {
  const N = call.value("N");
  const { z, u, chunks } = pairChunks(call);
  const [lse, fixedLse, divergence, centre] = ["lse", "fixedLse", "divergence", "centre"].map((name) => call.pointer(name));
  const [inverse, fixedInverse] = [call.value("inverse_temperature"), call.value("fixed_inverse_temperature")];
  const normalise = (logits: number, sum: number, { count, first }: PairChunk, scale: number) =>
    phase("vocab_pair_forward__normalise", [logits, sum, count, scale, Number(first === 0)], N, count * 2);
  return [
    ...chunks.flatMap((chunk) => [
      ...chunk.logits,
      normalise(z, lse as number, chunk, inverse),
      normalise(u, fixedLse as number, chunk, fixedInverse),
    ]),
    ...chunks.flatMap(({ first, count, logits }) => {
      const pointers = [z, u, lse, fixedLse, divergence, centre] as number[];
      const args = [...pointers, count, inverse, fixedInverse, call.value("beta"), Number(first === 0)];
      const sums = phase("vocab_pair_forward__sums", args, N, count * PAIR_NS);
      // The logits of an only chunk are still there.
      return chunks.length > 1 ? [...logits, sums] : [sums];
    }),
  ];
};

export const vocabPairSums: Plan = (call) => {
  const { z, u, chunks } = pairChunks(call);
  const pointers = [z, u, ...["lse", "fixedLse", "divergence", "centre"].map((name) => call.pointer(name))];
  const scalars = ["inverse_temperature", "fixed_inverse_temperature", "beta"].map((name) => call.value(name));
  return chunks.flatMap(({ first, count, logits }) => {
    const isFirst = Number(call.value("first") === 0 && first === 0);
    return [...logits, phase("vocab_pair_forward__sums", [...pointers, count, ...scalars, isFirst], call.value("N"), count * PAIR_NS)];
  });
};

export const vocabPairBackward: Plan = (call) => {
  const [N, C] = [call.value("N"), call.value("C")];
  const { z, u, chunks } = pairChunks(call);
  const [coefficients, hidden, head] = ["coefficients", "hidden", "head"].map((name) => call.pointer(name)) as [number, number, number];
  const [dhidden, dhead] = [call.pointer("dhidden"), call.pointer("dhead")];
  const scalars = ["inverse_temperature", "fixed_inverse_temperature", "cap", "beta"].map((name) => call.value(name));
  const shared = { ldb: 4 * C, bTransposed: false, N: C };
  return chunks.flatMap(({ first, count, logits }) => {
    const at = first * C * 4;
    const phases = [
      ...logits,
      phase("vocab_pair_backward__gradients", [coefficients, z, u, count, ...scalars], N, count * PAIR_NS),
      blocks({ ...shared, a: z, ai: 4 * count, ak: 4, b: head + at, accumulate: first > 0, c: dhidden, M: N, K: count }),
    ];
    if (dhead) phases.push(blocks({ ...shared, a: z, ai: 4, ak: 4 * count, b: hidden, accumulate: true, c: dhead + at, M: count, K: N }));
    return phases;
  });
};
