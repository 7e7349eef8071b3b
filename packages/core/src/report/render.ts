/** Turns a report into one HTML page that needs nothing else: no network, no other file. */
import { renderChart } from "./chart";
import { renderFlame } from "./flame";
import { escapeHtml } from "./html";
import { SCRIPT, STYLE } from "./page";
import type { Figure, ReportPage, Table } from "./report";

/** The whole page. All text of the report is escaped. */
export function renderReport(report: ReportPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(report.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(report.title)}</h1>
<p class="lead">${escapeHtml(report.lead)}</p>
${report.figures.length > 0 ? `<ul class="figures">${report.figures.map(renderFigure).join("")}</ul>` : ""}
${report.charts.length > 0 ? `<h2>Curves</h2><div class="charts">${report.charts.map(renderChart).join("\n")}</div>` : ""}
${(report.flames ?? []).map(renderFlame).join("\n")}
${report.tables.map(renderTable).join("\n")}
<footer>Written by Trimtab.</footer>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function renderFigure({ label, value, note }: Figure): string {
  const below = note ? `<div class="note">${escapeHtml(note)}</div>` : "";
  return `<li><div class="label">${escapeHtml(label)}</div><div class="value">${escapeHtml(value)}</div>${below}</li>`;
}

function renderTable({ title, description, columns, rows }: Table): string {
  const isNumber = columns.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const cell = (tag: "td" | "th", value: string | number, i: number) =>
    `<${tag}${isNumber[i] ? ' class="number"' : ""}>${escapeHtml(typeof value === "number" ? String(Number(value.toPrecision(4))) : value)}</${tag}>`;
  return `<h2>${escapeHtml(title)}</h2>${description ? `<p class="description">${escapeHtml(description)}</p>` : ""}
<div class="table"><table><thead><tr>${columns.map((c, i) => cell("th", c, i)).join("")}</tr></thead>
<tbody>${rows.map((row) => `<tr>${row.map((value, i) => cell("td", value, i)).join("")}</tr>`).join("\n")}</tbody></table></div>`;
}
