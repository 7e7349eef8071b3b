/** DAPO's dynamic sampling: groups whose completions all earn the same teach nothing and are replaced by those of further prompts. */
import { groupSpreads, type RewardScale } from "@trimtab/kernels";
import type { TrainerState } from "../rl/rewards";
import type { ScoredRollout } from "../rl/scored-rollout";
import { assemble, type Sample, sampleAndScore } from "./collect";
import type { RolloutSettings } from "./rollout-options";
import type { DrawnPrompts } from "./rounds";
import type { TrainingModel } from "./training-model";

/** Deviations up to this are rounding. */
const TOLERANCE = 1e-8;

/**
 * A round of as many groups as were first drawn, all with spread as far as `maxResamplingAttempts` further draws allow; places that are then
 * still open go to groups without. Reports the draws and the groups left out; the metrics of rewards and lengths are those of everything sampled.
 * Source: Yu et al. 2025, section 3.2. Departure: each draw is as large as what is missing, not a whole batch. With 0 attempts it is {@link collect}.
 */
export async function collectWithSpread(
  model: TrainingModel,
  first: DrawnPrompts,
  trainerState: TrainerState,
  settings: RolloutSettings & { readonly maxResamplingAttempts: number; readonly scaleRewards: RewardScale },
  draw: (count: number) => DrawnPrompts,
): Promise<ScoredRollout> {
  const { numGenerations: groupSize, maxResamplingAttempts, signal } = settings;
  const wanted = first.prompts.length;
  const samples: Sample[] = [await sampleAndScore(model, first.prompts, first.position, trainerState, settings)];
  if (maxResamplingAttempts === 0) return assemble(samples, settings);

  const places = () =>
    samples.flatMap(({ scored }, sample) =>
      Array.from(groupSpreads(scored.rewards, { groupSize }), (spread, group) => ({ sample, group, hasSpread: spread > TOLERANCE })),
    );
  const missing = () => wanted - places().filter(({ hasSpread }) => hasSpread).length;
  while (missing() > 0 && samples.length <= maxResamplingAttempts) {
    signal?.throwIfAborted();
    const { prompts, position } = draw(missing());
    samples.push(await sampleAndScore(model, prompts, position, trainerState, settings));
  }
  const all = places();
  const chosen = [...all.filter(({ hasSpread }) => hasSpread), ...all.filter(({ hasSpread }) => !hasSpread)].slice(0, wanted);
  const kept = samples.map((_, i) =>
    chosen.filter(({ sample }) => sample === i).flatMap(({ group }) => Array.from({ length: groupSize }, (_, g) => group * groupSize + g)),
  );
  const scored = assemble(samples, settings, kept);
  return {
    ...scored,
    metrics: {
      ...scored.metrics,
      "dynamic_sampling/attempts": samples.length - 1,
      "dynamic_sampling/replaced_groups": all.length - wanted,
    },
  };
}
