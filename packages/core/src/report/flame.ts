/** Draws nested durations as inline SVG: one bar as wide as the whole, its parts under it, theirs under them. */
import { escapeHtml } from "./html";
import { SERIES_COLOURS } from "./page";
import type { Flame, FlameFrame } from "./report";

const WIDTH = 1000;
const ROW = 24;
/** Parts that would be thinner than this are left out. */
const THINNEST = 0.5;
/** What a letter takes. */
const LETTER = 6.6;

/** The picture as a `<figure>`. Every bar says its name, value and share under the pointer and to screen readers. */
export function renderFlame({ title, description, unit, root }: Flame): string {
  const bars: string[] = [];
  let depth = 0;
  const draw = (frame: FlameFrame, x: number, width: number, row: number, colour: number): void => {
    depth = Math.max(depth, row + 1);
    const label = `${frame.name}: ${Number(frame.value.toPrecision(3))} ${unit}, ${((100 * frame.value) / root.value).toFixed(1)} %`;
    const room = Math.floor((width - 8) / LETTER);
    const text = room < 3 ? "" : frame.name.length <= room ? frame.name : `${frame.name.slice(0, room - 1)}…`;
    bars.push(
      `<g><title>${escapeHtml(label)}</title><rect class="frame s${colour % SERIES_COLOURS}" x="${fine(x)}" y="${row * ROW}" width="${fine(Math.max(0, width - 1))}" height="${ROW - 1}"/>` +
        `${text ? `<text x="${fine(x + 4)}" y="${row * ROW + 16}">${escapeHtml(text)}</text>` : ""}</g>`,
    );
    let at = x;
    (frame.children ?? []).forEach((child, i) => {
      const part = (child.value / root.value) * WIDTH;
      if (part >= THINNEST) draw(child, at, part, row + 1, row === 0 ? i + 1 : colour);
      at += part;
    });
  };
  if (root.value > 0) draw(root, 0, WIDTH, 0, 0);
  return `<figure class="chart flame"><figcaption><h3>${escapeHtml(title)}</h3><p>${escapeHtml(description)}</p></figcaption>
${bars.length > 0 ? `<svg viewBox="0 0 ${WIDTH} ${depth * ROW}" role="img" aria-label="${escapeHtml(title)}">${bars.join("\n")}</svg>` : '<p class="empty">No time was recorded.</p>'}</figure>`;
}

/** A tenth of a unit is finer than any screen shows. */
const fine = (value: number) => Math.round(value * 10) / 10;
