/** Backtracking along a step until a constraint holds and the objective is no worse (Schulman et al. 2015, appendix C). */
import type { VectorSpace } from "./vector-space";

export interface LineSearchOptions {
  /** Lengths that are tried: backtrackCoefficient^j of the step, j = 0, 1, ... Default 10. */
  readonly backtrackIterations?: number;
  /** Default 0.8. */
  readonly backtrackCoefficient?: number;
}

export interface LineSearchOutcome<Point> {
  /** Where the values stand now; undefined where no length was accepted, and they are what they were, bit for bit. */
  readonly accepted: Point | undefined;
  /** Lengths that were refused. */
  readonly backtracks: number;
  /** The share of the step that was taken; 0 where none was. */
  readonly fraction: number;
}

/**
 * Moves `values` to values + c^j step for the first j at which `isAccepted` holds of what `evaluate` finds there; otherwise, and where
 * `evaluate` throws, puts them back from a copy. Matches spinningup's trpo.
 */
export async function lineSearch<Vector, Point>(
  space: VectorSpace<Vector>,
  values: Vector,
  step: Vector,
  evaluate: () => Promise<Point>,
  isAccepted: (point: Point) => boolean,
  { backtrackIterations = 10, backtrackCoefficient = 0.8 }: LineSearchOptions = {},
): Promise<LineSearchOutcome<Point>> {
  const start = space.zeros();
  space.copy(values, start);
  let accepted: Point | undefined;
  try {
    let fraction = 1;
    for (let j = 0; j < backtrackIterations; j++) {
      space.copy(start, values);
      space.addScaled(values, fraction, step);
      const point = await evaluate();
      if (isAccepted(point)) {
        accepted = point;
        return { accepted, backtracks: j, fraction };
      }
      fraction *= backtrackCoefficient;
    }
    return { accepted, backtracks: backtrackIterations, fraction: 0 };
  } finally {
    if (accepted === undefined) space.copy(start, values);
    space.free(start);
  }
}
