/**
 * Rollouts in environments, for every trainer that samples: token ids in, token ids out. What the policy sampled stays as it was sampled
 * (ids, log-probabilities, mask 1); what an environment says is encoded once and appended (mask 0, log-probability 0).
 *
 * Turn by turn, all episodes that still play get their next action from one call of `generate`, and then their environments step
 * concurrently. Left out: keeping the cache of keys and values between turns; each turn computes the history again, in one prefill.
 */
import { generate } from "../generate/generate";
import type { Completion } from "../generate/options";
import type { RolloutFunction, RolloutRequest } from "../rl/rollout-function";
import { concurrently } from "./concurrently";
import type { EnvironmentFactory } from "./environment";
import { Episode } from "./episode";
import { type EnvironmentRolloutOptions, resolveEnvironmentRollout } from "./options";

/**
 * A rollout function that plays one episode of `factory`'s environment for each completion. Metrics: `num_turns/mean`, `min`, `max` (verl's
 * names), what the environments report, and where there were any `environment/failures` and `environment/clipped_observation_ratio`.
 * Throws ConfigError listing every bad option. A rollout rejects with EnvironmentError where an environment fails, unless the trainer's
 * onRewardError is "skip".
 */
export function environmentRollout(factory: EnvironmentFactory, options: EnvironmentRolloutOptions = {}): RolloutFunction {
  const settings = resolveEnvironmentRollout(options);
  return async (request) => {
    const episodes = request.rows.flatMap((_, promptIndex) =>
      Array.from({ length: request.n }, (_, sampleIndex) => new Episode(request, settings, promptIndex, sampleIndex)),
    );
    try {
      await concurrently(episodes, settings.maxConcurrent, (episode) => episode.open(factory));
      for (let playing = episodes; playing.length > 0; playing = playing.filter(({ end }) => end === undefined)) {
        const actions = await sampleActions(request, playing);
        await concurrently(playing, settings.maxConcurrent, (episode, i) => episode.play(actions[i] as Completion));
      }
      await concurrently(episodes, settings.maxConcurrent, (episode) => episode.finish());
    } finally {
      await Promise.allSettled(episodes.map((episode) => episode.close()));
    }
    logMetrics(request, episodes);
    return episodes.map((episode) => episode.completion());
  };
}

/** The next action of each episode. Its stream is the completion's at every turn, so that no draw depends on which others still play. */
function sampleActions(request: RolloutRequest, playing: readonly Episode[]): Promise<Completion[]> {
  return generate({
    ...request,
    prompts: playing.map((episode) => episode.history),
    n: 1,
    maxNewTokens: playing.map((episode) => episode.limit),
    streams: Uint32Array.from(playing, ({ stream }) => stream),
  });
}

function logMetrics({ logMetric }: RolloutRequest, episodes: readonly Episode[]): void {
  const turns = episodes.map((episode) => episode.turns);
  logMetric("num_turns/mean", sum(turns) / turns.length);
  logMetric("num_turns/min", Math.min(...turns));
  logMetric("num_turns/max", Math.max(...turns));
  const failures = episodes.filter(({ failure }) => failure).length;
  if (failures > 0) logMetric("environment/failures", failures);
  const cut = sum(episodes.map(({ observations }) => observations.cut));
  if (cut > 0) logMetric("environment/clipped_observation_ratio", cut / sum(episodes.map(({ observations }) => observations.all)));

  const pooled = new Map<string, { sum: number; count: number }>();
  for (const { report } of episodes) {
    for (const [name, value] of Object.entries(report.metrics ?? {})) {
      const part = typeof value === "number" ? { sum: value, count: 1 } : value;
      const whole = pooled.get(name) ?? { sum: 0, count: 0 };
      pooled.set(name, { sum: whole.sum + part.sum, count: whole.count + part.count });
    }
  }
  for (const [name, { sum, count }] of pooled) if (count > 0) logMetric(name, sum / count);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
