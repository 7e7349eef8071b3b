/** A plan of memory as text. */
import type { MemoryPlan } from "./plan-memory";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** 1,234,567 bytes are 1.23 MB. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit + 1 < UNITS.length) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]}`;
}

/** A line for each part, the largest first in each kind, and the sum beside the budget. */
export function formatMemoryPlan({ parts, peakBytes, budgetBytes, fits }: MemoryPlan): string {
  const rows = [...parts.map(({ what, bytes }) => [what, formatBytes(bytes)] as const), ["peak", formatBytes(peakBytes)] as const];
  const [left, right] = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] as string).length))) as [number, number];
  const lines = rows.map(([what, bytes]) => `${what.padEnd(left)}  ${bytes.padStart(right)}`);
  lines.splice(-1, 0, "-".repeat(left + 2 + right));
  if (budgetBytes === undefined) return lines.join("\n");
  const share = `${Math.round((100 * peakBytes) / budgetBytes)}% of ${formatBytes(budgetBytes)}`;
  return [...lines, fits ? `fits: ${share}` : `does not fit: ${share}`].join("\n");
}
