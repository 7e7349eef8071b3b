/** Puts the table of platforms into the README, between its two markers. */
import { readFileSync, writeFileSync } from "node:fs";
import { type PlatformReport, platformTable } from "./measure/platform";
import { significant } from "./measure/section";

const BEGIN = "<!-- platforms: written by npm run bench -- --browser --readme -->";
const END = "<!-- /platforms -->";

/** Throws where the file lacks the markers. */
export function writeReadme(file: string, report: PlatformReport): void {
  const text = readFileSync(file, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file}: it must have the lines \`${BEGIN}\` and \`${END}\`, got none.`);
  writeFileSync(file, `${text.slice(0, begin + BEGIN.length)}\n\n${markdown(report)}\n\n${text.slice(end)}`);
}

function markdown(report: PlatformReport): string {
  const { columns, rows, notes } = platformTable(report);
  const { cpu, cores, system } = report.machine;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    `${cpu}, ${cores} cores, ${system}, ${report.measuredAt.slice(0, 10)}; best of the rounds, in brackets the share of the multiply-add ceiling of all threads:`,
    "",
    line(columns),
    line(columns.map((_, i) => (i < 2 ? "---" : "---:"))),
    ...rows.map((row) => line(row.map((cell) => (cell === null ? "" : typeof cell === "number" ? significant(cell) : cell)))),
    "",
    ...notes.map((note) => `- ${note}`),
  ].join("\n");
}
