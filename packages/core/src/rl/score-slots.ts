/** Where the score of a completion is paid: on its last token, or on one more position after its end, as TRL's PPOTrainer does. */
import { buildRollout, countingTokens, type Rollout } from "./rollout";

export type ScorePlacement = "last" | "trl";

/** A rollout, and where its value model learns: 1 at the tokens that count, and at the positions added for scores. (N) */
export interface ValuedRollout {
  readonly rollout: Rollout;
  readonly valueMask: Uint8Array;
}

/**
 * "last" changes nothing: the score belongs to the last token that the policy chose. "trl" appends one position to every completion that ended
 * by itself below `maxCompletionLength`: its value is that of the state after the end, its reward the score, and the policy does not learn from it. The
 * token there is a copy of the one before and is seen by nothing. Source: TRL PPOTrainer, whose first padding position this is.
 */
export function valuedRollout(rollout: Rollout, placement: ScorePlacement, maxCompletionLength: number): ValuedRollout {
  if (placement === "last") return { rollout, valueMask: rollout.mask };
  const { tokens, offsets, completionStarts, mask, samplerLogps, ends } = rollout;
  const isWidened = ends.map((end, s) => {
    const length = (offsets[s + 1] as number) - (completionStarts[s] as number);
    return end !== "length" && length < maxCompletionLength && countingTokens(rollout, s) > 0;
  });
  const widened = buildRollout(
    ends.map((finishReason, s) => {
      const [from, start, to] = [offsets[s] as number, completionStarts[s] as number, offsets[s + 1] as number];
      const more = isWidened[s] ? 1 : 0;
      return {
        promptTokens: tokens.subarray(from, start),
        tokens: Uint32Array.from({ length: to - start + more }, (_, t) => tokens[Math.min(start + t, to - 1)] as number),
        logps: Float32Array.from({ length: to - start + more }, (_, t) => (start + t < to ? (samplerLogps[start + t] as number) : 0)),
        mask: Uint8Array.from({ length: to - start + more }, (_, t) => (start + t < to ? (mask[start + t] as number) : 0)),
        finishReason,
      };
    }),
    false,
  );
  const valueMask = widened.mask.slice();
  isWidened.forEach((isOne, s) => {
    if (isOne) valueMask[(widened.offsets[s + 1] as number) - 1] = 1;
  });
  return { rollout: widened, valueMask };
}
