/** How fast a run goes and how long it has to go, from the steps it has taken. */
import type { StudioRun } from "../store";

export interface Pace {
  readonly step: number;
  readonly tokensPerSecond: number | undefined;
  readonly msLeft: number | undefined;
}

/** Steps that the pace is measured over: long enough to be steady, short enough to follow. */
const RECENT = 12;

/** Of the last steps by their `step_time`; undefined before there are any. */
export function paceOf({ history, maxSteps }: Pick<StudioRun, "history" | "maxSteps">): Pace {
  const step = history.at(-1)?.step ?? 0;
  const recent = history.slice(-RECENT - 1);
  const timed = recent.slice(1).filter(({ metrics }) => metrics.step_time !== undefined);
  const seconds = timed.reduce((sum, { metrics }) => sum + (metrics.step_time as number), 0);
  if (!(seconds > 0)) return { step, tokensPerSecond: undefined, msLeft: undefined };
  const tokens = (recent.at(-1)?.metrics.num_tokens ?? 0) - (recent[0]?.metrics.num_tokens ?? 0);
  return { step, tokensPerSecond: tokens > 0 ? tokens / seconds : undefined, msLeft: ((maxSteps - step) * seconds * 1000) / timed.length };
}
