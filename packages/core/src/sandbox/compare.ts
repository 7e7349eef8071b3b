/** Comparing what a program returned or printed with what was expected, outside the sandbox. */

/** True for equal JSON values; numbers may differ by 1e-9 of the larger, since the order of additions is the program's own. */
export function isJsonEqual(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && isJsonEqual(left[key], right[key]));
}

/** True for the same lines, but for white space at their ends and at the end of the text. */
export function isSameOutput(a: string, b: string): boolean {
  return normalizeOutput(a) === normalizeOutput(b);
}

const normalizeOutput = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trimEnd();
