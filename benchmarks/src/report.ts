/** Prints sections as tables. */
import Table from "cli-table3";
import { type Section, significant } from "./measure/section";

/** `stackedHead`: one word of a column's name a line, where names are longer than the numbers below. */
export function printSection(section: Section, { stackedHead = false } = {}): void {
  const table = new Table({
    head: section.columns.map((column) => (stackedHead ? column.replaceAll(" ", "\n") : column)),
    style: { head: [], border: [], compact: true },
    colAligns: section.columns.map((_, i) => (i === 0 ? "left" : "right")),
  });
  for (const row of section.rows)
    table.push(row.map((cell) => (cell === null ? "-" : typeof cell === "number" ? significant(cell) : cell)));
  console.log(`\n${section.title}\n${table.toString()}`);
  for (const note of section.notes) console.log(`  ${note}`);
}
