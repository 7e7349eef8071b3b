/** Round numbers along an axis: multiples of 1, 2 or 5 times a power of ten, and how they are written; linear, or by orders of magnitude. */
import { hostMath } from "@trimtab/kernels";

export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  /** Where a value lies: 0 at `low`, 1 at `high`. */
  at(value: number): number;
  format(tick: number): string;
}

/** An axis over [low, high] with about `count` ticks; `nice` widens it to whole ticks. `low` must be below `high`. */
export function roundAxis(low: number, high: number, count: number, nice: boolean): Axis {
  const raw = (high - low) / count;
  const exponent = Number(raw.toExponential().split("e")[1]);
  const leading = raw / Number(`1e${exponent}`);
  const factor = leading < Math.SQRT2 ? 1 : leading < Math.sqrt(10) ? 2 : leading < Math.sqrt(50) ? 5 : 10;
  const step = Number(`${factor}e${exponent}`);
  const [first, last] = nice ? [Math.floor(low / step), Math.ceil(high / step)] : [Math.ceil(low / step), Math.floor(high / step)];
  // times the step's own digits: k · 0.1 would give 0.30000000000000004
  const ticks = Array.from({ length: last - first + 1 }, (_, k) => Number(`${(first + k) * factor}e${exponent}`));
  const decimals = Math.max(0, factor === 10 ? -exponent - 1 : -exponent);
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const format = (tick: number): string => {
    if (tick === 0) return "0";
    if (largest < 1e-3 || largest >= 1e9) return tick.toExponential(1);
    if (largest >= 2e6) return `${Number((tick / 1e6).toPrecision(6))}M`;
    if (largest >= 1e4) return `${Number((tick / 1e3).toPrecision(6))}k`;
    return tick.toFixed(decimals);
  };
  const [from, to] = nice ? [ticks[0] as number, ticks.at(-1) as number] : [low, high];
  return { low: from, high: to, ticks, at: (value) => (value - from) / (to - from), format };
}

/** An axis over [low, high], both above 0, on which equal ratios are equally far apart. `nice` widens it to whole ticks. */
export function logAxis(low: number, high: number, nice: boolean): Axis {
  const exponent = (value: number) => Number(value.toExponential().split("e")[1]);
  const decades = Array.from({ length: exponent(high) - exponent(low) + 2 }, (_, i) => exponent(low) + i);
  const steps = high / low > 1e3 ? [1] : [1, 2, 5];
  const candidates = decades.flatMap((decade) => steps.map((step) => Number(`${step}e${decade}`)));
  const from = nice ? (candidates.findLast((tick) => tick <= low) ?? low) : low;
  const to = nice ? (candidates.find((tick) => tick >= high) ?? high) : high;
  const span = hostMath.log(to / from);
  return {
    low: from,
    high: to,
    ticks: candidates.filter((tick) => tick >= from && tick <= to),
    at: (value) => hostMath.log(value / from) / span,
    format: (tick) => {
      if (tick < 1e-3 || tick >= 1e9) return tick.toExponential(0);
      if (tick >= 1e6) return `${tick / 1e6}M`;
      return tick >= 1e4 ? `${tick / 1e3}k` : String(tick);
    },
  };
}
