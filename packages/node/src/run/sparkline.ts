/** A curve in one line of text. */

const BLOCKS = "▁▂▃▄▅▆▇█";

/** The values as bars from their lowest to their highest, averaged down to at most `width` bars; "" where there are none. */
export function sparkline(values: readonly number[], width = 40): string {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return "";
  const bars = Math.min(width, finite.length);
  const means = Array.from({ length: bars }, (_, i) => {
    const slice = finite.slice(Math.floor((i * finite.length) / bars), Math.floor(((i + 1) * finite.length) / bars));
    return slice.reduce((sum, v) => sum + v, 0) / slice.length;
  });
  const low = Math.min(...means);
  const span = Math.max(...means) - low;
  return means.map((v) => BLOCKS[span > 0 ? Math.round(((v - low) / span) * (BLOCKS.length - 1)) : 0]).join("");
}
