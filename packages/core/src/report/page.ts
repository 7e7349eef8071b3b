/** The report page's style and its one small script (values under the pointer); both are inlined, nothing is fetched. */

/** Colours of a chart's series, for light and dark pages, in the order they are taken. */
export const SERIES = {
  light: ["#0b7a75", "#c2541b", "#5a4fcf", "#9a6b00", "#b0326e", "#2f6fb5", "#4f7a1e", "#6b5b4d"],
  dark: ["#4fc9be", "#f0925a", "#a39bff", "#e2b64a", "#f083b4", "#77b2f2", "#a3cf6a", "#c4b3a3"],
} as const;

/** Series beyond these take the colours again from the first. */
export const SERIES_COLOURS = SERIES.light.length;

const declarations = (colours: readonly string[]) => colours.map((colour, i) => `--s${i}: ${colour};`).join(" ");
const rules = SERIES.light
  .map(
    (_, i) =>
      `.line.s${i} { stroke: var(--s${i}); } .dot.s${i} { fill: var(--s${i}); } .swatch.s${i} { background: var(--s${i}); } .frame.s${i} { fill: var(--s${i}); }`,
  )
  .join("\n");

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --muted: #5b6675; --paper: #f6f7f9; --card: #ffffff; --rule: #dfe3e8; --accent: #0f6b6b;
  ${declarations(SERIES.light)} }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --muted: #98a3b3; --paper: #10151c; --card: #18202a; --rule: #2b3644; --accent: #5fd0c5;
  ${declarations(SERIES.dark)} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 48px 24px 80px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 12px; letter-spacing: -0.02em; text-wrap: balance; }
h2 { font-size: 1.15rem; margin: 48px 0 4px; } h3 { font-size: 0.95rem; margin: 0; }
.lead { color: var(--muted); max-width: 68ch; margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin: 32px 0 0; padding: 0; list-style: none; }
.figures li { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px; }
.figures .label { color: var(--muted); font-size: 0.8rem; } .figures .value { font-size: 1.5rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures .note { color: var(--muted); font-size: 0.8rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); gap: 16px; margin-top: 16px; }
.chart { position: relative; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px 16px 8px; margin: 0; }
.chart p { color: var(--muted); font-size: 0.82rem; margin: 2px 0 8px; } .chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart output { position: absolute; top: 12px; right: 16px; font-size: 0.78rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.grid line { stroke: var(--rule); stroke-width: 1; } .axis line, .cursor { stroke: var(--muted); stroke-width: 1; } .cursor { stroke-dasharray: 3 3; }
.flame { margin-top: 16px; } .frame { fill-opacity: 0.3; } .flame text { fill: var(--ink); font-size: 12px; } .flame g:hover .frame { fill-opacity: 0.55; }
.axis text, svg .label { fill: var(--muted); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.raw { opacity: 0.3; stroke-width: 1.2; }
${rules}
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; list-style: none; margin: 0 0 4px; padding: 0; font-size: 0.8rem; color: var(--muted); }
.swatch { display: inline-block; width: 14px; height: 3px; margin-right: 6px; vertical-align: middle; border-radius: 2px; }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; } th { text-align: left; color: var(--muted); font-weight: 600; }
th, td { padding: 8px 14px; vertical-align: top; border-bottom: 1px solid var(--rule); overflow-wrap: anywhere; } tr:last-child td { border-bottom: 0; }
td:first-child { min-width: 9em; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.description { color: var(--muted); font-size: 0.88rem; margin: 0; max-width: 75ch; }
footer { margin-top: 56px; color: var(--muted); font-size: 0.82rem; }
@media print { body { background: none; } .chart, .figures li, .table { break-inside: avoid; } }
`;

export const SCRIPT = `
for (const svg of document.querySelectorAll("svg[data-plot]")) {
  const series = JSON.parse(svg.dataset.plot), cursor = svg.querySelector(".cursor"), output = svg.parentElement.querySelector("output");
  svg.addEventListener("pointermove", (event) => {
    const at = (event.clientX - svg.getBoundingClientRect().left) * 460 / svg.clientWidth;
    const near = series.filter((s) => s.points.length).map((s) => [s.name, s.points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a)]);
    cursor.setAttribute("x1", near[0][1][0]); cursor.setAttribute("x2", near[0][1][0]); cursor.setAttribute("visibility", "visible");
    output.textContent = near[0][1][2] + ": " + near.map(([name, p]) => (near.length > 1 ? name + " " : "") + p[3]).join(", ");
  });
  svg.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); output.textContent = ""; });
}
`;
