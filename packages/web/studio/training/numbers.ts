/** How numbers are written for people: values, shares, durations, rates. */

// Made once: a formatter takes longer to make than to use a hundred times.
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const USUAL = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const SMALL = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const PERCENT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** Four digits at most: 0.0123, 12.3, 1,234, 1.2e-5. A minus sign is a minus sign. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential(1) : (size >= 1000 ? WHOLE : size < 1 ? SMALL : USUAL).format(value);
  return text.replace("-", "−");
}

/** With its sign: +0.2, −1.3. */
export function formatSigned(value: number): string {
  return value > 0 ? `+${formatValue(value)}` : formatValue(value);
}

/** "12 %". */
export function formatShare(value: number): string {
  return `${PERCENT.format(100 * value)} %`;
}

/** "42 s", "3 min 20 s", "1 h 05 min". */
export function formatDuration(elapsedMs: number): string {
  const seconds = Math.round(elapsedMs / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
