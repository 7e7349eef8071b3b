/** Results as text, as a table and as a small picture. */
import { sparkline } from "@trimtab/node";
import type { Result } from "./run";

/** The curve as bars, for a line of text. */
export const curveText = ({ curve }: Result): string =>
  sparkline(
    curve.map(([, value]) => value),
    21,
  );

/** "97.1 %: 0.35 of 0.361" */
export const reachedText = ({ percent, reached, optimum }: Result): string =>
  `${percent.toFixed(1)} % (${reached.toFixed(3)} of ${optimum.toFixed(3)})`;

/** One row per algorithm. */
export function markdownTable(results: readonly Result[]): string {
  const rows = results.map((result) =>
    [
      `\`${result.name}\``,
      result.setting,
      result.measures,
      String(result.steps),
      result.seconds.toFixed(1),
      curveText(result),
      reachedText(result),
    ].join(" | "),
  );
  return [
    "| run | setting | measured | steps | seconds | curve | reached |",
    "| --- | --- | --- | ---: | ---: | --- | --- |",
    ...rows.map((row) => `| ${row} |`),
  ].join("\n");
}

const [WIDTH, HEIGHT, EDGE] = [320, 120, 8];

/** The curve with a dashed line at the optimum. */
export function curveSvg({ name, curve, optimum }: Result): string {
  const values = [...curve.map(([, value]) => value), optimum, 0];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = curve.at(-1)?.[0] || 1;
  const x = (step: number) => (EDGE + ((WIDTH - 2 * EDGE) * step) / last).toFixed(1);
  const y = (value: number) => (HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (value - low)) / (high - low || 1)).toFixed(1);
  const points = curve.map(([step, value]) => `${x(step)},${y(value)}`).join(" ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${name}">
  <path d="M${x(0)} ${y(optimum)}H${x(last)}" stroke="#888" stroke-dasharray="4 3"/>
  <polyline points="${points}" fill="none" stroke="#06c" stroke-width="2"/>
</svg>
`;
}
