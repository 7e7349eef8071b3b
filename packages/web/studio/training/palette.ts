/** Colours that carry meaning in charts and shaded text, in light and dark; told apart with any colour vision, and never by colour alone. */
import { SERIES } from "@trimtab/core";
import { css, unsafeCSS } from "lit";

/** `--_series-0` and so on: the same colours as in a run's report. Classes `series-0`... set `color`. */
export const seriesColours = unsafeCSS(
  `:host{${SERIES.light.map((light, i) => `--_series-${i}:light-dark(${light},${SERIES.dark[i]});`).join("")}}${SERIES.light
    .map((_, i) => `.series-${i}{color:var(--_series-${i})}`)
    .join("")}`,
);

export const SERIES_COUNT = SERIES.light.length;

/** Line patterns beside the colours, in pixels; an empty one is a whole line. */
export const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [], [7, 4], [2, 3], [10, 3, 2, 3]];

/** Steps of shading on each side of nothing. */
export const SHADES = 5;

/**
 * Backgrounds `shade--5` to `shade-5` from orange over nothing to blue (a pair that every kind of colour blindness keeps apart), and
 * `tint-0` to `tint-5` in one hue for what has no sign. The text on them keeps its contrast; what is negative is underlined as well.
 */
export const shadeColours = css`
  :host {
    --_negative: light-dark(#e8873a, #b4551a);
    --_positive: light-dark(#5a9bdc, #2a6cb0);
    --_tint: light-dark(#b08be0, #6b4aa6);
  }
  ${unsafeCSS(
    Array.from({ length: SHADES }, (_, i) => {
      const share = [16, 34, 52, 72, 92][i];
      const line = `text-decoration:underline ${i < 2 ? "dotted" : "solid"};text-decoration-thickness:${i < 4 ? 1 : 2}px;text-underline-offset:.22em`;
      return (
        `.shade-${i + 1}{background:color-mix(in oklab,var(--_positive) ${share}%,transparent)}` +
        `.shade--${i + 1}{background:color-mix(in oklab,var(--_negative) ${share}%,transparent);${line}}` +
        `.tint-${i + 1}{background:color-mix(in oklab,var(--_tint) ${share}%,transparent)}`
      );
    }).join(""),
  )}
`;
