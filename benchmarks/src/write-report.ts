/** Puts a run's tables into docs/performance.md and its curves and pictures into a page, so that no number there is written by hand. */
import { readFileSync, writeFileSync } from "node:fs";
import { type Chart, type Flame, renderReport, type Table } from "@trimtab/core";
import { type Section, significant, type Target } from "./measure/section";

export interface Run {
  /** E.g. "wasm". */
  readonly name: string;
  readonly command: string;
  /** Processor, cores, memory, Node and device in a line. */
  readonly machine: string;
  readonly sections: readonly Section[];
  readonly charts: readonly Chart[];
  readonly flames: readonly Flame[];
  readonly tables: readonly Table[];
}

/** Throws where the file lacks the markers of the run. */
export function writePerformance(file: string, run: Run): void {
  const [begin, end] = [`<!-- ${run.name}: written by npm run bench:report -->`, `<!-- /${run.name} -->`];
  const text = readFileSync(file, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file}: it must have the lines \`${begin}\` and \`${end}\`, got none.`);
  writeFileSync(file, `${text.slice(0, from + begin.length)}\n\n${markdown(run)}\n\n${text.slice(to)}`);
}

/** One page with every curve, picture and table. */
export function writePage(file: string, { name, machine, sections, charts, flames, tables }: Run): void {
  const cell = (value: string | number | null) => (value === null ? "" : typeof value === "number" ? significant(value) : value);
  const page = renderReport({
    title: `Trimtab on ${name}`,
    lead: `${machine}, ${new Date().toISOString().slice(0, 10)}.`,
    figures: [],
    charts,
    flames,
    tables: [
      ...tables,
      ...sections.map((section) => ({
        title: section.title,
        description: section.notes.join(" · "),
        columns: section.columns,
        rows: section.rows.map((row) => row.map(cell)),
      })),
    ],
  });
  writeFileSync(file, page);
}

function markdown({ command, machine, sections }: Run): string {
  const targets = sections.flatMap(({ targets = [] }) => targets);
  return [
    `${machine}; \`${command}\`, ${new Date().toISOString().slice(0, 10)}.`,
    ...(targets.length > 0 ? ["", "**Targets**", "", ...targetLines(targets)] : []),
    ...sections.flatMap(({ title, columns, rows, notes, timings = [] }) => [
      "",
      `**${title}**`,
      "",
      line(columns),
      line(columns.map((_, i) => (i === 0 ? "---" : "---:"))),
      ...rows.map((row) => line(row.map((cell) => (cell === null ? "" : typeof cell === "number" ? significant(cell) : cell)))),
      ...(notes.length + timings.length > 0 ? [""] : []),
      ...notes.map((note) => `- ${note}`),
      ...(timings.length > 0 ? [`- ${spreadOf(timings.flatMap((group) => group.timings))}`] : []),
    ]),
  ].join("\n");
}

function targetLines(targets: readonly Target[]): string[] {
  const verdict = ({ measured, target, isMost = false }: Target) => {
    if (measured === null) return "not measured";
    return (isMost ? measured <= target : measured >= target) ? "met" : "missed";
  };
  return [
    line(["what", "target", "measured", ""]),
    line(["---", "---:", "---:", "---"]),
    ...targets.map((target) => {
      const { what, measured, unit, isMost = false } = target;
      const goal = `${isMost ? "at most" : "at least"} ${significant(target.target)}${unit}`;
      return line([what, goal, measured === null ? "" : `${significant(measured)}${unit}`, verdict(target)]);
    }),
  ];
}

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

/** How far apart rounds were: medians and quartiles are in the results' file. */
function spreadOf(timings: readonly { readonly medianMs: number; readonly bestMs: number; readonly spread: number }[]): string {
  const above = timings.map(({ medianMs, bestMs }) => 100 * (medianMs / bestMs - 1)).sort((a, b) => a - b);
  const spread = timings.map((timing) => 100 * timing.spread).sort((a, b) => a - b);
  const middle = (sorted: readonly number[]) => sorted[Math.floor(sorted.length / 2)] as number;
  return `medians lie ${middle(above).toFixed(0)} % above the best times, ${above.at(-1)?.toFixed(0)} % at most; quartiles are ${middle(spread).toFixed(0)} % of the median apart, ${spread.at(-1)?.toFixed(0)} % at most`;
}
