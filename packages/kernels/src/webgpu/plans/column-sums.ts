/** Sums over rows in two ordered passes, which parameter gradients end with. */
import columnSumsSource from "../../../wgsl/column-sums.wgsl";
import { passProgram } from "../program";
import type { Binding, Grid } from "../recorder";
import { divide, type PlanContext } from "./plan";

/** Rows that one thread of a column sum adds up at least; more where there would be too many blocks to combine. */
const COLUMN_BLOCK_ROWS = 32;
const MAX_COLUMN_BLOCKS = 128;
export const columnBlocks = (rows: number) => Math.min(MAX_COLUMN_BLOCKS, Math.max(1, divide(rows, COLUMN_BLOCK_ROWS)));
export const columnGrid = (columns: number, blocks: number): Grid => [divide(columns, 64), blocks, 1];

export const columnSumsPartial = passProgram("column_sums_partial", [columnSumsSource], "rw", "M:u32 N:u32");
export const columnSumsCombine = passProgram("column_sums_combine", [columnSumsSource], "rw", "C:u32 blocks:u32");

/** total += Σ over the blocks of `partials` (blocks, C). */
export function combineColumns(context: PlanContext, partials: Binding, total: Binding | undefined, C: number, blocks: number): void {
  context.run(columnSumsCombine, [partials, total], { C, blocks }, [divide(C, 64), 1, 1]);
}
