/** One text per JSON value, whatever the order of its keys: for comparing messages and for grouping rows by their prompt. */

/** JSON with the keys of every object sorted. Two values are equal exactly where their texts are. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
