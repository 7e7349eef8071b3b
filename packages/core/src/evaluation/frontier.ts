/** Reward against KL: which checkpoints or policies no other one beats in both. */

/** A policy: how far it has moved, in nats per completion, and what it earns. */
export interface FrontierPoint {
  readonly label: string;
  readonly kl: number;
  readonly reward: number;
}

/** The points that no other point beats: none has a higher or equal reward at a lower or equal KL, and one of both strictly. In order of KL. */
export function rewardKlFrontier<Point extends FrontierPoint>(points: readonly Point[]): Point[] {
  return points
    .filter(
      (own) =>
        !points.some((other) => other.kl <= own.kl && other.reward >= own.reward && (other.kl < own.kl || other.reward > own.reward)),
    )
    .sort((a, b) => a.kl - b.kl);
}

/** The points of a training log under TRL's metric names: rows with `reward` and `kl` (per token, times the mean completion length). */
export function frontierOfLog(rows: readonly Readonly<Record<string, number>>[], name = "step"): FrontierPoint[] {
  return rows.flatMap((row) => {
    const { reward, kl, step = 0 } = row;
    const length = row["completions/mean_length"];
    if (reward === undefined || kl === undefined || length === undefined) return [];
    return [{ label: `${name} ${step}`, kl: kl * length, reward }];
  });
}
