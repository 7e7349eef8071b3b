/** Which standard deviation divides advantages. */

export type RewardScale = "group" | "batch" | "none";

/** Its codes in assembly/advantage. */
export const REWARD_SCALES: Readonly<Record<RewardScale, number>> = { group: 0, batch: 1, none: 2 };
