/** Round numbers along an axis: multiples of 1, 2 or 5 times a power of ten, and how they are written. */

export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
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
  return { low: nice ? (ticks[0] as number) : low, high: nice ? (ticks.at(-1) as number) : high, ticks, format };
}
