/** The chart of reward against KL. */
import { type FrontierPoint, rewardKlFrontier } from "../evaluation/frontier";
import type { Chart } from "./report";

/** Every point, and a line through those that no other beats. */
export function frontierChart(points: readonly FrontierPoint[]): Chart {
  return {
    title: "Reward and KL",
    description: "Each dot is a step of a run; the line joins those that no other beats in both.",
    xLabel: "KL to the reference, nats per completion",
    yLabel: "reward",
    smooth: false,
    series: [
      { name: "steps", mark: "dots", points: points.map(({ kl, reward }) => [kl, reward]) },
      { name: "frontier", points: rewardKlFrontier(points).map(({ kl, reward }) => [kl, reward]) },
    ],
  };
}
