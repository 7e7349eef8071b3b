/** A profile as a table, as text, and as the picture of a report. */
import type { Flame, Table } from "../report/report";
import type { OpProfile, PhaseProfile, Profile } from "./profiler";

/** Ops that took less than this share of the whole are added up in one row. */
const SMALLEST_SHARE = 0.005;

/** One row: a phase, or an op in it. */
interface Row {
  readonly name: string;
  readonly ms: number;
  /** Of the whole, 0 to 1. */
  readonly share: number;
  readonly op: OpProfile | undefined;
}

/** Phases with their ops under them, and what of a phase was no op's. `steps`: rows are means of so many steps. */
function rowsOf({ ms: total, phases }: Profile, steps: number): Row[] {
  const row = (name: string, ms: number, op?: OpProfile): Row => ({ name, ms: ms / steps, share: total === 0 ? 0 : ms / total, op });
  return phases.flatMap((phase) => {
    const shown = phase.ops.filter((op) => op.ms >= SMALLEST_SHARE * total);
    const small = phase.ops.length - shown.length;
    const smallMs = phase.ops.filter((op) => !shown.includes(op)).reduce((sum, op) => sum + op.ms, 0);
    const host = hostMsOf(phase);
    return [
      row(phase.name, phase.ms),
      ...shown.map((op) => row(`  ${op.name}`, op.ms, op)),
      ...(small > 0 ? [row(`  ${small} smaller`, smallMs)] : []),
      ...(phase.ops.length > 0 && host >= SMALLEST_SHARE * total ? [row("  host", host)] : []),
    ];
  });
}

const hostMsOf = ({ ms, ops }: PhaseProfile): number => Math.max(0, ms - ops.reduce((sum, op) => sum + op.ms, 0));

const COLUMNS = ["Phase and op", "ms", "%", "calls", "GFLOP/s", "GB/s", "% of ceiling"] as const;

function cellsOf({ name, ms, share, op }: Row, steps: number): string[] {
  const rate = (amount: number) => (op && op.ms > 0 && amount > 0 ? short(amount / op.ms / 1e6) : "");
  return [
    name,
    short(ms),
    (100 * share).toFixed(1),
    op ? short(op.calls / steps) : "",
    rate(op?.cost.flops ?? 0),
    rate(op?.cost.bytes ?? 0),
    op && op.ms > 0 && Number.isFinite(op.boundMs) ? ((100 * op.boundMs) / op.ms).toFixed(0) : "",
  ];
}

const short = (value: number) => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

/** The columns that say something: without ceilings there is no share of them. */
function columnsOf(profile: Profile): readonly number[] {
  const isBounded = profile.phases.some(({ ops }) => ops.some(({ boundMs }) => Number.isFinite(boundMs)));
  return COLUMNS.flatMap((_, i) => (i < COLUMNS.length - 1 || isBounded ? [i] : []));
}

/** The table of a report. */
export function profileTable(profile: Profile, steps: number): Table {
  const columns = columnsOf(profile);
  return {
    title: "Where the time goes",
    description: `Means of ${steps} steps of ${short(profile.ms / steps)} ms, by phase and op.`,
    columns: columns.map((i) => COLUMNS[i] as string),
    rows: rowsOf(profile, steps).map((row) => {
      const cells = cellsOf(row, steps);
      return columns.map((i) => cells[i] as string);
    }),
  };
}

/** The same as text in aligned columns. */
export function formatProfile(profile: Profile, steps: number): string {
  const { columns, rows, description } = profileTable(profile, steps);
  const lines = [columns, ...rows] as readonly (readonly string[])[];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  const text = lines.map((line) => {
    return line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
      .join("  ")
      .trimEnd();
  });
  return [description, ...text].join("\n");
}

/** The picture: the whole, its phases under it, their ops under them, as wide as they took long. */
export function profileFlame(profile: Profile, steps: number): Flame {
  const frame = (name: string, ms: number) => ({ name, value: ms / steps });
  return {
    title: "A step",
    description: "As wide as it took long; below each phase its ops.",
    unit: "ms",
    root: {
      ...frame("step", profile.ms),
      children: profile.phases.map((phase) => ({
        ...frame(phase.name, phase.ms),
        children: phase.ops.map((op) => frame(op.name, op.ms)),
      })),
    },
  };
}
